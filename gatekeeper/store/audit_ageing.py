"""Old blocks of the audit: merged while they are small, removed when the rules no longer keep them.

What was removed is in the chain of acts, together with all that was removed before and can no longer be read there: how
far each chain is gone; and, since programs before schema 38 removed acts, too, how many rows have an act that is gone.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, func, or_, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import removal
from gatekeeper.store.audit_chain import (
    ACTS,
    AGED_OUT,
    BLOCK,
    Block,
    acts_chain,
    block_of,
    blocks_of,
    lines_of,
    note,
    pack,
)
from gatekeeper.store.db.schema import audit_blocks, audit_chains
from gatekeeper.store.preserved import any_kept, begin_removal

Gone = dict[str, list[int]]  # table -> how many of its rows have an act that is aged out, and the highest of their ids
Keeps = Callable[[Connection, list[bytes]], bool]  # whether something preserved is in these lines


@immutable
class Ageing:
    """Which blocks are removed: those of decisions whose last record is older than `before`. Acts go by disposals."""

    before: float
    limit: int = 200
    keeps: Keeps | None = None  # None: nothing is removed while something is preserved
    spared: Collection[int] = ()  # ids of blocks that were looked at, and kept


@immutable
class Aged:
    """What was done: how many records are gone, and which blocks are kept though they are due."""

    records: int
    spared: frozenset[int] = frozenset()


def age(connection: Connection, ageing: Ageing, now: float) -> Aged:
    """Remove blocks that are due, and that nothing keeps; an act says what was removed.

    Behind a block that stays, the numbers and the head of those that go stay. Chains of which nothing is left are
    removed.
    """
    begin_removal(connection)
    chain = connection.execute(acts_chain()).first()
    acts: int | None = chain.id if chain else None
    preserves = any_kept(connection)
    gone = _gone_before(connection, acts) if acts is not None else {}
    removed, gaps, spared = 0, dict[str, list[Any]](), set[int]()
    for block in _due(connection, ageing, acts):
        if preserves and (ageing.keeps is None or _is_kept(connection, block, ageing.keeps)):
            spared.add(block.id)
            continue
        removed += _remove(connection, block, gaps if preserves else None)
    ended = _end_chains(connection, ageing.before)
    if removed or ended:
        said: dict[str, Any] = {"records": removed, "before": ageing.before, "ended": ended, "rows": gone}
        said |= {"gaps": gaps} if gaps else {}
        note(connection, {"at": now, "act": AGED_OUT, **said, "chains": _beginnings(connection, ageing.before)})
    return Aged(removed, frozenset(spared))


def _due(connection: Connection, ageing: Ageing, acts: int | None) -> list[Block]:
    """Return blocks of other chains than that of acts that are due and have their records, in the order of each."""
    query = select(*BLOCK).where(audit_blocks.c.last_at < ageing.before, audit_blocks.c.payload != b"")
    query = query.where(audit_blocks.c.id.not_in(ageing.spared))
    if acts is not None:
        query = query.where(audit_blocks.c.chain_id != acts)
    query = query.order_by(audit_blocks.c.chain_id, audit_blocks.c.first).limit(ageing.limit)
    return list(map(block_of, connection.execute(query).all()))


def _is_kept(connection: Connection, block: Block, keeps: Keeps) -> bool:
    """Return True where a block stays; one that is damaged stays, for `verify` to find."""
    try:
        return keeps(connection, lines_of(connection, block))
    except (zlib.error, ValueError):
        return True


def _remove(connection: Connection, block: Block, gaps: dict[str, list[Any]] | None) -> int:
    """Remove a block, and the empty ones that follow it; return the number of records.

    One that is not the first of its chain becomes empty where `gaps` may be made, else it stays for now.
    """
    if not removal.remove_block(connection, block):
        if gaps is None:
            return 0
        removal.empty_block(connection, block)
        gaps.setdefault(str(block.chain), []).append([block.first, block.records, block.head.hex()])
        return block.records
    following = select(*BLOCK).where(audit_blocks.c.chain_id == block.chain, audit_blocks.c.first > block.first)
    for row in connection.execute(following.where(audit_blocks.c.payload == b"").order_by(audit_blocks.c.first)).all():
        if not removal.remove_block(connection, block_of(row)):
            break
    return block.records


def _end_chains(connection: Connection, before: float) -> list[int]:
    left = select(audit_blocks.c.id).where(audit_blocks.c.chain_id == audit_chains.c.id).exists()
    over = (audit_chains.c.name != ACTS, audit_chains.c.began_at < before, ~left)
    query = select(audit_chains.c.id).where(*over, audit_chains.c.aged_out == audit_chains.c.records)
    ended = list(connection.execute(query.with_for_update()).scalars())
    removal.remove_chains(connection, ended)
    return ended


def _beginnings(connection: Connection, before: float) -> dict[str, list[Any]]:
    """Return how far each chain is gone whose beginning may be gone from the chain of acts: records, and their head."""
    old = or_(audit_chains.c.began_at < before, audit_chains.c.aged_out > 0)
    rows = connection.execute(select(audit_chains).where(old).order_by(audit_chains.c.id))
    return {str(row.id): [row.aged_out, bytes(row.checkpoint).hex()] for row in rows}


# -- acts that are gone ------------------------------------------------------------------------------------------


def _gone_before(connection: Connection, acts: int) -> Gone:
    """Return what the last act of this kind says of rows."""
    for block in reversed(list(blocks_of(connection, acts))):
        with suppress(zlib.error):
            for line in reversed(lines_of(connection, block)):
                if AGED_OUT.encode() in line and "rows" in (act := json.loads(line)) and act["act"] == AGED_OUT:
                    rows: Gone = act["rows"]
                    return rows
    return {}


# -- merging -----------------------------------------------------------------------------------------------------

_FEW, _MOST, _LEAST_RUN = 2048, 8192, 8  # records of a block worth merging, of a merged one; blocks worth the work
_LONGEST = 86_400.0  # seconds that a merged block may span, so that it can age out


@immutable
class BlockMerge:
    """Consecutive blocks, and their records packed as one."""

    blocks: tuple[Block, ...]
    payload: bytes


def find_block_merge(connection: Connection, before: float) -> BlockMerge | None:
    """Return a run of small blocks of one chain, written before that time, packed as one; None without any."""
    small = (audit_blocks.c.records < _FEW, audit_blocks.c.last_at < before, audit_blocks.c.payload != b"")
    counted = select(audit_blocks.c.chain_id).where(*small).group_by(audit_blocks.c.chain_id)
    for chain in connection.execute(counted.having(func.count() >= _LEAST_RUN)).scalars().all():
        query = select(*BLOCK).where(*small, audit_blocks.c.chain_id == chain).order_by(audit_blocks.c.first)
        run = _run(map(block_of, connection.execute(query.limit(4 * _FEW)).all()))
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
    return removal.replace_blocks(connection, merger.blocks, merger.payload)
