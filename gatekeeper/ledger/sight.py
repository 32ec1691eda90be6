"""What somebody may see of mailings and requests: nothing, facts, or content as well."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from gatekeeper.policy.approvers import Approvers, Question
from gatekeeper.rules import Ruleset

_SEE_ALL = frozenset({"approver", "admin", "auditor"})


class Sight(IntEnum):
    """How much somebody may see."""

    NOTHING = 0
    FACTS = 1
    CONTENT = 2


def sees_all(ruleset: Ruleset, by: str) -> bool:
    """Return True for somebody who may see the facts of every mailing, request and permit."""
    person = ruleset.people.get(by)
    return person is not None and not _SEE_ALL.isdisjoint(person.roles)


def decides(ruleset: Ruleset, by: str) -> bool:
    """Return True for somebody who may be asked to decide: by a role, as a head, or in somebody's place."""
    person = ruleset.people.get(by)
    asked = person is not None and not {"approver", "owner"}.isdisjoint(person.roles)
    heads = {agency.head for agency in ruleset.agencies.values()}
    places = {each.delegate.to for each in ruleset.people.values() if each.delegate}
    named = {str(term) for rule in ruleset.rules for term in rule.ask}
    return asked or by in heads | places | named


def sight(ruleset: Ruleset, question: Question, owners: Iterable[str], by: str) -> Sight:
    """Return what somebody may see of a mailing or a request.

    Args: `owners` are those whose mail it is. Admins and auditors see content only with a case: here they see facts.
    """
    person = ruleset.people.get(by)
    if by in owners or by in question.own:
        return Sight.CONTENT
    if person is not None and "approver" in person.roles:
        within = not person.of or question.agency in person.of
        return Sight.CONTENT if within else Sight.FACTS
    if by in Approvers(ruleset).available_deciders(question):
        return Sight.CONTENT
    if sees_all(ruleset, by):
        return Sight.FACTS
    asks_for = person is not None and "requester" in person.roles
    if asks_for and question.agency is not None and person and (not person.of or question.agency in person.of):
        return Sight.FACTS
    return Sight.NOTHING
