"""Acts that are due by the schedule, in blocks of their chain: those that vouch for nothing that is still here.

An act stays as long as the row that it wrote, which it vouches for; so do acts of the audit itself, by which other
chains are verified. In the place of what goes, the number and the head stay, and an act says so.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import removal
from gatekeeper.store.audit_chain import (
    ACTS_DESTROYED,
    AGED_OUT,
    BEGUN,
    BLOCK,
    HEAD,
    Block,
    Head,
    acts_chain,
    block_of,
    follow,
    lines_of,
    note,
    octets,
    pack,
)
from gatekeeper.store.db.schema import audit_blocks, audit_chains, events
from gatekeeper.store.destroyed import Destroyed, destroyed_matters
from gatekeeper.store.disposals import ACTS, Found
from gatekeeper.store.due import Age, Due
from gatekeeper.store.preserved import any_kept

Act = Mapping[str, Any]


@immutable
class _Known:
    """What tells whether an act is still needed."""

    destroyed: Destroyed
    gone: Mapping[int, int]  # chain -> records that have aged out

    @classmethod
    def read(cls, connection: Connection) -> _Known:
        """Return what is so now."""
        chains = connection.execute(select(audit_chains.c.id, audit_chains.c.aged_out))
        return cls(destroyed_matters(connection), {id: number for id, number in chains})  # noqa: C416 - rows, not pairs

    def may_go(self, act: Act, rows: frozenset[int]) -> bool:
        """Return True for an act that vouches for nothing. Args: `rows` are events that are there."""
        kind = act.get("act")
        if kind in (BEGUN, AGED_OUT, ACTS_DESTROYED) and "by" not in act:  # of the audit itself
            return False
        if kind == HEAD and "by" not in act:
            return bool(act["records"] <= self.gone.get(act["chain"], act["records"]))
        if "row" not in act:
            return True
        table, key = act["row"]
        return table == events.name and key not in rows and self.destroyed.explains(act)


def _flags(connection: Connection, lines: list[bytes], known: _Known) -> list[bool]:
    """Return which of the lines may go; none of a block with a line that is no act, for `verify` to find."""
    try:
        acts = [json.loads(line) for line in lines]
        keys = {act["row"][1] for act in acts if "row" in act and act["row"][0] == events.name}
        there = frozenset(connection.execute(select(events.c.id).where(events.c.id.in_(keys))).scalars())
        return [known.may_go(act, there) for act in acts]
    except (ValueError, KeyError, TypeError):
        return [False] * len(lines)


def _blocks(connection: Connection, before: float) -> Iterator[tuple[Block, list[bytes]]]:
    """Yield blocks of acts whose last is older than that, with their lines."""
    chain = connection.execute(acts_chain()).first()
    if chain is None:
        return
    query = select(*BLOCK).where(audit_blocks.c.chain_id == chain.id, audit_blocks.c.last_at < before)
    for row in connection.execute(query.where(audit_blocks.c.payload != b"").order_by(audit_blocks.c.first)).all():
        try:
            block = block_of(row)
            yield block, lines_of(connection, block)
        except zlib.error:  # damaged, which `verify` is to find
            continue


def find_acts(connection: Connection, age: Age) -> list[Found]:
    """Return blocks with acts that are due and vouch for nothing; none while anything is preserved."""
    if any_kept(connection):
        return []
    known, found = _Known.read(connection), []
    for block, lines in _blocks(connection, age.before):
        size = sum(len(line) for line, goes in zip(lines, _flags(connection, lines, known), strict=True) if goes)
        if size:
            found.append(Found(block.first + block.records - 1, block.first, block.head, size, ACTS))
    return found


def count_acts(connection: Connection, age: Age) -> Due:
    """Count acts that are due and vouch for nothing."""
    known, number, oldest = _Known.read(connection), 0, None
    for block, lines in _blocks(connection, age.before):
        going = sum(_flags(connection, lines, known))
        number += going
        oldest = block.first_at if oldest is None and going else oldest
    return Due(number, oldest=oldest)


# -- destroying ------------------------------------------------------------------------------------------------------


def destroy_acts(connection: Connection, item: Found, disposal: str, now: float) -> str:
    """Destroy those acts of a listed block that vouch for nothing; return how many, "" where the block has changed."""
    chain = connection.execute(acts_chain()).first()
    query = select(*BLOCK).where(audit_blocks.c.chain_id == (chain.id if chain else 0))
    row = connection.execute(query.where(audit_blocks.c.first == item.number, audit_blocks.c.payload != b"")).first()
    if row is None or (block := block_of(row)).head != item.digest:
        return ""
    lines = lines_of(connection, block)
    flags = _flags(connection, lines, _Known.read(connection))
    parts = list(_parts(_before(connection, block), block, lines, flags))
    gaps = [[part.first, part.records, part.head.hex()] for part, payload in parts if not payload]
    if not gaps or not removal.split_block(connection, block, parts):
        return ""
    note(connection, {"at": now, "act": ACTS_DESTROYED, "disposal": disposal, "gaps": {str(block.chain): gaps}})
    return f"{sum(flags)} of {len(flags)}"


def _before(connection: Connection, block: Block) -> Head:
    """Return the head before a block."""
    ends = (audit_blocks.c.chain_id == block.chain, audit_blocks.c.first + audit_blocks.c.records == block.first)
    head = connection.execute(select(audit_blocks.c.head).where(*ends)).scalar()
    if head is None:
        head = connection.execute(select(audit_chains.c.checkpoint).where(audit_chains.c.id == block.chain)).scalar()
    return octets(head)


def _parts(head: Head, block: Block, lines: list[bytes], flags: list[bool]) -> Iterator[tuple[Block, bytes]]:
    """Yield runs of a block, with what stays of each; nothing stays of those that go."""
    first = block.first
    for goes, run in groupby(zip(flags, lines, strict=True), key=lambda pair: pair[0]):
        own = [line for _, line in run]
        head = follow(head, own)
        yield (
            Block(block.id, block.chain, first, len(own), block.first_at, block.last_at, head),
            b"" if goes else pack(own, 9),
        )
        first += len(own)
