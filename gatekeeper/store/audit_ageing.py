"""Old blocks of the audit: merged while they are small, removed when the rules no longer keep them.

What was removed is in the chain of acts, together with all that was removed before and can no longer be read there: how
far each chain is gone, and how many rows of the ledger have an act that is.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select, update

from gatekeeper.lib.immutable import immutable
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

Gone = dict[str, list[int]]  # table -> how many of its rows have an act that is aged out, and the highest of their ids


def age_out(connection: Connection, before: float, now: float, limit: int = 200) -> int:
    """Remove up to `limit` blocks whose last record is older, from the beginning of their chains; return the number of
    records.

    Chains of which nothing is left are removed, except the chain of acts. An act says what was removed.
    """
    chain = connection.execute(acts_chain()).first()
    acts: int | None = chain.id if chain else None
    query = (
        select(*BLOCK).where(audit_blocks.c.last_at < before).order_by(audit_blocks.c.chain_id, audit_blocks.c.first)
    )
    gone = _gone_before(connection, acts) if acts is not None else {}
    removed = 0
    for block in map(block_of, connection.execute(query.limit(limit)).all()):
        if block.chain == acts and not _add_gone(connection, block, gone):
            continue
        removed += _remove(connection, block)
    ended = _end_chains(connection, before)
    if removed or ended:
        said = {"records": removed, "before": before, "ended": ended, "rows": gone}
        note(connection, {"at": now, "act": AGED_OUT, **said, "chains": _beginnings(connection, before)})
    return removed


def _remove(connection: Connection, block: Block) -> int:
    """Remove a block, if it is the first of its chain; return the number of records."""
    aged = {"aged_out": block.first + block.records - 1, "checkpoint": block.head}
    is_first = (audit_chains.c.id == block.chain, audit_chains.c.aged_out == block.first - 1)
    if not connection.execute(update(audit_chains).where(*is_first).values(**aged)).rowcount:
        return 0
    connection.execute(delete(audit_blocks).where(audit_blocks.c.id == block.id))
    return block.records


def _end_chains(connection: Connection, before: float) -> list[int]:
    left = select(audit_blocks.c.id).where(audit_blocks.c.chain_id == audit_chains.c.id).exists()
    over = (audit_chains.c.name != ACTS, audit_chains.c.began_at < before, ~left)
    query = select(audit_chains.c.id).where(*over, audit_chains.c.aged_out == audit_chains.c.records)
    ended = list(connection.execute(query.with_for_update()).scalars())
    connection.execute(delete(audit_chains).where(audit_chains.c.id.in_(ended)))
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


def _add_gone(connection: Connection, block: Block, gone: Gone) -> bool:
    """Count the rows that a block of acts is about; return False where it is damaged, which `verify` is to find."""
    try:
        acts = [json.loads(line) for line in lines_of(connection, block)]
    except (zlib.error, ValueError):
        return False
    for act in acts:
        if "row" in act:
            table, key = act["row"]
            number, highest = gone.get(table, (0, 0))
            gone[table] = [number + 1, max(highest, key)]
    return True


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
    small = (audit_blocks.c.records < _FEW, audit_blocks.c.last_at < before)
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
