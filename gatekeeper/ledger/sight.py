"""What somebody may see of mailings, requests and permits: nothing, facts, or content as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from enum import IntEnum

from gatekeeper.ledger.context import NotAllowed, VerbContext
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import MailingState
from gatekeeper.policy.approvers import Approvers, Question
from gatekeeper.rules import Ruleset
from gatekeeper.store import matter_people
from gatekeeper.store.events import asked_by
from gatekeeper.store.filters import Viewer
from gatekeeper.store.views import EventView, MailingView

_SEE_ALL = frozenset({"approver", "admin", "auditor"})
_SECONDS_AFTER = 30 * 86_400.0  # for which those who were asked see content after the decision
OWN_CASE = "expected --case and its number or reason"


class Sight(IntEnum):
    """How much somebody may see."""

    NOTHING = 0
    FACTS = 1
    CONTENT = 2


@immutable
class Involved:
    """Whose a matter is, who was asked about it, and whether that is still so."""

    owners: frozenset[str]
    asked: frozenset[str] = frozenset()
    waits: bool = True  # for a decision
    is_recent: bool = True  # it waits, or was decided in the last 30 days


def involved(
    ctx: VerbContext, owners: Iterable[str], events: Iterable[EventView], *, waits: bool, changed_at: float
) -> Involved:
    """Return who is involved in a matter by its timeline."""
    asked = frozenset(each for event in events for each in asked_by(event.act, event.by, event.text))
    return Involved(frozenset(owners), asked, waits, waits or ctx.now - changed_at <= _SECONDS_AFTER)


def involved_in_mailing(ctx: VerbContext, mailing: MailingView, events: Sequence[EventView]) -> Involved:
    """Return whose a mailing is, and who was asked about it. Whom From alone names is none of its owners."""
    owners = matter_people.people_of(ctx.connection, matter_people.MAILING, mailing.key, matter_people.OWN)
    waits = mailing.state is MailingState.HELD
    return involved(ctx, owners, events, waits=waits, changed_at=mailing.changed_at)


def sees_all(ruleset: Ruleset, by: str) -> bool:
    """Return True for somebody who may see the facts of every mailing, request and permit."""
    person = ruleset.people.get(by)
    return person is not None and not _SEE_ALL.isdisjoint(person.roles)


def viewer(ruleset: Ruleset, by: str, also: Iterable[int] = ()) -> Viewer | None:
    """Return somebody as lists are made for them; None where they see all.

    Args: `also` are keys of what they may see beside that.
    """
    if sees_all(ruleset, by):
        return None
    person = ruleset.people.get(by)
    if person is None or "requester" not in person.roles:
        return Viewer(by, (), tuple(also))
    return Viewer(by, person.of or None, tuple(also))


def decides(ruleset: Ruleset, by: str, today: date) -> bool:
    """Return True for somebody who may be asked to decide: by a role, as a head, or today in somebody's place."""
    person = ruleset.people.get(by)
    asked = person is not None and not {"approver", "owner"}.isdisjoint(person.roles)
    heads = {agency.head for agency in ruleset.agencies.values()}
    delegations = (each.delegate for each in ruleset.people.values() if each.delegate)
    places = {each.to for each in delegations if today <= each.until}
    named = {str(term) for rule in ruleset.rules for term in rule.ask}
    return asked or by in heads | places | named


def asks(ruleset: Ruleset, by: str) -> bool:
    """Return True for somebody who may ask for mailings in advance."""
    person = ruleset.people.get(by)
    return person is not None and "requester" in person.roles


def asked_for_agencies(ruleset: Ruleset, by: str, *, approvers: bool = True) -> list[str]:
    """Return the agencies for which somebody may ask, or declare an emergency, which approvers may as well."""
    may = may_declare if approvers else asks_for
    return [agency for agency in ruleset.agencies if may(ruleset, by, agency)]


def may_declare(ruleset: Ruleset, by: str, agency: str) -> bool:
    """Return True for somebody who may declare an emergency of this agency (M1)."""
    return asks_for(ruleset, by, agency) or _holds_for(ruleset, by, "approver", agency)


def asks_for(ruleset: Ruleset, by: str, agency: str | None) -> bool:
    """Return True for somebody who may ask for mailings of this agency."""
    return agency is not None and _holds_for(ruleset, by, "requester", agency)


def _holds_for(ruleset: Ruleset, by: str, role: str, agency: str | None) -> bool:
    """Return True for somebody who holds a role that is not limited, or limited to this agency among others."""
    person = ruleset.people.get(by)
    return person is not None and role in person.roles and (not person.of or agency in person.of)


def sight(ruleset: Ruleset, question: Question, who: Involved, by: str) -> Sight:
    """Return what somebody may see of a mailing or a request (docs/console.md).

    Admins and auditors see content only with a case: here they see facts.
    """
    is_own = by in who.owners or (who.waits and by in question.own)
    return Sight.CONTENT if is_own else sight_of_others(ruleset, question, who, by)


def sight_of_others(ruleset: Ruleset, question: Question, who: Involved, by: str) -> Sight:
    """Return what somebody may see of what is not their own."""
    if _holds_for(ruleset, by, "approver", question.agency):
        return Sight.CONTENT
    is_asked = who.waits and by in Approvers(ruleset).available_deciders(question)
    if is_asked or (by in who.asked and who.is_recent):
        return Sight.CONTENT
    known = by in who.asked or sees_all(ruleset, by) or asks_for(ruleset, by, question.agency)
    return Sight.FACTS if known else Sight.NOTHING


def check_may_read(id: str, found: Sight, ruleset: Ruleset, by: str, case: str) -> None:
    """Raise NotAllowed where somebody may not read content: admins and auditors may for a case."""
    if found is Sight.CONTENT:
        return
    person = ruleset.people.get(by)
    if person is None or {"admin", "auditor"}.isdisjoint(person.roles):
        raise NotAllowed(f"{id}: {by} may not read it; an approver may, whose it is, and whoever is asked")
    if not case.strip():
        raise NotAllowed(f"{id}: {by} may read it for a case: {OWN_CASE}")
