"""Says on one page how the gate is, and what somebody has to do: for `gatekeeper status`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from gatekeeper.delivery import NextHop
from gatekeeper.ledger.health import Health, find_health
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import utc_text
from gatekeeper.lifecycle import SuspensionState
from gatekeeper.notices import say_count
from gatekeeper.ops.running_metrics import read_metrics
from gatekeeper.policy.active import PolicyError, read_policy
from gatekeeper.settings import Endpoint, Settings
from gatekeeper.store import Store, jobs, suspensions

_LATE_SECONDS = 3_600.0  # after which a mail of the queue waits for something to be mended
_FULL = 0.9  # of what may be kept


@immutable
class RulesOnDisk:
    """The rules of --rules, as a gate would read them now."""

    path: str
    digest: str = ""  # "" where they cannot be used
    error: str = ""
    peers: str = ""  # the file of --peers, and who is in it; "" without one
    without_directory: bool = False  # no source: a list that the gate does not know counts as one person


@immutable
class Status:
    """How the gate is now."""

    health: Health
    rules: RulesOnDisk
    suspended: int
    queued_since: float | None  # when the mail that waits longest was queued
    next_hop_answers: bool | None  # None where --next-hop is not set here
    disk_is_short: bool
    keep_limit: int | None  # octets; None for no limit
    audit_lost: int | None  # decisions that could not be recorded since the start; None where --ops does not answer

    @property
    def to_do(self) -> list[str]:
        """What somebody has to do, as sentences; [] where nothing is."""
        return [*self._of_processes(), *self._of_rules(), *self._of_mail(), *self._of_storage()]

    def _of_processes(self) -> Iterator[str]:
        processes = self.health.processes
        if not processes:
            yield "no process of the gate was there within the last minute: start `gatekeeper serve`, or read its log"
        elif len({each.rules for each in processes}) > 1:
            yield "processes judge by different rules: reload those that are behind (SIGHUP), or read their logs"
        for problem in sorted({each.problem for each in processes} - {"", self.rules.error}):
            yield f"the rules on the disk of a process cannot be used, those of before are in force: {problem}"

    def _of_rules(self) -> Iterator[str]:
        rules, processes = self.rules, self.health.processes
        if rules.error:
            yield f"the rules on disk cannot be used, those of before are in force: {rules.error}"
        elif processes and self.health.rules != rules.digest:
            yield f"{rules.path} is not what is in force: reload (SIGHUP), or name the gate's file with --rules"
        if rules.without_directory:
            yield "the rules name no directory: a list that the gate does not know counts as one person"
        for source in self.health.counts.sources:
            if source.state != "fresh":
                mend = (
                    f"`gatekeeper directory accept {source.name}`, if that is right" if source.state == "shrunk" else ""
                )
                yield f"directory source {source.name} is {source.state}" + (f": {mend}" if mend else "")

    def _of_mail(self) -> Iterator[str]:
        if self.next_hop_answers is False:
            yield "the next hop takes no connection: what is relayed is answered 451, what is released waits"
        if self.queued_since is not None and self.health.now - self.queued_since > _LATE_SECONDS:
            yield f"mail waits since {utc_text(self.queued_since)}: see `gatekeeper queue`"
        if self.health.failed:
            yield f"{say_count(len(self.health.failed), 'mail', 'mails')} given up: see `gatekeeper queue`"

    def _of_storage(self) -> Iterator[str]:
        kept, limit = self.health.counts.kept, self.keep_limit
        if self.disk_is_short:
            yield "the database's disk is nearly full: new mail is answered 452"
        if limit and kept > _FULL * limit:
            yield f"{kept:,} octets of mail are kept, of {limit:,} that may be: decide or withdraw what is held"
        if self.audit_lost:
            lost = say_count(self.audit_lost, "decision", "decisions")
            yield f"{lost} could not be recorded: see the log, and `gatekeeper audit verify`"


def find_status(store: Store, settings: Settings) -> Status:
    """Return how the gate on this database is. Raises StoreError."""
    now = store.now()
    waiting = store.writer.read(jobs.waiting_jobs)
    space = store.database.space
    return Status(
        health=store.writer.read(partial(find_health, now=now)),
        rules=_rules_on_disk(settings),
        suspended=len(
            store.writer.read(partial(suspensions.list_suspensions, now=now, state=SuspensionState.IN_FORCE))
        ),
        queued_since=min((each["queued_at"] for each in waiting), default=None),
        next_hop_answers=asyncio.run(_answers(settings)) if settings.next_hop.next_hop else None,
        disk_is_short=space.is_short(0.0),
        keep_limit=settings.storing.keep_limit.of(space.size),
        audit_lost=_audit_lost(settings.ops.ops),
    )


def _rules_on_disk(settings: Settings) -> RulesOnDisk:
    path, peers = settings.judging.rules, settings.judging.peers
    try:
        policy = read_policy(path, peers=peers)
    except PolicyError as error:
        return RulesOnDisk(str(path), error=str(error))
    named = ", ".join(peer.name for peer in policy.peers.peers)
    said = f"{peers}: {named}" if peers else ""
    return RulesOnDisk(str(path), policy.ruleset.digest, peers=said, without_directory=not policy.ruleset.directory)


async def _answers(settings: Settings) -> bool:
    next_hop = NextHop(settings.next_hop)
    try:
        return await next_hop.answers()
    finally:
        await next_hop.close()


def _audit_lost(ops: Endpoint | None) -> int | None:
    """Return how many decisions the gate could not record, as its metrics say."""
    if ops is None:
        return None
    with suppress(OSError, ValueError):
        lost = [one for one in read_metrics(ops) if one.name == "gatekeeper_audit_records_total"]
        return sum(int(one.value) for one in lost if one.labels == {"result": "lost"})
    return None
