"""What waits for a decision: held mailings and requests, first what waits for one person, the soonest to end on top."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from gatekeeper.ledger.context import NotFound, VerbContext
from gatekeeper.ledger.lists import ListPage, Sought
from gatekeeper.ledger.sight import asks_for, sees_all
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.outbox import to_requesters
from gatekeeper.outbox.who_decides import question_of_held
from gatekeeper.policy.agreement import Agreements, agreements_of, agreements_to_request
from gatekeeper.policy.approvers import Approvers, Question
from gatekeeper.policy.matters import MatterKind, last_day, moment_after
from gatekeeper.store import matter_people, views
from gatekeeper.store import requests as stored_requests
from gatekeeper.store.held import HeldFacts, held_facts
from gatekeeper.store.matter_people import MAILING, REQUEST
from gatekeeper.store.views import MailingView

__all__ = ["MatterKind", "Queue", "Waiting", "count", "waiting"]
_FOR_EVER = math.inf
_ARRIVES_SECONDS = 60.0  # since more of it came, in which it is said to be still arriving


@immutable
class Waiting:
    """A held mailing or a request in the queue of one person."""

    kind: MatterKind
    id: str
    subject: str
    sender: str  # or who asks
    agency: str | None  # of the sender or requester, by its id
    users: int
    rules: tuple[str, ...]
    since: float
    ends: datetime | None  # when it goes back or expires undecided; None where it waits for ever
    yours: bool
    key: int  # in the database
    version: str = ""
    agreed: tuple[str, ...] = ()
    missing: int = 0  # how many must still agree
    is_arriving: bool = False  # more of it came in the last minute

    @property
    def place(self) -> tuple[bool, float, str, int]:
        """Its place in the queue."""
        ends = self.ends.timestamp() if self.ends else _FOR_EVER
        return not self.yours, ends, self.kind.value, int(self.id[2:])


@immutable
class Queue:
    """A part of what waits, and how many matters wait for the person whose queue it is."""

    page: ListPage[Waiting]
    yours: int


def waiting(ctx: VerbContext, sought: Sought) -> Queue:
    """Return a part of what waits and the person may see. Raises NotFound for a place that is none."""
    after = _read_place(sought.after)
    everything = list(_all(ctx))
    found = sorted((each for each in everything if _is_sought(each, sought)), key=lambda each: each.place)
    rest = [each for each in found if after is None or each.place > after]
    is_more = len(rest) > sought.limit
    next = _write_place(rest[sought.limit - 1]) if is_more else None
    page = ListPage(_as_they_are(ctx, rest[: sought.limit]), next, len(found))
    return Queue(page, sum(each.yours for each in everything))


def count(ctx: VerbContext) -> int:
    """Return how many matters wait for the person of the act."""
    return sum(each.yours for each in _all(ctx))


def _is_sought(each: Waiting, sought: Sought) -> bool:
    """Return True for a matter that is looked for."""
    words = sought.words.lower().split()
    text = f"{each.id} {each.subject} {each.sender}".lower()
    return (
        sought.kind in ("", each.kind)
        and sought.agency in ("", each.agency)
        and sought.sender.lower() in ("", each.sender)
        and (not sought.rule or sought.rule in each.rules)
        and (each.yours or not sought.mine)
        and all(word in text for word in words)
    )


def _as_they_are(ctx: VerbContext, rows: Sequence[Waiting]) -> list[Waiting]:
    """Return rows with the versions of mailings, and whether more of them comes just now."""
    keys = [each.key for each in rows if each.kind is MatterKind.MAILING]
    mailings = {each.id: each for each in views.view_mailings(ctx.connection, keys)} if keys else {}
    return [_as_it_is(each, mailings[each.id], ctx.now) if each.id in mailings else each for each in rows]


def _as_it_is(each: Waiting, mailing: MailingView, now: float) -> Waiting:
    is_arriving = mailing.changed_at > each.since and now - mailing.changed_at <= _ARRIVES_SECONDS
    return replace(each, version=mailing.version, is_arriving=is_arriving)


# -- places ------------------------------------------------------------------------------------------------------

_PLACE = re.compile(r"([01])\.(\d+|inf)\.(mailing|request)\.(\d{1,9})")


def _write_place(each: Waiting) -> str:
    """Return where the part after this row begins; it is good whatever becomes of the row."""
    is_others, ends, kind, number = each.place
    return f"{is_others:d}.{ends:.0f}.{kind}.{number}"


def _read_place(text: str) -> tuple[bool, float, str, int] | None:
    if not text:
        return None
    found = _PLACE.fullmatch(text)
    if found is None:
        raise NotFound(f"after {text!r}: expected what the part before names as the next")
    return found[1] == "1", float(found[2]), found[3], int(found[4])


def _all(ctx: VerbContext) -> Iterator[Waiting]:
    yield from _mailings(ctx)
    yield from _requests(ctx)


# -- held mailings -----------------------------------------------------------------------------------------------


def _mailings(ctx: VerbContext) -> Iterator[Waiting]:
    known, decided_by, by = _Known(ctx, MAILING), _Deciders(ctx), ctx.act.by
    today, expire = ctx.today, ctx.ruleset.held.expire
    for held in held_facts(ctx.connection):
        question = question_of_held(ctx.letterhead, held, today)
        may_decide, undecided = decided_by.answer(question)
        if not (may_decide or held.key in known or known.sees(question.agency)):
            continue
        agreements = _agreements(ctx, held) if held.agreed else Agreements()
        days = agreements.days(ctx.ruleset)
        yield Waiting(
            kind=MatterKind.MAILING,
            id=held.id,
            subject=held.subject,
            sender=held.sender,
            agency=question.agency,
            users=held.users,
            rules=held.rules,
            since=held.held_at,
            ends=_whole_seconds(moment_after(ctx.calendar, moment_of(held.held_at), expire)),
            yours=may_decide and by not in agreements.people,
            key=held.key,
            agreed=agreements.people,
            missing=Approvers(ctx.ruleset).number_missing(question, days) if days else undecided,
        )


def _agreements(ctx: VerbContext, held: HeldFacts) -> Agreements:
    (mailing,) = views.view_mailings(ctx.connection, [held.key])
    events = views.timeline(ctx.connection, held.key)
    return agreements_of(ctx.connection, mailing, events)


def _whole_seconds(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(microsecond=0)


class _Deciders:
    """Says who decides questions, of which most are alike."""

    def __init__(self, ctx: VerbContext) -> None:
        self._by, self._approvers = ctx.act.by, Approvers(ctx.ruleset)
        heads = {agency.head for agency in ctx.ruleset.agencies.values() if agency.head}
        places = {each.delegate.to for each in ctx.ruleset.people.values() if each.delegate}
        self._telling = frozenset({*ctx.ruleset.people, *heads, *places, self._by})
        self._found: dict[Hashable, tuple[bool, int]] = {}

    def answer(self, question: Question) -> tuple[bool, int]:
        """Return whether the person may decide the question, and how many must agree where nobody has yet."""
        audience = question.agency, question.lists, question.agencies
        alike = question.own & self._telling, audience, question.rules, question.also, question.escalated
        found = self._found.get(alike)
        if found is None:
            may = self._approvers.refusal(question, self._by) is None
            found = self._found[alike] = may, self._approvers.number_missing(question, {})
        return found


class _Known:
    """What the person of the act may see beside what they decide: all, of agencies of theirs, or these keys."""

    def __init__(self, ctx: VerbContext, kind: str) -> None:
        self._ctx, self._sees_all = ctx, sees_all(ctx.ruleset, ctx.act.by)
        self._keys = frozenset() if self._sees_all else matter_people.of(ctx.connection, kind, ctx.act.by)

    def __contains__(self, key: int) -> bool:
        return key in self._keys

    def sees(self, agency: str | None) -> bool:
        """Return True where they see all that an agency sends or asks for."""
        return self._sees_all or asks_for(self._ctx.ruleset, self._ctx.act.by, agency)


# -- requests ----------------------------------------------------------------------------------------------------


def _requests(ctx: VerbContext) -> Iterator[Waiting]:
    known, decided_by, by = _Known(ctx, REQUEST), _Deciders(ctx), ctx.act.by
    today = ctx.today
    for request, events in stored_requests.submitted(ctx.connection):
        question = to_requesters.question_of(ctx.letterhead, request, request.rules, events, today)
        may_decide, undecided = decided_by.answer(question)
        is_own = by == request.requester or by in request.draft.senders
        if not (may_decide or is_own or request.key in known or known.sees(request.draft.agency)):
            continue
        agreements = agreements_to_request(request, events)
        days = agreements.days(ctx.ruleset)
        last = last_day(ctx.ruleset, request)
        yield Waiting(
            kind=MatterKind.REQUEST,
            id=request.id,
            subject=request.draft.subject,
            sender=request.requester,
            agency=request.draft.agency,
            users=request.draft.users,
            rules=request.rules,
            since=request.submitted_at,
            ends=ctx.calendar.before(last + timedelta(days=1), 0) if last else None,
            yours=may_decide and by not in agreements.people,
            key=request.key,
            version=request.version,
            agreed=agreements.people,
            missing=Approvers(ctx.ruleset).number_missing(question, days) if days else undecided,
        )
