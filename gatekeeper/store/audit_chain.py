"""The stored audit: chains of records, in blocks. The contents of a record are made in `audit/record.py`.

Every record is a line, hashed together with the head of all records before it: changing, removing or inserting one
changes every later head. Blocks may be merged, as the hash goes by records. When old records are removed, a checkpoint
stays, from which the rest can still be verified.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import audit_blocks, audit_chains, audit_frames
from gatekeeper.store.db.statements import upsert

ACTS = "acts"
Head = bytes  # SHA-256


class ChainLost(Exception):
    """The chain does not end where its writer left it: a backup was restored, or another process wrote to it."""


@immutable
class ChainEnd:
    """The end of a chain, as its writer knows it."""

    id: int
    records: int
    head: Head


@immutable
class RecordGroup:
    """Records to be written together, with the times (seconds since 1970) of the earliest and the latest."""

    lines: tuple[bytes, ...]
    first_at: float
    last_at: float


@immutable
class Block:
    """Records that are stored together; `first` is the number of its first record in the chain."""

    id: int
    chain: int
    first: int
    records: int
    first_at: float
    last_at: float
    head: Head


def root(name: str, began_at: float) -> Head:
    """Return the head of a chain without records."""
    return sha256(f"{name}\n{began_at!r}".encode()).digest()


def follow(head: Head, lines: Iterable[bytes]) -> Head:
    """Return the head after more records."""
    for line in lines:
        head = sha256(head + line).digest()
    return head


def pack(lines: Iterable[bytes], level: int = 1) -> bytes:
    """Return lines as a block stores them; `level` is zlib's."""
    return zlib.compress(b"\n".join(lines), level)


def _unpack(payload: bytes) -> list[bytes]:
    """Return the lines of a block; raise zlib.error where it was damaged."""
    return zlib.decompress(payload).split(b"\n")


# -- writing -----------------------------------------------------------------------------------------------------


def begin(connection: Connection, name: str, now: float) -> ChainEnd:
    """Begin a chain."""
    head = root(name, now)
    row = {"name": name, "began_at": now, "records": 0, "head": head, "aged_out": 0, "checkpoint": head}
    key = connection.execute(insert(audit_chains).values(**row)).inserted_primary_key
    assert key is not None
    return ChainEnd(int(key[0]), 0, head)


def append(
    connection: Connection, end: ChainEnd, written: RecordGroup, payload: bytes, frames: Mapping[str, str]
) -> ChainEnd:
    """Write records after the chain's end, and return the new end. Harmless where they have been written already.

    Args: `payload` are the packed lines; `frames` are those that the records refer to. Raises ChainLost.
    """
    new = ChainEnd(end.id, end.records + len(written.lines), follow(end.head, written.lines))
    row = connection.execute(_end_of(end.id)).first()
    kept = ChainEnd(end.id, row.records, bytes(row.head)) if row else None
    if kept == new:  # a commit whose answer was lost
        return new
    if kept != end:
        raise ChainLost
    for name, text in frames.items():
        made = upsert(connection, audit_frames).values(name=name, text=text)
        connection.execute(made.on_conflict_do_nothing(index_elements=["name"]))
    _add_block(connection, end, new, written, payload)
    return new


def note(connection: Connection, line: bytes, at: float) -> None:
    """Write one line to the chain of acts, in the transaction of the act."""
    query = select(audit_chains).where(audit_chains.c.name == ACTS).order_by(audit_chains.c.id).limit(1)
    row = connection.execute(query.with_for_update()).one()
    end = ChainEnd(row.id, row.records, bytes(row.head))
    new = ChainEnd(end.id, end.records + 1, follow(end.head, [line]))
    _add_block(connection, end, new, RecordGroup((line,), at, at), pack([line]))


def _end_of(id: int) -> Any:
    return select(audit_chains.c.records, audit_chains.c.head).where(audit_chains.c.id == id).with_for_update()


def _add_block(connection: Connection, end: ChainEnd, new: ChainEnd, written: RecordGroup, payload: bytes) -> None:
    row = {
        "chain_id": end.id,
        "first": end.records + 1,
        "records": len(written.lines),
        "first_at": written.first_at,
        "last_at": written.last_at,
        "head": new.head,
        "payload": payload,
    }
    connection.execute(insert(audit_blocks).values(**row))
    grown = update(audit_chains).where(audit_chains.c.id == end.id)
    connection.execute(grown.values(records=new.records, head=new.head))


