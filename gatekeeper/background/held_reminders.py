"""What time does to a held mailing that nobody decides: who decides is told and reminded, it is passed on, it expires.

One step at a time, each in one transaction that finds it still to be done: any number of processes may look.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial

from gatekeeper.lifecycle import BatchState
from gatekeeper.message import read_facts, subject_key
from gatekeeper.model import Attachment
from gatekeeper.notices import Occasion
from gatekeeper.outbox import to_approvers
from gatekeeper.outbox.to_approvers import Files
from gatekeeper.outbox.to_senders import Voice, queue_report, report_to
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.rules.specs import Held, Span
from gatekeeper.store import Connection, Store, StoreError, batches, mailings, requests, views
from gatekeeper.store import reminders as steps
from gatekeeper.store.events import Act
from gatekeeper.store.reminders import PASSED_ON, REMINDED, TOLD, Waiting
from gatekeeper.store.requests import RequestView
from gatekeeper.workdays import Calendar

log = logging.getLogger("gatekeeper.waiting")
EXPIRE = "expire"
SETTLE = timedelta(seconds=2)  # so that of a mailing of many batches the first notice says what most of it is
LEGAL_NOTICE = "legal notice"
_LOOKED_AT = 20  # messages of different content that are searched for files: all of many would delay other notices


def due(waiting: Waiting, held: Held, calendar: Calendar, now: datetime, needed_by: date | None = None) -> str | None:
    """The step that is to be done about a held mailing now: expire, told, passed on, reminded; None for none.

    Args: `needed_by` is the day by which a legal notice must have left.
    """
    since = _moment(waiting.since)
    if _over(calendar, since, held.expire, now):
        return EXPIRE
    if waiting.told is None:
        return TOLD if now >= since + SETTLE else None
    if waiting.passed_on is None and _passes_on(held, calendar, since, now, needed_by):
        return PASSED_ON
    last = max(filter(None, (waiting.reminded, waiting.passed_on)), default=waiting.since)
    return REMINDED if _over(calendar, _moment(last), held.remind, now) else None


def _passes_on(held: Held, calendar: Calendar, since: datetime, now: datetime, needed_by: date | None) -> bool:
    escalate = held.escalate
    if needed_by and now >= calendar.before(needed_by, escalate.before.working_days, escalate.before.time):
        return True
    return _over(calendar, since, escalate.after, now)


def _over(calendar: Calendar, since: datetime, span: Span, now: datetime) -> bool:
    return bool(span) and now >= calendar.after(since, span.working_days, span.time)


def needed_by(waiting: Waiting, legal: Iterable[RequestView]) -> date | None:
    """The first day by which a held mailing is needed: what a request says of a legal notice of that name."""
    key = subject_key(waiting.subject)
    asked = (each.draft for each in legal if each.draft.subject_key == key and waiting.sender in each.draft.senders)
    return min((draft.needed_by for draft in asked if draft.needed_by), default=None)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(slots=True)
class Patience:
    """Looks after held mailings."""

    store: Store
    voice: Callable[[], Voice]
    on_queued: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time
    _legal_notices: Sequence[RequestView] = ()

    async def attend(self) -> None:
        """Do what is due; raises StoreError."""
        self._legal_notices = await self.store.read(partial(requests.with_purpose, purpose=LEGAL_NOTICE))
        for waiting in await self.store.read(steps.waiting_mailings):
            if self._due(waiting):
                await self._attend(waiting.key)

    async def _attend(self, key: int) -> None:
        try:
            files = await self._files(key)
            done = await self.store.run(partial(self._step, key=key, files=files))
        except StoreError:
            raise
        except mailings.OnItsWay:
            return  # it expires when the next hop has answered
        except Exception:  # a fault of ours with one mailing must not keep the others waiting
            log.exception("a held mailing could not be looked after")
            return
        if done:
            log.info("%s", done)
            self.on_queued()

    def _due(self, waiting: Waiting) -> str | None:
        ruleset, day = self.voice().ruleset, needed_by(waiting, self._legal_notices)
        return due(waiting, ruleset.held, calendar_of(ruleset), _moment(self.clock()), day)

    async def _files(self, key: int) -> Files | None:
        """What is attached to its messages, each file once; of very many different ones the first are looked at."""
        bodies = await self.store.read(partial(steps.bodies_of, key=key))
        found: dict[Attachment, None] = {}
        for body in bodies[:_LOOKED_AT]:
            content = await self.store.read(partial(_content, body=body))
            found |= dict.fromkeys((await asyncio.to_thread(read_facts, content)).attachments)
        return Files(tuple(found), len(bodies[:_LOOKED_AT]), len(bodies)) if bodies else None

    # -- one step, in one transaction ----------------------------------------------------------------------------

    def _step(self, connection: Connection, key: int, files: Files | None) -> str | None:
        """Do the step that is due, if it is still; returns what to log."""
        waiting = steps.lock_waiting(connection, key)
        step = self._due(waiting) if waiting else None
        if waiting is None or step is None:
            return None
        if step == EXPIRE:
            return self._expire(connection, key)
        now = self.clock()
        affair = to_approvers.of_mailing(connection, self.voice(), key, now, files)
        if affair is None:
            return None  # not one batch of it has been acknowledged yet
        affair = affair.passed_on() if step == PASSED_ON else affair
        told = to_approvers.ask(connection, affair, step, now)
        steps.note(connection, key, now, step, told)
        if step != TOLD:
            to_approvers.tell_sender(connection, affair, step, told, now)
        return f"{affair.matter.id} {step} nrcpt={len(told)}"

    def _expire(self, connection: Connection, key: int) -> str:
        """Return it to its sender: one delivery report for all of it, and a word to those who were asked."""
        mailing, voice, now = views.view_mailing(connection, key), self.voice(), self.clock()
        kept = views.find_batches(connection, key, BatchState.HELD)
        affair = to_approvers.of_mailing(connection, voice, key, now)
        mailings.close(connection, mailing, EXPIRE, Act(now, "", ""), BatchState.RETURNED)
        reasons = tuple(reason.text for reason in mailing.reasons)
        to = report_to(kept, mailing, any(batch.notify for batch in kept))
        queue_report(connection, voice, mailing, kept, to, Occasion.LAPSED, reasons, now)
        to_approvers.tell_decided(connection, affair, "not decided in time, and went back to its sender", "", "", now)
        return f"{mailing.id} expired"


def _content(connection: Connection, body: bytes) -> bytes:
    return b"".join(batches.read_chunks(connection, body))
