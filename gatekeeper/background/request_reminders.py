"""Looks after requests: tells the requester of each change, notifies and reminds who decides, lets requests lapse.

As with held mailings, each step is one transaction that finds the step still due.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import RequestState
from gatekeeper.outbox import to_approvers, to_requesters
from gatekeeper.outbox.to_requesters import CHANGES
from gatekeeper.outbox.to_senders import Letterhead
from gatekeeper.policy.deadlines import EXPIRE, LEGAL_NOTICE, due_step
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.rules.specs import Span
from gatekeeper.store import Connection, Store, StoreError, requests, views
from gatekeeper.store.events import Act
from gatekeeper.store.reminders import ESCALATED, INFORMED, NOTIFIED, REMINDED, HeldMailing
from gatekeeper.store.requests import RequestView
from gatekeeper.store.views import EventView

log = logging.getLogger("gatekeeper.requests")
_RECENT_SECONDS = 30 * 86_400.0  # for which what happened to a request is still news
_ENDED = frozenset({"approved", "denied", "changes asked", "withdrawn", "expired"})  # what a decision may come to


@dataclass(slots=True)
class RequestReminders:
    """Does the steps of requests that are due."""

    store: Store
    letterhead: Callable[[], Letterhead]
    on_queued: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time

    async def attend(self) -> None:
        """Do the steps that are due; raises StoreError."""
        since = self.clock() - _RECENT_SECONDS
        for request, events in await self.store.read(partial(requests.to_look_after, since=since)):
            if self._due(request, events):
                await self._attend(request.key)

    async def _attend(self, key: int) -> None:
        try:
            done = await self.store.run(partial(self._steps, key=key))
        except StoreError:
            raise
        except Exception:  # a fault of ours with one request must not keep the others waiting
            log.exception("a request could not be looked after")
            return
        if done:
            log.info("%s", done)
            self.on_queued()

    # -- what is due ---------------------------------------------------------------------------------------------

    def _due(self, request: RequestView, events: Sequence[EventView]) -> list[str]:
        """Return the steps that are due, in order."""
        told = [INFORMED] if news_of(events) else []
        if self._is_over(request):
            return [*told, EXPIRE]
        step = self._next_step(request, events) if request.state is RequestState.SUBMITTED else None
        return [*told, step] if step else told

    def _next_step(self, request: RequestView, events: Sequence[EventView]) -> str | None:
        ruleset, since = self.letterhead().ruleset, request.submitted_at
        done = {event.act: event.at for event in events if event.at >= since}
        waiting = HeldMailing(request.key, since, done.get(NOTIFIED), done.get(REMINDED), done.get(ESCALATED))
        legal = request.draft.purpose.casefold() == LEGAL_NOTICE
        held = replace(ruleset.held, expire=Span())
        return due_step(
            waiting, held, calendar_of(ruleset), moment_of(self.clock()), request.draft.needed_by if legal else None
        )

    def _is_over(self, request: RequestView) -> bool:
        last = to_requesters.last_day(self.letterhead(), request)
        waits = request.state in (RequestState.SUBMITTED, RequestState.CHANGES)
        return waits and last is not None and calendar_of(self.letterhead().ruleset).day(moment_of(self.clock())) > last

    # -- what is done, in one transaction ------------------------------------------------------------------------

    def _steps(self, connection: Connection, key: int) -> str | None:
        request = requests.lock_request(connection, key)
        events = views.events_of(connection, request=key)
        steps = self._due(request, events) if request else []
        if request is None or not steps:
            return None
        now = self.clock()
        brief = to_requesters.of_request(self.letterhead(), request, events, now)
        for step in steps:
            if step == INFORMED:
                self._inform(connection, brief, request, events, now)
            elif step == EXPIRE:
                requests.change(connection, request, EXPIRE, Act(now, "", ""), "expired")
            else:
                self._ask(connection, brief, request, step, now)
        return f"{request.id} {', '.join(steps)}"

    def _inform(
        self,
        connection: Connection,
        brief: to_approvers.MatterBrief,
        request: RequestView,
        events: Sequence[EventView],
        now: float,
    ) -> None:
        for event in news_of(events):
            to_requesters.tell_requester(connection, brief, request, event, now)
            if event.act in _ENDED:
                _, outcome, _ = CHANGES[event.act]
                by = (event.by,) if event.by else ()
                decided = to_approvers.MatterOutcome(outcome, by, comment=event.text or "")
                to_approvers.tell_decided(connection, brief, decided, now)
        requests.note_step(connection, request.key, now, INFORMED, [request.requester])

    def _ask(
        self, connection: Connection, brief: to_approvers.MatterBrief, request: RequestView, step: str, now: float
    ) -> None:
        brief = brief.passed_on() if step == ESCALATED else brief
        told = to_approvers.ask(connection, brief, step, now)
        requests.note_step(connection, request.key, now, step, told)
        if step != NOTIFIED:
            to_approvers.tell_sender(connection, brief, step, told, now)


def news_of(events: Sequence[EventView]) -> list[EventView]:
    """Return the events since the requester was last told."""
    told = max((number for number, event in enumerate(events) if event.act == INFORMED), default=-1)
    return [event for event in events[told + 1 :] if event.act in CHANGES]
