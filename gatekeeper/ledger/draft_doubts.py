"""Say what in a request is probably not meant: the gate would not take such mail, or knows no such list."""

from __future__ import annotations

from collections.abc import Iterator

from gatekeeper.directory.domains import Domains
from gatekeeper.rules import Ruleset
from gatekeeper.store.requests import Draft


def doubts_about(ruleset: Ruleset, draft: Draft) -> Iterator[str]:
    """Yield a warning for each sender from outside, and for each list that rules.yaml does not name."""
    domains = Domains({name: each.domains for name, each in ruleset.agencies.items()}, ruleset.domains, ruleset.outside)
    for sender in draft.senders:
        if "@" in sender and not domains.place(sender.rpartition("@")[2])[0]:
            yield f"sender {sender} is below no domain of the rules: the gate takes mail only from inside"
    for audience in draft.audiences:
        if "@" in audience and audience not in ruleset.lists:
            known = ", ".join(ruleset.lists) or "none"
            yield f"audience {audience}: rules.yaml names no such list, the directory may; it names {known}"
