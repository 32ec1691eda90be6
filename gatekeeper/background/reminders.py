"""Attends to matters that wait for people, held mailings and requests.

Notifies and reminds who decides, passes a matter on, lets it expire, and tells a requester of each change.

Each matter has a transaction of its own, which looks again which steps are due: any number of processes may do this.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from gatekeeper.background import custodians
from gatekeeper.lib.aio import run_long
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import BatchState, RequestState
from gatekeeper.message.preview import read_opening
from gatekeeper.notices import Occasion
from gatekeeper.outbox import to_approvers, to_requesters, to_reviewers
from gatekeeper.outbox.delivery_reports import EndOfMailing, queue_report
from gatekeeper.outbox.held_content import LOOKED_AT, HeldContent, content_of
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.outbox.matter_brief import MatterBrief, MatterOutcome, of_mailing
from gatekeeper.outbox.to_approvers import Asked
from gatekeeper.outbox.to_requesters import RequestNews
from gatekeeper.policy import agreement, matters
from gatekeeper.policy.matters import EXPIRE, LEGAL_NOTICE, Matter, MatterKind
from gatekeeper.policy.planned_rules import rules_for
from gatekeeper.rules import Ruleset
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import (
    Connection,
    Store,
    StoreError,
    batch_views,
    mailings,
    permit_views,
    permits,
    reminders,
    requests,
    views,
)
from gatekeeper.store.across import is_common
from gatekeeper.store.batches import read_body
from gatekeeper.store.events import ESCALATED, INFORMED, NOTIFIED, Act, Event, record
from gatekeeper.store.requests import RequestView
from gatekeeper.store.views import EventView

log = logging.getLogger("gatekeeper.reminders")
_RECENT_SECONDS = 30 * 86_400.0  # for which what happened to a request is still news


@dataclass(slots=True)
class Reminders:
    """Takes the steps that are due about matters."""

    store: Store
    letterhead: Callable[[], Letterhead]
    on_queued: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time
    _assessed: str = ""  # digest of the rules by which requests that are not needed were looked at last

    async def attend(self) -> None:
        """Take the steps that are due; raises StoreError."""
        await self._attend("request", self._reassess())
        await self._attend_emergencies()
        await self._attend_custodians()
        for matter in await self.store.read(self._find):
            if self._due(matter):
                await self._attend(matter.kind, self._look_after(matter))

    async def _reassess(self) -> None:
        """Submit requests that were not needed, and that a rule would hold since the rules have changed."""
        ruleset = self.letterhead().ruleset
        if ruleset.digest != self._assessed:
            await self.store.run(partial(_need_again, ruleset=ruleset, now=self.clock()))
            self._assessed = ruleset.digest

    async def _attend_emergencies(self) -> None:
        """Tell approvers of emergencies at once, and remind them of those that nobody has reviewed."""
        for permit in await self.store.read(partial(permit_views.list_permits, review=permits.OPEN)):
            events = await self.store.read(partial(views.events_of, permit=permit.key))
            if not to_reviewers.due_step(self.letterhead().ruleset, events, self.clock()):
                continue
            await self._attend("emergency", self.store.run(partial(self._review, number=int(permit.id[2:]))))

    async def _attend_custodians(self) -> None:
        """Remind custodians of legal holds that they have not acknowledged."""
        letterhead, now = self.letterhead(), self.clock()
        due = partial(custodians.due_holds, ruleset=letterhead.ruleset, now=now)
        for number in await self.store.read(due):
            step = partial(custodians.remind, letterhead=letterhead, number=number, now=now)
            await self._attend("hold", self.store.run(step))

    def _review(self, connection: Connection, number: int) -> str | None:
        """Take the step that is due about an emergency, if it still is; return a line for the log."""
        permit, now, letterhead = permit_views.lock_permit(connection, number), self.clock(), self.letterhead()
        events = views.events_of(connection, permit=permit.key) if permit else []
        step = to_reviewers.due_step(letterhead.ruleset, events, now)
        if permit is None or permit.review != permits.OPEN or step is None:
            return None
        told = to_reviewers.ask_for_review(connection, letterhead, permit, step, now)
        record(connection, Event(now, step, text=", ".join(sorted(told)) or None, permit_id=permit.key))
        return f"{permit.id} {step} nrcpt={len(told)}"

    async def _look_after(self, matter: Matter) -> str | None:
        content = await self._read_ahead(matter)
        return await self.store.run(partial(self._take_steps, matter=matter, content=content))

    async def _attend(self, kind: str, steps: Awaitable[str | None]) -> None:
        """Take the steps about one thing that waits, and write its line to the log; raises StoreError."""
        try:
            taken = await steps
        except StoreError:
            raise
        except mailings.MailingInFlight:
            return  # it expires when the next hop has answered
        except Exception:  # a fault of ours with one of them must not keep the others waiting
            log.exception("%s: what waits for people could not be attended to", kind)
            return
        if taken:
            log.info("%s", taken)
            self.on_queued()

    def _due(self, matter: Matter) -> list[str]:
        ruleset = self.letterhead().ruleset
        return matters.due_steps(matter, ruleset.held, calendar_of(ruleset), moment_of(self.clock()))

    # -- read ----------------------------------------------------------------------------------------------------

    def _find(self, connection: Connection) -> list[Matter]:
        """Return all that waits: held mailings, undecided requests, and requests of which there may be news."""
        ruleset, legal = self.letterhead().ruleset, requests.with_purpose(connection, LEGAL_NOTICE)
        held = [matters.matter_of_mailing(ruleset, each, legal) for each in reminders.held_mailings(connection)]
        recent = requests.to_look_after(connection, self.clock() - _RECENT_SECONDS)
        return [*held, *(self._matter_of_request(request, events) for request, events in recent)]

    def _lock(self, connection: Connection, matter: Matter) -> Matter | None:
        """Return a matter as it is now, locked until the transaction ends; None where it no longer waits."""
        if matter.kind is MatterKind.MAILING:
            held, legal = reminders.lock_held(connection, matter.key), requests.with_purpose(connection, LEGAL_NOTICE)
            return matters.matter_of_mailing(self.letterhead().ruleset, held, legal) if held else None
        request = requests.lock_request(connection, matter.key)
        return self._matter_of_request(request, views.events_of(connection, request=request.key)) if request else None

    def _matter_of_request(self, request: RequestView, events: list[EventView]) -> Matter:
        has_news = bool(to_requesters.news_of(events))
        return matters.matter_of_request(self.letterhead().ruleset, request, events, has_news=has_news)

    async def _read_ahead(self, matter: Matter) -> HeldContent | None:
        """Read what needs no lock: the state of agreements, and the messages of a matter.

        Of many messages of different content only the first are read.
        """
        if matter.kind is MatterKind.REQUEST:
            bodies = await self.store.read(partial(requests.bodies_of, key=matter.key))
        else:
            await self.store.read(partial(_read_agreements, key=matter.key))
            bodies = await self.store.read(partial(reminders.bodies_of, key=matter.key))
        openings = []
        for body in bodies[:LOOKED_AT]:
            message = await self.store.read(partial(read_body, digest=body))
            openings.append(await run_long(read_opening, message))
        return content_of(openings, len(bodies))

    # -- the steps of one matter, in one transaction -------------------------------------------------------------

    def _take_steps(self, connection: Connection, matter: Matter, content: HeldContent | None) -> str | None:
        """Take the steps that are due, if they still are; return a line for the log."""
        locked = self._lock(connection, matter)
        steps = self._due(locked) if locked else []
        taken = [self._take(connection, matter, step, content) for step in steps]
        return "; ".join(filter(None, taken)) or None

    def _take(self, connection: Connection, matter: Matter, step: str, content: HeldContent | None) -> str | None:
        if step == EXPIRE:
            is_mailing = matter.kind is MatterKind.MAILING
            return self._return(connection, matter.key) if is_mailing else self._lapse(connection, matter.key)
        brief, now = self._brief(connection, matter, content), self.clock()
        if brief is None:
            return None  # not one batch of it has been acknowledged yet
        if step == INFORMED:
            asked = Asked(self._inform(connection, matter.key, brief))
        else:
            brief = brief.passed_on() if step == ESCALATED else brief
            asked = to_approvers.ask(connection, brief, step, now)
        told = ", ".join(sorted(asked.people)) or None
        _note(connection, matter, Event(now, step, text=told, details=asked.as_details()))
        if step not in (INFORMED, NOTIFIED):
            to_approvers.tell_senders(connection, brief, step, asked.people, now)
        return f"{brief.question.id} {step} nrcpt={len(asked.people)}"

    def _brief(self, connection: Connection, matter: Matter, content: HeldContent | None) -> MatterBrief | None:
        if matter.kind is MatterKind.MAILING:
            return of_mailing(connection, self.letterhead(), matter.key, self.clock(), content)
        return to_requesters.of_request(
            self.letterhead(), *_read_request(connection, matter.key), self.clock(), content
        )

    def _inform(self, connection: Connection, key: int, brief: MatterBrief) -> frozenset[str]:
        """Tell the requester what has become of a request, and those who were asked what it has come to."""
        request, events = _read_request(connection, key)
        news, given = to_requesters.news_of(events), permit_views.permits_of(connection, key)
        was_told = any(event.act == INFORMED for event in events)
        for event in news:
            first, last = event is news[0] and not was_told, event is news[-1]
            told = RequestNews(request, event, given, first, last)
            to_requesters.tell_requester(connection, brief, told, self.clock())
            if outcome := to_requesters.outcome_of(brief.letterhead.ruleset, event):
                to_approvers.tell_decided(connection, brief, outcome, self.clock())
        return frozenset({request.requester})

    def _lapse(self, connection: Connection, key: int) -> str:
        """Let a request expire; its requester is told at the next look."""
        request, _ = _read_request(connection, key)
        requests.change(connection, request, EXPIRE, Act(self.clock(), "", ""), "expired")
        return f"{request.id} expired"

    def _return(self, connection: Connection, key: int) -> str:
        """Return a mailing to its sender with one delivery report, and tell those who were asked."""
        mailing, letterhead, now = views.view_mailing(connection, key), self.letterhead(), self.clock()
        kept = batch_views.find_batches(connection, key, BatchState.HELD)
        brief = of_mailing(connection, letterhead, key, now)
        common = is_common(connection, key)
        mailings.close(connection, mailing, EXPIRE, Act(now, "", ""), BatchState.RETURNED)
        reasons = tuple(reason.text for reason in mailing.reasons)
        queue_report(connection, letterhead, EndOfMailing(mailing, kept, Occasion.LAPSED, reasons, common=common), now)
        outcome = MatterOutcome("not decided in time", then="went back to its sender")
        to_approvers.tell_decided(connection, brief, outcome, now)
        return f"{mailing.id} expired"


def _need_again(connection: Connection, ruleset: Ruleset, now: float) -> None:
    moment = moment_of(now)
    for request in requests.unneeded_from(connection, calendar_of(ruleset).day(moment)):
        rules = rules_for(ruleset, request.draft, request.draft.users, moment)
        locked = requests.lock_request(connection, request.key) if rules else None
        if locked is not None and locked.state is RequestState.UNNEEDED:
            requests.need(connection, locked, rules, now)


def _note(connection: Connection, matter: Matter, step: Event) -> None:
    """Write a step to the matter's timeline."""
    of_mailing = matter.kind is MatterKind.MAILING
    record(connection, replace(step, mailing_id=matter.key) if of_mailing else replace(step, request_id=matter.key))


def _read_request(connection: Connection, key: int) -> tuple[RequestView, list[EventView]]:
    """Return a request that is locked, and its timeline."""
    request = requests.lock_request(connection, key)
    assert request is not None
    return request, views.events_of(connection, request=key)


def _read_agreements(connection: Connection, key: int) -> None:
    agreement.read_ahead(connection, views.view_mailing(connection, key))
