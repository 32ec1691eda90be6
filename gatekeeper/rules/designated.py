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

    A sender whom nothing vouches for is none: anybody can write a From. So every name that the message is sent under
    must be one of a designated sender.
    """
    source, audience = evidence.source, evidence.audience
    if not source.authenticated or not source.names:
        return False
    agency = agencies.get(source.agency or "")
    if agency and agency.senders.issuperset(source.names):
        return True
    reached = evidence.counts.lists | audience.lists
    named = all(address in lists and _may_send_to(address, lists[address], source.names) for address in reached)
    return bool(reached) and named and bool(audience.lists) and audience.beside <= _BESIDE


def _may_send_to(address: str, spec: ListSpec, names: tuple[str, ...]) -> bool:
    """Whether all of the names may; the list's own addresses say nothing either way, so they cannot vouch."""
    voucher, *others = names
    own = _own_addresses(address)
    return voucher in spec.senders and all(name in spec.senders or name in own for name in others)


def _own_addresses(address: str) -> tuple[str, ...]:
    """What list servers write into Sender beside the author's From."""
    local, _, domain = address.rpartition("@")
    own = (local, f"{local}-bounces", f"{local}-bounce", f"{local}-owner", f"owner-{local}", f"{local}-request")
    return tuple(f"{each}@{domain}" for each in own)


def purpose_of(senders: Mapping[str, Sender], evidence: Evidence) -> Any:
    """What the mailing is for: by an approved request, else by what is known of the sender; None where neither says."""
    if not evidence.standing.whole:
        return UNAVAILABLE
    asked = (permit.purpose for permit in evidence.standing.permits if permit.purpose and is_for(permit, evidence))
    known = senders.get(evidence.source.mailbox)
    return next(asked, None) or (known.purpose if known else "") or None
