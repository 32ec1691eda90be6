"""Judges kept batches again: their own facts, with the present counts, ledger and rules.

Used where a gather ends, and where a permit may cover a held mailing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from gatekeeper import rules
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.message import read_facts
from gatekeeper.model import Action, Counts, Evidence, Facts, Likeness, Reason, Source, Standing, Transaction
from gatekeeper.policy.active import Policy
from gatekeeper.policy.agreement import likeness_of
from gatekeeper.policy.evidence import Judgment, audience_of, shared_text_of, source_of
from gatekeeper.store import Connection
from gatekeeper.store.across import SharedTexts, count_gathered_across
from gatekeeper.store.batch_views import StoredBatch
from gatekeeper.store.batches import read_body
from gatekeeper.store.permit_uses import lock
from gatekeeper.store.standing import Claimant, LedgerQuery, whole_standing
from gatekeeper.store.views import MailingView


@immutable
class Kept:
    """A kept batch as it came in: envelope, facts of its message, source."""

    batch: StoredBatch
    transaction: Transaction
    facts: Facts
    source: Source

    @property
    def claimant(self) -> Claimant:
        """Return what a permit may match: source and subject."""
        return Claimant(self.source, self.facts.subject_key)


def read_kept(
    connection: Connection, batches: Iterable[StoredBatch], facts: dict[bytes, Facts], policy: Policy
) -> list[Kept]:
    """Read kept batches.

    Args: `facts` of bodies are looked up here and added to: batches of one message share them.
    """
    return [_kept(connection, batch, facts, policy) for batch in batches]


def _kept(connection: Connection, batch: StoredBatch, facts: dict[bytes, Facts], policy: Policy) -> Kept:
    content = b""
    if batch.body not in facts:
        content = read_body(connection, batch.body)
        facts[batch.body] = read_facts(content)
    transaction = Transaction(
        listener=batch.listener,
        client=batch.client,
        sender=batch.sender,
        recipients=tuple(view.recipient for view in batch.recipients),
        content=content,
        parameters=batch.parameters,
        login=batch.login,
        authenticated=batch.authenticated,
    )
    return Kept(batch, transaction, facts[batch.body], source_of(transaction, facts[batch.body], policy))


@immutable
class Rejudged:
    """The judgments on all batches of a mailing, by the ids of the batches, and the standing that they relied on."""

    each: Mapping[int, Judgment]
    standing: Standing

    @property
    def action(self) -> Action:
        """The worst action of the batches, which governs all."""
        actions = (judged.verdict.action for judged in self.each.values())
        return max(actions, key=lambda action: action.severity, default=Action.RELAY)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Every reason once, whichever batch gave it."""
        found: dict[str, Reason] = {}
        for judged in self.each.values():
            for reason in judged.verdict.reasons:
                found.setdefault(reason.rule, reason)
        return tuple(found.values())

    @property
    def counts(self) -> Counts:
        """The counts by which all are judged."""
        return next((judged.evidence.counts for judged in self.each.values()), Counts())

    @property
    def lasting(self) -> frozenset[str]:
        """The rules by which any batch is refused for how far the mailing reaches."""
        return frozenset().union(*(judged.verdict.lasting for judged in self.each.values()))

    @property
    def mendable(self) -> frozenset[str]:
        """Those of them about something in the message."""
        return frozenset().union(*(judged.verdict.mendable for judged in self.each.values()))

    @property
    def permits(self) -> tuple[str, ...]:
        """The permits by which the batches pass, where all of them do."""
        every = (permit for judged in self.each.values() for permit in judged.verdict.permits)
        return tuple(dict.fromkeys(every)) if self.action.passes else ()

    def without_repairs(self) -> Rejudged:
        """Return the same judgments, by which the messages pass as they came."""
        each = {id: replace(judged, verdict=judged.verdict.without_repairs()) for id, judged in self.each.items()}
        return Rejudged(each, self.standing)

    def still_so(self, connection: Connection, mailing_key: int) -> bool:
        """Lock the permits that the judgments rely on; return True where they have not changed since."""
        fresh = lock(connection, mailing_key, self.permits, self.standing)
        return all(fresh.get(permit.id, permit) == permit for permit in self.standing.permits)


def rejudge_gathered(
    connection: Connection, about: About, kept: Collection[Kept], policy: Policy, now: float
) -> Rejudged:
    """Do as `rejudge`, by the counts of all mailings that share a text of the gathered one."""
    mailing, ruleset = about.mailing, policy.ruleset
    texts = frozenset(shared_text_of(each.facts, each.source, policy) for each in kept)
    shared = SharedTexts(texts, now - ruleset.mailing.within.total_seconds(), ruleset.least_people)
    counts = count_gathered_across(connection, mailing.key, mailing.counts, shared)
    return _rejudge(_Judging(connection, counts, kept, policy, now), about)


def rejudge(connection: Connection, about: About, kept: Collection[Kept], policy: Policy, now: float) -> Rejudged:
    """Judge all batches of a mailing by its own standing, and by the whole ledger where a verdict may need it."""
    return _rejudge(_Judging(connection, about.mailing.counts, kept, policy, now), about)


def _rejudge(judging: _Judging, about: About) -> Rejudged:
    own = judging.by(about.standing)
    if not any(judged.verdict.depends_on_ledger for judged in own.each.values()):
        return own
    claimants, earlier = [each.claimant for each in judging.kept], judging.policy.ruleset.earlier
    query = LedgerQuery(claimants, earlier, judging.now, about.source, about.mailing.key)
    return judging.by(whole_standing(judging.connection, about.standing, query))


@immutable
class _Judging:
    """Batches of a mailing that are judged with the counts of the whole mailing."""

    connection: Connection
    counts: Counts
    kept: Collection[Kept]
    policy: Policy
    now: float

    def by(self, standing: Standing) -> Rejudged:
        """Judge each batch by that standing."""
        moment, ruleset, judged = moment_of(self.now), self.policy.ruleset, dict[int, Judgment]()
        likenesses = _likenesses(self.connection, self.kept, standing)
        for each in self.kept:
            evidence = Evidence(
                each.transaction,
                each.facts,
                audience_of(each.transaction.addresses, each.facts, self.policy, each.transaction.recipients),
                self.counts,
                standing,
                each.source,
                arrived=moment_of(each.batch.received_at),
                likeness=likenesses.get(each.batch.body),
            )
            verdict = rules.judge(ruleset, evidence, moment)
            judged[each.batch.id] = Judgment(ruleset, evidence, verdict, moment)
        return Rejudged(judged, standing)


def _likenesses(connection: Connection, kept: Collection[Kept], standing: Standing) -> dict[bytes, Likeness | None]:
    if not any(permit.likeness for permit in standing.permits):
        return {}
    bodies = {each.batch.body for each in kept}
    return {body: likeness_of(connection, body) for body in bodies}


class About(Protocol):
    """A mailing that is judged again, as it was read."""

    @property
    def mailing(self) -> MailingView: ...

    @property
    def standing(self) -> Standing: ...

    @property
    def source(self) -> bytes:
        """Keyed hash of the mailing's source."""
        ...
