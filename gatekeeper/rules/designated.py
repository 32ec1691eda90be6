"""What the ruleset knows of senders: who is designated to send mass mail (C8), and what for (T2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..model import Evidence
from .kinds import UNAVAILABLE
from .permits import is_for

if TYPE_CHECKING:
    from .ruleset import Agency, ListSpec, Sender

_BESIDE = 1  # people beside the lists of a designated sender: a copy to oneself


def is_designated(agencies: Mapping[str, Agency], lists: Mapping[str, ListSpec], evidence: Evidence) -> bool:
    """Whether the sender is designated by its agency, or by every list that the mailing goes to and to nobody beside.

    A sender whom nothing vouches for is none: anybody can write a From.
    """
    source = evidence.source
    if not source.authenticated:
        return False
    agency = agencies.get(source.agency or "")
    if agency and source.mailbox in agency.senders:
        return True
    reached = [lists.get(address) for address in evidence.counts.lists | evidence.audience.lists]
    named = all(spec is not None and source.mailbox in spec.senders for spec in reached)
    return bool(reached) and named and bool(evidence.audience.lists) and evidence.audience.beside <= _BESIDE


def purpose_of(senders: Mapping[str, Sender], evidence: Evidence) -> Any:
    """What the mailing is for: by an approved request, else by what is known of the sender; None where neither says."""
    if not evidence.standing.whole:
        return UNAVAILABLE
    asked = (permit.purpose for permit in evidence.standing.permits if permit.purpose and is_for(permit, evidence))
    known = senders.get(evidence.source.mailbox)
    return next(asked, None) or (known.purpose if known else "") or None
