"""Looks after held mailings that nobody decides: notifies and reminds who decides, passes them on, lets them expire.

One step at a time, each in one transaction that finds the step still due: any number of processes may look.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gatekeeper.lib.aio import run_long
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import BatchState
from gatekeeper.message import read_facts
from gatekeeper.model import Attachment
from gatekeeper.notices import Occasion
from gatekeeper.outbox import to_approvers
from gatekeeper.outbox.to_approvers import Files, MatterOutcome
from gatekeeper.outbox.to_senders import EndOfMailing, Letterhead, queue_report
from gatekeeper.policy import agreement
from gatekeeper.policy.deadlines import EXPIRE, LEGAL_NOTICE, due_step, needed_by
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import Connection, Store, StoreError, batches, mailings, requests, views
from gatekeeper.store import reminders as steps
from gatekeeper.store.events import Act
from gatekeeper.store.reminders import ESCALATED, NOTIFIED, HeldMailing
from gatekeeper.store.requests import RequestView

log = logging.getLogger("gatekeeper.held")
_LOOKED_AT = 20  # messages of different content that are searched for files: all of many would delay other notices


@dataclass(slots=True)
class HeldReminders:
    """Does the steps of held mailings that are due."""

    store: Store
    letterhead: Callable[[], Letterhead]
    on_queued: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time
    _legal_notices: Sequence[RequestView] = ()

    async def attend(self) -> None:
        """Do the steps that are due; raises StoreError."""
        self._legal_notices = await self.store.read(partial(requests.with_purpose, purpose=LEGAL_NOTICE))
        for held in await self.store.read(steps.held_mailings):
            if self._due(held):
                await self._attend(held.key)

    async def _attend(self, key: int) -> None:
        try:
            files = await self._files(key)
            await self.store.read(partial(_read_ahead, key=key))
            done = await self.store.run(partial(self._step, key=key, files=files))
        except StoreError:
            raise
        except mailings.MailingInFlight:
            return  # it expires when the next hop has answered
        except Exception:  # a fault of ours with one mailing must not keep the others held
            log.exception("a held mailing could not be looked after")
            return
        if done:
            log.info("%s", done)
            self.on_queued()

    def _due(self, held: HeldMailing) -> str | None:
        ruleset, day = self.letterhead().ruleset, needed_by(held, self._legal_notices)
        return due_step(held, ruleset.held, calendar_of(ruleset), moment_of(self.clock()), day)

    async def _files(self, key: int) -> Files | None:
        """Read the files attached to the messages of a mailing, each once; of many messages only the first are read."""
        bodies = await self.store.read(partial(steps.bodies_of, key=key))
        found: dict[Attachment, None] = {}
        for body in bodies[:_LOOKED_AT]:
            content = await self.store.read(partial(_content, body=body))
            found |= dict.fromkeys((await run_long(read_facts, content)).attachments)
        return Files(tuple(found), len(bodies[:_LOOKED_AT]), len(bodies)) if bodies else None

    # -- one step, in one transaction ----------------------------------------------------------------------------

    def _step(self, connection: Connection, key: int, files: Files | None) -> str | None:
        """Do the step that is due, if it still is; returns a line for the log."""
        held = steps.lock_held(connection, key)
        step = self._due(held) if held else None
        if held is None or step is None:
            return None
        if step == EXPIRE:
            return self._expire(connection, key)
        now = self.clock()
        brief = to_approvers.of_mailing(connection, self.letterhead(), key, now, files)
        if brief is None:
            return None  # not one batch of it has been acknowledged yet
        brief = brief.passed_on() if step == ESCALATED else brief
        told = to_approvers.ask(connection, brief, step, now)
        steps.note_step(connection, key, now, step, told)
        if step != NOTIFIED:
            to_approvers.tell_sender(connection, brief, step, told, now)
        return f"{brief.matter.id} {step} nrcpt={len(told)}"

    def _expire(self, connection: Connection, key: int) -> str:
        """Return a mailing to its sender with one delivery report, and tell those who were asked."""
        mailing, letterhead, now = views.view_mailing(connection, key), self.letterhead(), self.clock()
        kept = views.find_batches(connection, key, BatchState.HELD)
        brief = to_approvers.of_mailing(connection, letterhead, key, now)
        mailings.close(connection, mailing, EXPIRE, Act(now, "", ""), BatchState.RETURNED)
        reasons = tuple(reason.text for reason in mailing.reasons)
        queue_report(connection, letterhead, EndOfMailing(mailing, kept, Occasion.LAPSED, reasons), now)
        outcome = MatterOutcome("not decided in time", then="went back to its sender")
        to_approvers.tell_decided(connection, brief, outcome, now)
        return f"{mailing.id} expired"


def _content(connection: Connection, body: bytes) -> bytes:
    return b"".join(batches.read_chunks(connection, body))


def _read_ahead(connection: Connection, key: int) -> None:
    agreement.read_ahead(connection, views.view_mailing(connection, key))