# -- reading -----------------------------------------------------------------------------------------------------

_BLOCK = tuple(audit_blocks.c[name] for name in ("id", "chain_id", "first", "records", "first_at", "last_at", "head"))


def blocks_between(connection: Connection, since: float, until: float) -> list[Block]:
    """Return blocks that may have records of that time, by the time of their first record."""
    query = select(*_BLOCK).where(audit_blocks.c.last_at >= since, audit_blocks.c.first_at <= until)
    rows = connection.execute(query.order_by(audit_blocks.c.first_at, audit_blocks.c.id))
    return [_block(row) for row in rows]


def lines_of(connection: Connection, block: Block) -> list[bytes]:
    """Return the records of a block, also where it has been merged since; none where it has aged out.

    Raises zlib.error where they were damaged.
    """
    holds = (audit_blocks.c.chain_id == block.chain, audit_blocks.c.first <= block.first)
    query = select(audit_blocks.c.first, audit_blocks.c.payload).where(*holds)
    row = connection.execute(query.order_by(audit_blocks.c.first.desc()).limit(1)).first()
    if row is None:
        return []
    start = block.first - row.first
    return _unpack(bytes(row.payload))[start : start + block.records]


def read_frames(connection: Connection) -> dict[str, str]:
    """Return every frame, by name."""
    rows = connection.execute(select(audit_frames.c.name, audit_frames.c.text))
    return {row.name: row.text for row in rows}


def _block(row: Any) -> Block:
    id, chain, first, records, first_at, last_at, head = row
    return Block(id, chain, first, records, first_at, last_at, bytes(head))


# -- verifying ---------------------------------------------------------------------------------------------------


@immutable
class ChainReport:
    """The result of verifying one chain."""

    id: int
    name: str
    began_at: float
    records: int
    aged_out: int
    head: Head
    problem: str = ""  # what does not fit, and where; "" where all does


def verify(connection: Connection, on_block: Callable[[int], None] = lambda records: None) -> list[ChainReport]:
    """Verify every chain from its checkpoint to its end. Args: `on_block` is called with the number of records of
    each block.
    """
    rows = connection.execute(select(audit_chains).order_by(audit_chains.c.id)).all()
    return [
        ChainReport(
            row.id,
            row.name,
            row.began_at,
            row.records,
            row.aged_out,
            bytes(row.head),
            _problem(connection, row, on_block),
        )
        for row in rows
    ]


def _problem(connection: Connection, chain: Any, on_block: Callable[[int], None]) -> str:
    head, number = bytes(chain.checkpoint), chain.aged_out
    if not number and head != root(chain.name, chain.began_at):
        return "its beginning was changed"
    for block in _blocks_of(connection, chain.id):
        if block.first != number + 1:
            return f"records {number + 1} to {block.first - 1} are missing"
        problem, head = _follow_block(connection, block, head)
        number += block.records
        on_block(block.records)
        if problem:
            return problem
    if (number, head) != (chain.records, bytes(chain.head)):
        return f"it ends with record {number}: {chain.records} were written"
    return ""


def _follow_block(connection: Connection, block: Block, head: Head) -> tuple[str, Head]:
    place = f"records {block.first} to {block.first + block.records - 1}"
    try:
        lines = lines_of(connection, block)
    except zlib.error:
        return f"{place} are damaged", head
    if len(lines) != block.records:
        return f"{place} are {len(lines)}", head
    head = follow(head, lines)
    return ("" if head == block.head else f"{place} are not what was written"), head


def _blocks_of(connection: Connection, chain: int) -> Iterator[Block]:
    query = select(*_BLOCK).where(audit_blocks.c.chain_id == chain).order_by(audit_blocks.c.first)
    yield from map(_block, connection.execute(query).all())


