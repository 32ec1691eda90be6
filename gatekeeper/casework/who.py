"""Who may decide, and whose yes is missing: the `ask` of the rules that something waits for (DESIGN 5, 6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gatekeeper.casework.desk import NotAllowed
from gatekeeper.rules import Ask, AskSome, AskTerm, Ruleset
from gatekeeper.rules.ruleset import APPROVER


@dataclass(frozen=True, slots=True)
class Matter:
    """What is to be decided: a held mailing, a request, a permit."""

    id: str  # M-17, R-4 or P-9
    own: frozenset[str]  # whose it is: identities that cannot decide it
    agency: str | None  # of who sends or asks
    lists: frozenset[str]  # audiences that have owners
    rules: tuple[str, ...]  # whose `ask` says who must agree; an approver where there is none


def check_may_decide(ruleset: Ruleset, matter: Matter, by: str) -> None:
    """Raise NotAllowed where `by` may not say yes or no: it is their own (DESIGN 6), or no rule asks them."""
    if by in matter.own:
        raise NotAllowed(f"{matter.id}: {by} sent it or asked for it; nobody decides their own")
    allowed = asked(ruleset, matter)
    if by not in allowed:
        names = ", ".join(sorted(allowed)) or "nobody: name an approver under people in rules.yaml"
        raise NotAllowed(f"{matter.id}: {by} may not decide it; who may: {names}")


def asked(ruleset: Ruleset, matter: Matter) -> set[str]:
    """Everybody whose yes can count."""
    return {person for ask in _asks(ruleset, matter) for person in _askable(ruleset, matter, ask)} - matter.own


def missing(ruleset: Ruleset, matter: Matter, agreed: frozenset[str] | set[str]) -> tuple[str, ...]:
    """Who must still agree, as the rules name them."""
    terms = {str(term): term for ask in _asks(ruleset, matter) for term in ask}
    return tuple(name for name, term in terms.items() if not _satisfied(ruleset, matter, term, agreed))


def wanted(ruleset: Ruleset, matter: Matter) -> tuple[str, ...]:
    """Everybody who must agree, as the rules name them."""
    return missing(ruleset, matter, frozenset())


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


# -- terms -------------------------------------------------------------------------------------------------------


def _asks(ruleset: Ruleset, matter: Matter) -> list[Ask]:
    return [_ask(ruleset, rule) for rule in matter.rules] or [APPROVER]


def _ask(ruleset: Ruleset, rule_id: str) -> Ask:
    rule = ruleset.rule(rule_id)
    return rule.ask if rule and rule.ask else APPROVER


def _satisfied(ruleset: Ruleset, matter: Matter, term: AskTerm | AskSome, agreed: frozenset[str] | set[str]) -> bool:
    if isinstance(term, AskSome):
        return sum(_satisfied(ruleset, matter, each, agreed) for each in term.of) >= term.number
    groups = _holders(ruleset, matter, term)
    return bool(groups) and all(group & agreed for group in groups)


def _askable(ruleset: Ruleset, matter: Matter, ask: Iterable[AskTerm | AskSome]) -> set[str]:
    found: set[str] = set()
    for term in ask:
        if isinstance(term, AskSome):
            found |= _askable(ruleset, matter, term.of)
        else:
            found.update(*_holders(ruleset, matter, term))
    return found


def _holders(ruleset: Ruleset, matter: Matter, term: AskTerm) -> list[set[str]]:
    """Groups of which one person each must agree: a role is one group, owners are a group an audience (T7)."""
    match term.kind:
        case "role":
            return [set(ruleset.people_with(term.name))]
        case "person":
            return [{term.name}]
        case "owners":
            return [_owners(ruleset, name) for name in sorted(matter.lists)]
        case _:
            return [_heads(ruleset, term.name or matter.agency)]


def _owners(ruleset: Ruleset, list_address: str) -> set[str]:
    spec = ruleset.lists.get(list_address)
    wanted = {list_address, spec.owner if spec else None}
    people = ruleset.people
    return {by for by in ruleset.people_with("owner") if not people[by].of or wanted & set(people[by].of)}


def _heads(ruleset: Ruleset, agency: str | None) -> set[str]:
    found = ruleset.agencies.get(agency or "")
    return {found.head} if found and found.head else set()


def agency_of(ruleset: Ruleset, mailbox: str) -> str | None:
    """The agency of a mailbox by its domain."""
    domain = mailbox.rpartition("@")[2]
    for name, agency in ruleset.agencies.items():
        if any(domain == known or (known[:2] == "*." and domain.endswith(known[1:])) for known in agency.domains):
            return name
    return None
