"""Judges held mailings again when a permit may cover them, and releases those that are covered whole.

A mailing leaves whole or not at all, as a gather does: where one batch differs from the permit, the whole
mailing waits, and its reasons say how that batch differs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256

from gatekeeper import notices, rules
from gatekeeper.audit.record import RECHECKED, DecisionContext
from gatekeeper.audit.recorder import Auditor
from gatekeeper.background.rejudge import Rejudged, read_kept, rejudge
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.model import Action, Facts, Reason, Standing
from gatekeeper.notices import ApprovalNote
from gatekeeper.ops.log import Id, event
from gatekeeper.outbox import to_approvers, to_senders
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.outbox.matter_brief import MatterOutcome, of_mailing
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.policy.evidence import Judgment
from gatekeeper.store import Connection, Store, StoreError, rechecks
from gatekeeper.store.permit_givers import givers
from gatekeeper.store.rechecks import RecheckCandidate

log = logging.getLogger("gatekeeper.meetings")


@immutable
class RecheckOutcome:
    """The outcome for one held mailing: the permits that released it, () where it stays held."""

    mailing: str
    key: int
    permits: tuple[str, ...]
    judged: Mapping[int, Judgment]  # by batch

    def done(self, judged: Judgment) -> str:
        """Return what became of a batch: where one batch has to wait, all do."""
        return judged.verdict.action.value if self.permits else Action.HOLD.value


@dataclass(slots=True)
class Rechecks:
    """Judges due held mailings again. Any number of these, in any number of processes, share a database."""

    active_policy: ActivePolicy
    store: Store
    letterhead: Callable[[], Letterhead]
    on_queued: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time
    auditor: Auditor | None = None

    async def run_due(self) -> None:
        """Judge every mailing again that is due; raises StoreError."""
        for key in await self.store.read(partial(rechecks.due_rechecks, now=self.clock())):
            try:
                looked = await self.store.run(partial(self._look, key=key))
            except StoreError:
                raise
            except Exception:  # a fault of ours with one mailing must not keep all others waiting
                log.exception("a held mailing could not be looked at again")
                continue
            if looked is not None:
                self._record(looked)
            if looked and looked.permits:
                self.on_queued()
                event("released", {"mailing": Id(looked.mailing), "permits": ",".join(looked.permits)})

    def _record(self, looked: RecheckOutcome) -> None:
        if self.auditor is None:
            return
        for batch, judged in looked.judged.items():
            watched = rules.observed(judged.ruleset, judged.evidence, judged.now)
            about = DecisionContext(
                f"batch-{batch}", looked.done(judged), RECHECKED, looked.key, looked.mailing, watched
            )
            self.auditor.judged(judged, about)

    def _look(self, connection: Connection, key: int) -> RecheckOutcome | None:
        """Judge one mailing as things stand, and release it where it is covered whole.

        None where it is held no more.
        """
        candidate = rechecks.read_candidate(connection, key)
        if candidate is None:
            return None
        judged = self._judge(connection, candidate)
        while not judged.still_so(connection, key):  # of those that it has locked now, none can change any more
            judged = self._judge(connection, candidate)
        now = self.clock()
        if candidate.batches and judged.action.passes and judged.permits:
            brief = of_mailing(connection, self.letterhead(), key, now)
            rechecks.release_candidate(connection, candidate, judged.permits, now)
            self._tell(connection, candidate, judged.permits, now)
            outcome = MatterOutcome("approved", _named(connection, judged.permits), "is on its way")
            to_approvers.tell_decided(connection, brief, outcome, now)
            return RecheckOutcome(candidate.mailing.id, key, judged.permits, judged.each)
        rechecks.keep_held(connection, candidate, _holding(judged), _begins(judged.standing, now))
        return RecheckOutcome(candidate.mailing.id, key, (), judged.each)

    def _judge(self, connection: Connection, candidate: RecheckCandidate) -> Rejudged:
        facts: dict[bytes, Facts] = {}
        policy = self.active_policy.current
        kept = read_kept(connection, candidate.batches, facts, policy)
        return rejudge(connection, candidate, kept, policy, self.clock())

    def _tell(self, connection: Connection, candidate: RecheckCandidate, permits: tuple[str, ...], now: float) -> None:
        """Tell each sender by whose permit their part of the mailing is released."""
        mailing, letterhead = candidate.mailing, self.letterhead()
        for own in to_senders.by_sender(candidate.batches):
            summary = letterhead.summary(mailing, mailing.reasons, own[0])
            recipients = sum(batch.tally.recipients for batch in own)
            note = ApprovalNote(_named(connection, permits), recipients=recipients)
            render = partial(notices.released_notice, approval=note)
            notice = to_senders.SenderNotice(once_name(mailing.id, permits), mailing.key, summary, render)
            to_senders.queue_notice(connection, letterhead, notice, moment_of(now))


def _named(connection: Connection, permits: Sequence[str]) -> tuple[str, ...]:
    """Return who gave the permits, with the permits beside the last of them."""
    *others, last = givers(connection, permits)
    return (*others, f"{last} ({'permit' if len(permits) == 1 else 'permits'} {', '.join(permits)})")


def once_name(mailing: str, permits: Sequence[str]) -> str:
    """Return the name of the notice that these permits released the mailing; short for any number of permits."""
    return f"released:{mailing}:{sha256(','.join(permits).encode()).hexdigest()[:16]}"


def _holding(judged: Rejudged) -> tuple[Reason, ...]:
    return tuple(reason for reason in judged.reasons if reason.action is Action.HOLD)


def _begins(standing: Standing, now: float) -> datetime | None:
    """Return when the first of the permits begins that have not begun yet; None where all have."""
    coming = [permit.since for permit in standing.permits if permit.since and permit.since.timestamp() > now]
    return min(coming, default=None)
