"""The stored audit: chains of records, in blocks. The contents of a record are made in `audit/record.py`.

Every record is a line, hashed together with the head of all records before it: changing, removing or inserting one
changes every later head. Blocks may be merged, as the hash goes by records. When old records are removed, a checkpoint
stays, from which the rest can still be verified. The chain of acts says which other chains there are, and how far.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b, sha256
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import audit_blocks, audit_chains, audit_frames
from gatekeeper.store.db.statements import noted, upsert

ACTS = "acts"
BEGUN, HEAD, AGED_OUT = "chain begun", "chain head", "aged out"  # acts of the audit itself
ACTS_DESTROYED = "acts destroyed"
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


def octets(value: Any) -> bytes:
    """Return octets that a database has; also where somebody has put a text in their place, as SQLite allows."""
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def unpack(payload: bytes) -> list[bytes]:
    """Return the lines of a block, none of one whose records have aged out; raise zlib.error where it was damaged."""
    if not payload:
        return []
    return zlib.decompress(payload).split(b"\n")


# -- writing -----------------------------------------------------------------------------------------------------


def begin(connection: Connection, name: str, now: float) -> ChainEnd:
    """Begin a chain, and write that to the chain of acts."""
    end = _begin(connection, name, now)
    note(connection, {"at": now, "act": BEGUN, "chain": end.id})
    return end


def _begin(connection: Connection, name: str, now: float) -> ChainEnd:
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


def note(connection: Connection, act: Mapping[str, Any]) -> None:
    """Note an act, with its time as `at`: it is written to the chain of acts at the end of the transaction.

    Who writes to that chain waits for whoever has written to it and has not committed: that must not last, nor be in
    the middle of other locks.
    """
    noted(connection).append(act)


def add_acts(connection: Connection, written: RecordGroup) -> None:
    """Write lines to the chain of acts; to a new one where somebody has removed it, which `verify` finds."""
    row = connection.execute(acts_chain().with_for_update()).first()
    end = ChainEnd(row.id, row.records, bytes(row.head)) if row else _begin(connection, ACTS, written.first_at)
    new = ChainEnd(end.id, end.records + len(written.lines), follow(end.head, written.lines))
    _add_block(connection, end, new, written, pack(written.lines))


def acts_chain() -> Select[Any]:
    """Select the chain of acts."""
    return select(audit_chains).where(audit_chains.c.name == ACTS).order_by(audit_chains.c.id).limit(1)


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

BLOCK = tuple(audit_blocks.c[name] for name in ("id", "chain_id", "first", "records", "first_at", "last_at", "head"))


def blocks_between(connection: Connection, since: float, until: float) -> list[Block]:
    """Return blocks that may have records of that time, by the time of their first record."""
    query = select(*BLOCK).where(audit_blocks.c.last_at >= since, audit_blocks.c.first_at <= until)
    rows = connection.execute(query.order_by(audit_blocks.c.first_at, audit_blocks.c.id))
    return [block_of(row) for row in rows]


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
    return unpack(octets(row.payload))[start : start + block.records]


@immutable
class LocatedLine:
    """A recorded line with its place: the head of its chain before and after it."""

    chain: int
    record: int
    before: Head
    line: bytes
    after: Head


def located_lines(connection: Connection, block: Block) -> Iterator[LocatedLine]:
    """Yield the lines of a block with their places, also where it has been merged since; none where it has aged out.

    Raises zlib.error where they were damaged.
    """
    earlier = audit_blocks.alias()
    ends = (earlier.c.chain_id == audit_blocks.c.chain_id, earlier.c.first + earlier.c.records == audit_blocks.c.first)
    before = select(earlier.c.head).where(*ends).scalar_subquery()
    query = select(audit_blocks.c.first, audit_blocks.c.payload, func.coalesce(before, audit_chains.c.checkpoint))
    query = query.join(audit_chains, audit_chains.c.id == audit_blocks.c.chain_id)
    query = query.where(audit_blocks.c.chain_id == block.chain, audit_blocks.c.first <= block.first)
    row = connection.execute(query.order_by(audit_blocks.c.first.desc()).limit(1)).first()
    if row is None:
        return
    first, payload, head = row
    at = octets(head)
    for number, line in enumerate(unpack(octets(payload)), first):
        after = follow(at, [line])
        if block.first <= number < block.first + block.records:
            yield LocatedLine(block.chain, number, at, line, after)
        at = after


def line_at(connection: Connection, chain: int, number: int) -> LocatedLine | None:
    """Return a line by its place, by the heads of blocks; None where it is not there any more, or not yet.

    Raises zlib.error where it was damaged.
    """
    return next(located_lines(connection, Block(0, chain, number, 1, 0.0, 0.0, b"")), None)


def frame_name(text: str) -> str:
    """Return the name of a frame: a short digest of its text."""
    return blake2b(text.encode(), digest_size=8).hexdigest()


def read_frames(connection: Connection) -> dict[str, str]:
    """Return every frame, by name."""
    rows = connection.execute(select(audit_frames.c.name, audit_frames.c.text))
    return {row.name: row.text for row in rows}


def block_of(row: Any) -> Block:
    id, chain, first, records, first_at, last_at, head = row
    return Block(id, chain, first, records, first_at, last_at, octets(head))


def blocks_of(connection: Connection, chain: int) -> Iterator[Block]:
    """Yield the blocks of a chain in their order."""
    query = select(*BLOCK).where(audit_blocks.c.chain_id == chain).order_by(audit_blocks.c.first)
    yield from map(block_of, connection.execute(query).all())


def heads_of_acts(connection: Connection, after: int) -> list[tuple[int, int, Head]]:
    """Return the chain of acts, records and head after each block that was written since it had so many records.

    Where it had fewer than none, return only the newest.
    """
    chain = connection.execute(acts_chain()).first()
    if chain is None or chain.records == after:
        return []
    newest = (chain.id, chain.records, bytes(chain.head))
    query = select(audit_blocks.c.first, audit_blocks.c.records, audit_blocks.c.head).order_by(audit_blocks.c.first)
    query = query.where(audit_blocks.c.chain_id == chain.id, audit_blocks.c.first > after)
    rows = connection.execute(query.where(audit_blocks.c.first <= chain.records)).all() if after >= 0 else []
    return [*((chain.id, row.first + row.records - 1, bytes(row.head)) for row in rows[:-1]), newest]


def head_at(connection: Connection, chain: int, number: int) -> Head | None:
    """Return the head of a chain after that many records; None where it can no longer be told, or not yet."""
    row = connection.execute(select(audit_chains).where(audit_chains.c.id == chain)).first()
    if row is None or not row.aged_out <= number <= row.records:
        return None
    head, reached = bytes(row.checkpoint), row.aged_out
    for block in blocks_of(connection, chain):
        if reached == number:
            break
        taken = lines_of(connection, block)[: number - reached]
        if not taken:  # its records have aged out
            if block.first + block.records - 1 > number:
                return None
            head, reached = block.head, block.first + block.records - 1
            continue
        head, reached = follow(head, taken), reached + len(taken)
    return head