def head_at(connection: Connection, chain: int, number: int) -> Head | None:
    """Return the head of a chain after that many records; None where it can no longer be told, or not yet."""
    row = connection.execute(select(audit_chains).where(audit_chains.c.id == chain)).first()
    if row is None or not row.aged_out <= number <= row.records:
        return None
    head, reached = bytes(row.checkpoint), row.aged_out
    for block in _blocks_of(connection, chain):
        if reached == number:
            break
        taken = lines_of(connection, block)[: number - reached]
        head, reached = follow(head, taken), reached + len(taken)
    return head


# -- ageing out, and merging -------------------------------------------------------------------------------------


def age_out(connection: Connection, before: float, limit: int = 200) -> int:
    """Remove up to `limit` blocks whose last record is older, from the beginning of their chains; return the number of
    records.

    Chains of which nothing is left are removed, except the chain of acts.
    """
    query = (
        select(*_BLOCK).where(audit_blocks.c.last_at < before).order_by(audit_blocks.c.chain_id, audit_blocks.c.first)
    )
    removed = sum(_remove(connection, block) for block in map(_block, connection.execute(query.limit(limit)).all()))
    left = select(audit_blocks.c.id).where(audit_blocks.c.chain_id == audit_chains.c.id).exists()
    ended = (audit_chains.c.name != ACTS, audit_chains.c.began_at < before, ~left)
    connection.execute(delete(audit_chains).where(*ended, audit_chains.c.aged_out == audit_chains.c.records))
    return removed


def _remove(connection: Connection, block: Block) -> int:
    """Remove a block, if it is the first of its chain; return the number of records."""
    aged = {"aged_out": block.first + block.records - 1, "checkpoint": block.head}
    is_first = (audit_chains.c.id == block.chain, audit_chains.c.aged_out == block.first - 1)
    if not connection.execute(update(audit_chains).where(*is_first).values(**aged)).rowcount:
        return 0
    connection.execute(delete(audit_blocks).where(audit_blocks.c.id == block.id))
    return block.records


_FEW, _MOST, _LEAST_RUN = 2048, 8192, 8  # records of a block worth merging, of a merged one; blocks worth the work
_LONGEST = 86_400.0  # seconds that a merged block may span, so that it can age out


@immutable
class BlockMerge:
    """Consecutive blocks, and their records packed as one."""

    blocks: tuple[Block, ...]
    payload: bytes


def find_block_merge(connection: Connection, before: float) -> BlockMerge | None:
    """Return a run of small blocks of one chain, written before that time, packed as one; None without any."""
    small = (audit_blocks.c.records < _FEW, audit_blocks.c.last_at < before)
    counted = select(audit_blocks.c.chain_id).where(*small).group_by(audit_blocks.c.chain_id)
    for chain in connection.execute(counted.having(func.count() >= _LEAST_RUN)).scalars().all():
        query = select(*_BLOCK).where(*small, audit_blocks.c.chain_id == chain).order_by(audit_blocks.c.first)
        run = _run(map(_block, connection.execute(query.limit(4 * _FEW)).all()))
        if len(run) >= _LEAST_RUN:
            with suppress(zlib.error):  # what was damaged is left for `verify` to find
                return BlockMerge(run, pack((line for block in run for line in lines_of(connection, block)), 9))
    return None


def _run(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Return the first long run of blocks that fit together."""
    run: list[Block] = []
    records = 0
    for block in blocks:
        fits = run and block.first == run[-1].first + run[-1].records
        if not (fits and block.last_at - run[0].first_at <= _LONGEST and records + block.records <= _MOST):
            if len(run) >= _LEAST_RUN:
                break
            run, records = [], 0
        run.append(block)
        records += block.records
    return tuple(run)


def merge(connection: Connection, merger: BlockMerge) -> bool:
    """Replace several blocks by one; return False where one of them has changed since."""
    first, *others = merger.blocks
    gone = delete(audit_blocks).where(audit_blocks.c.id.in_([block.id for block in others]))
    if connection.execute(gone).rowcount != len(others):
        return False
    whole = {
        "records": sum(block.records for block in merger.blocks),
        "first_at": min(block.first_at for block in merger.blocks),
        "last_at": max(block.last_at for block in merger.blocks),
        "head": merger.blocks[-1].head,
        "payload": merger.payload,
    }
    same = (audit_blocks.c.id == first.id, audit_blocks.c.records == first.records)
    return bool(connection.execute(update(audit_blocks).where(*same).values(**whole)).rowcount)
