"""The context of every verb: the rules in force, the letterhead of notices, the time; and who may do what."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime

from gatekeeper.address import normalise
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.marks import marked_line
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import LifecycleError
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.outbox.who_decides import whose_yes
from gatekeeper.policy.approvers import Approvers, Question
from gatekeeper.policy.matters import WINDOW
from gatekeeper.rules import Ruleset
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.rules.specs import APPROVER
from gatekeeper.store import Connection, StoreError
from gatekeeper.store.events import Act
from gatekeeper.workdays import Calendar

_MOST_REASON = 10_000  # characters that an act keeps
_LAST_YEAR = 2999  # of dates that people name: time zones end with the year 9999


class LedgerError(Exception):
    """An act that cannot be done; the text names what it was about, what was expected and what to do."""


class NotAllowed(LedgerError):
    """An act by somebody who may not do it."""


Unavailable = StoreError  # the database does not answer; nothing was done


class NotFound(LedgerError):
    """A mailing, request, permit or suspension that is not there."""


@immutable
class VerbContext:
    """What a verb works with: the transaction, the rules in force with the letterhead, and the act.

    Of what is only shown the act has nothing but its time.
    """

    connection: Connection
    letterhead: Letterhead
    act: Act

    @property
    def now(self) -> float:
        """The time of the act, in seconds since 1970."""
        return self.act.at

    @property
    def ruleset(self) -> Ruleset:
        """The rules, which decide who may do what."""
        return self.letterhead.ruleset

    @property
    def moment(self) -> datetime:
        """The time of the act, as an aware datetime."""
        return moment_of(self.now)

    @property
    def calendar(self) -> Calendar:
        """The organisation's working days."""
        return calendar_of(self.ruleset)

    @property
    def today(self) -> date:
        """The day of the act by the organisation's clock."""
        return self.calendar.day(self.moment)

    def window_end(self, day: date) -> float:
        """Return the end of the second working day after `day`, by the organisation's clock. Raises as `end_of`."""
        return self.end_of(self.calendar.add(_not_too_late(day), WINDOW))

    def end_of(self, day: date) -> float:
        """Return the last second of a day. Raises LedgerError for one that no calendar knows."""
        return self.calendar.end_of(_not_too_late(day)).timestamp()

    def start_of(self, day: date) -> float:
        """Return the first second of a day. Raises as `end_of`."""
        return self.calendar.before(_not_too_late(day), 0).timestamp()

    def day_of(self, seconds: float) -> date:
        """Return the day of a time, by the organisation's clock."""
        return self.calendar.day(moment_of(seconds))


def _not_too_late(day: date) -> date:
    if day.year > _LAST_YEAR:
        raise LedgerError(f"{day}: expected a day before {_LAST_YEAR + 1}")
    return day


@contextmanager
def named(id: str) -> Iterator[None]:
    """Raise a LifecycleError of the body as a refusal that names the case."""
    try:
        yield
    except LifecycleError as error:
        raise LedgerError(f"{id}: {error}") from None


def act_of(by: str, reason: str, now: float, login: str = "") -> Act:
    """Return an act of somebody. Args: `login` by which they did it; that of the operating system where not given."""
    return Act(now, normalise(by), login or _login(), marked_line(reason, _MOST_REASON))


def require_reason(ctx: VerbContext, what: str) -> None:
    """Raise LedgerError where no reason is given; `what` names the act and who reads the reason."""
    if not ctx.act.reason:
        raise LedgerError(what)


def denial(ctx: VerbContext, category: str) -> Act:
    """Return the act with the category of a denial (C4). Raises LedgerError for one that the rules do not have."""
    if category not in ctx.ruleset.denials:
        known = ", ".join(ctx.ruleset.denials)
        raise LedgerError(f"category {category!r}: expected one of the rules: {known}")
    return replace(ctx.act, details={**ctx.act.details, "category": category})


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def check_may_decide(ruleset: Ruleset, question: Question, by: str) -> None:
    """Raise NotAllowed where `by` may not decide: the case is their own, or no rule asks them."""
    if refusal := Approvers(ruleset).refusal(question, by):
        raise NotAllowed(refusal)


def check_may_be_asked(ruleset: Ruleset, question: Question, whom: str) -> None:
    """Raise NotAllowed where the rules know nobody of that name, or the case is their own."""
    if whom not in ruleset.people:
        known = ", ".join(ruleset.people_with("owner")) or "nobody is an owner"
        raise NotAllowed(f"{question.id}: {whom} does not stand under people in rules.yaml; owners: {known}")
    if whom in question.own:
        raise NotAllowed(f"{question.id}: it is {whom}'s own; nobody decides their own")


def asked(ruleset: Ruleset, question: Question) -> frozenset[str]:
    """Return everybody whose approval can count, delegates among them."""
    return Approvers(ruleset).available_deciders(question)


def missing(ruleset: Ruleset, question: Question, agreed: Mapping[str, date]) -> tuple[str, ...]:
    """Return who must still agree, as the rules name them. Args: `agreed` are those who have, and on which day."""
    return Approvers(ruleset).missing(question, agreed)


def whose(ctx: VerbContext, question: Question, agreed: Mapping[str, date]) -> str:
    """Return the same by name, as the mails have it; "" where everybody has agreed."""
    return whose_yes(ctx.letterhead, question, agreed) if missing(ctx.ruleset, question, agreed) else ""


def wanted(ruleset: Ruleset, question: Question) -> tuple[str, ...]:
    """Return everybody who must agree, as the rules name them."""
    return missing(ruleset, question, {})


def holds(ruleset: Ruleset, by: str, *roles: str) -> bool:
    """Return True where the person holds one of the roles."""
    person = ruleset.people.get(by)
    return person is not None and not set(roles).isdisjoint(person.roles)


def is_final(ruleset: Ruleset, by: str) -> bool:
    """Return True where a denial by this person cannot be appealed (S2)."""
    person = ruleset.people.get(by)
    return person is not None and person.final


def may_revoke(ruleset: Ruleset, question: Question, by: str) -> None:
    """Raise NotAllowed where `by` may not take back or narrow what was permitted (S3, S5).

    Whoever was asked about it may, and approvers whose role is for it. They may take back what is their own, too, since
    that only takes away.
    """
    of_all = replace(question, own=frozenset())
    may = asked(ruleset, of_all) | Approvers(ruleset).of_terms(of_all, APPROVER)
    if by not in may:
        raise NotAllowed(f"{question.id}: {by} may not take it back; who may: {', '.join(sorted(may)) or 'nobody'}")
