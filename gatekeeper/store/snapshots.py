"""What a person has seen of a mailing: whom it reached, why it was held, and which batches there were."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, field, fields
from typing import Any

from sqlalchemy import Connection, func, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import KEPT_BATCHES, UNACKNOWLEDGED, BatchState, MailingState
from gatekeeper.store import versions
from gatekeeper.store.db.schema import batches
from gatekeeper.store.views import MailingView

_DECIDABLE = frozenset({MailingState.HELD, MailingState.GATHERING})  # a gathering mailing may be held next


@immutable
class MailingSnapshot:
    """A mailing as it was at one moment."""

    mailing: int  # key in the database: nothing was seen of another mailing that it was merged with
    users: int
    external: int
    agencies: tuple[str, ...]
    lists: tuple[str, ...]
    rules: tuple[str, ...]
    position: int  # the place of the newest batch that was durable then
    last: int  # the highest id of a batch then; batches of versions before 0009 have no place

    def as_row(self) -> dict[str, Any]:
        """Return the snapshot as JSON."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> MailingSnapshot | None:
        """Read what `as_row` made; None for the state of something else."""
        if "position" not in row:
            return None
        known = {each.name: row[each.name] for each in fields(cls)}
        return cls(**known | {name: tuple(row[name]) for name in ("agencies", "lists", "rules")})

    def has(self, id: int, place: int | None) -> bool:
        """Return True where the batch of that id and place was there."""
        return id <= self.last if place is None else place <= self.position


@immutable
class KeptBatch:
    """A stored batch, as far as a comparison with a snapshot needs it."""

    id: int
    place: int | None
    state: BatchState
    digest: str  # of its content
    body: bytes = field(repr=False)


@immutable
class KeptBatches:
    """The batches of a mailing that were or are stored."""

    batches: tuple[KeptBatch, ...]

    def held(self) -> frozenset[str]:
        """Return the content digests of held batches."""
        return frozenset(one.digest for one in self.batches if one.state is BatchState.HELD)

    def seen_in(self, snapshot: MailingSnapshot) -> frozenset[str]:
        """Return the content digests of batches that were there at that moment."""
        return frozenset(one.digest for one in self.batches if snapshot.has(one.id, one.place))

    def has_come_since(self, snapshot: MailingSnapshot) -> bool:
        """Return True where a batch is held that was not there at that moment."""
        held = (one for one in self.batches if one.state is BatchState.HELD)
        return any(not snapshot.has(one.id, one.place) for one in held)

    def bodies(self, digests: Collection[str]) -> list[bytes]:
        """Return one body for each of these contents."""
        return list({one.digest: one.body for one in self.batches if one.digest in digests}.values())


def kept_batches(connection: Connection, mailing_key: int) -> KeptBatches:
    """Return the acknowledged batches of a mailing that were not sent back."""
    kept = batches.c.state.in_(KEPT_BATCHES - UNACKNOWLEDGED)
    columns = (batches.c.id, batches.c.place, batches.c.state, batches.c.content_digest, batches.c.body)
    rows = connection.execute(select(*columns).where(batches.c.mailing_id == mailing_key, kept).order_by(batches.c.id))
    return KeptBatches(
        tuple(KeptBatch(id, place, BatchState(state), digest, bytes(body)) for id, place, state, digest, body in rows)
    )


def _snapshots_of(connection: Connection, mailings: Iterable[MailingView]) -> dict[int, MailingSnapshot]:
    """Return snapshots of mailings as they are now, by key."""
    known = {mailing.key: mailing for mailing in mailings}
    query = select(batches.c.mailing_id, func.max(batches.c.id)).where(batches.c.mailing_id.in_(list(known)))
    last: dict[int, int] = dict(map(tuple, connection.execute(query.group_by(batches.c.mailing_id)))) if known else {}
    return {key: _snapshot(mailing, last.get(key, 0)) for key, mailing in known.items()}


def snapshot_of(connection: Connection, mailing: MailingView) -> MailingSnapshot:
    """Return a snapshot of a mailing as it is now."""
    return _snapshots_of(connection, [mailing])[mailing.key]


def _snapshot(mailing: MailingView, last: int) -> MailingSnapshot:
    return MailingSnapshot(
        mailing=mailing.key,
        users=mailing.counts.users,
        external=mailing.counts.external,
        agencies=tuple(sorted(mailing.counts.agencies)),
        # a mailing that is not held may turn out to be ordinary mail, of which no address is to be kept
        lists=tuple(sorted(mailing.counts.lists)) if mailing.state is MailingState.HELD else (),
        rules=tuple(sorted({reason.rule for reason in mailing.reasons})),
        position=mailing.kept,
        last=last,
    )


def states_of(connection: Connection, mailings: Iterable[MailingView]) -> dict[str, Mapping[str, Any]]:
    """Return the snapshots behind the versions of those of these mailings that can be decided."""
    shown = {mailing.key: mailing for mailing in mailings if mailing.state in _DECIDABLE}
    snapshots = _snapshots_of(connection, shown.values())
    return {shown[key].version: snapshot.as_row() for key, snapshot in snapshots.items()}


def store_shown(connection: Connection, mailings: Iterable[MailingView], now: float) -> None:
    """Store the snapshots behind the versions that a person is about to be shown, for mailings that can be decided."""
    versions.keep(connection, states_of(connection, mailings), now)
