"""Who may decide, and whose yes is missing: `gatekeeper.asking` as the verbs use it (DESIGN 5, 6)."""

from __future__ import annotations

from collections.abc import Iterable

from gatekeeper.asking import Asking, Matter, Yes, agency_of
from gatekeeper.casework.desk import NotAllowed
from gatekeeper.rules import Ruleset

__all__ = [
    "Matter",
    "agency_of",
    "asked",
    "check_may_be_asked",
    "check_may_decide",
    "holds",
    "is_final",
    "may_revoke",
    "missing",
    "wanted",
]


def check_may_decide(ruleset: Ruleset, matter: Matter, by: str) -> None:
    """Raise NotAllowed where `by` may not say yes or no: it is their own (DESIGN 6), or no rule asks them."""
    if refusal := Asking(ruleset).refusal(matter, by):
        raise NotAllowed(refusal)


def check_may_be_asked(ruleset: Ruleset, matter: Matter, whom: str) -> None:
    """Raise NotAllowed where nobody of that name is known to the rules, or it is their own."""
    if whom not in ruleset.people:
        known = ", ".join(ruleset.people_with("owner")) or "nobody is an owner"
        raise NotAllowed(f"{matter.id}: {whom} does not stand under people in rules.yaml; owners: {known}")
    if whom in matter.own:
        raise NotAllowed(f"{matter.id}: it is {whom}'s own; nobody decides their own")


def asked(ruleset: Ruleset, matter: Matter) -> frozenset[str]:
    """Everybody whose yes can count, delegates among them."""
    return Asking(ruleset).able(matter)


def missing(ruleset: Ruleset, matter: Matter, agreed: Iterable[str | Yes]) -> tuple[str, ...]:
    """Who must still agree, as the rules name them. Who is given by name alone has agreed today."""
    yeses = (each if isinstance(each, Yes) else Yes(each, matter.today) for each in agreed)
    return Asking(ruleset).missing(matter, yeses)


def wanted(ruleset: Ruleset, matter: Matter) -> tuple[str, ...]:
    """Everybody who must agree, as the rules name them."""
    return missing(ruleset, matter, ())


def holds(ruleset: Ruleset, by: str, *roles: str) -> bool:
    """Whether they hold one of the roles."""
    person = ruleset.people.get(by)
    return person is not None and not set(roles).isdisjoint(person.roles)


def is_final(ruleset: Ruleset, by: str) -> bool:
    """Whether their no cannot be appealed (S2)."""
    person = ruleset.people.get(by)
    return person is not None and person.final


def may_revoke(ruleset: Ruleset, matter: Matter, by: str) -> None:
    """Raise NotAllowed where `by` may not take back or narrow what was permitted (S3, S5).

    Approvers may, and whoever was asked about it; of their own too, for it only takes away.
    """
    if by not in asked(ruleset, matter) | set(ruleset.people_with("approver")):
        raise NotAllowed(f"{matter.id}: {by} may not take it back; an approver may, or whoever was asked about it")
