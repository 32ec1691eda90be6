"""Verify the audit: every chain against its hashes, and all of them against the chain of acts.

The chain of acts is the root: it says which chains there are, where each of them stood, what has aged out of it, and
what people did. Its own head is in the gate's log.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select, text

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.audit_chain import (
    ACTS_DESTROYED,
    AGED_OUT,
    BEGUN,
    HEAD,
    Block,
    Head,
    acts_chain,
    blocks_of,
    follow,
    frame_name,
    lines_of,
    octets,
    root,
)
from gatekeeper.store.db.schema import audit_chains, audit_frames

Act = dict[str, Any]


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
    gaps: tuple[str, ...] = ()  # records in the middle of it that have aged out, as the chain of acts says


@dataclass(slots=True)
class Said:
    """What the chain of acts says."""

    begun: set[int] = field(default_factory=set)  # chains
    ended: set[int] = field(default_factory=set)
    gone: dict[int, tuple[int, Head]] = field(default_factory=dict)  # chain -> records aged out, the head after them
    heads: dict[int, dict[int, Head]] = field(default_factory=dict)  # chain -> records -> head
    rows: dict[tuple[str, int], Act] = field(default_factory=dict)  # table and id -> the act that wrote it
    gone_rows: dict[str, list[int]] = field(default_factory=dict)  # as in audit_ageing.py
    gaps: dict[int, dict[int, tuple[int, Head]]] = field(default_factory=dict)  # chain -> first -> records, head
    certified: dict[tuple[int, int], str] = field(default_factory=dict)  # chain and first of a gap -> disposal
    unreadable: int = 0  # lines that are no act

    def take(self, line: bytes) -> None:
        """Take the next line."""
        try:
            self._take(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            self.unreadable += 1

    def _take(self, act: Act) -> None:
        kind = act.get("act")
        if kind == BEGUN:
            self.begun.add(act["chain"])
        elif kind == HEAD:
            self.heads.setdefault(act["chain"], {})[act["records"]] = bytes.fromhex(act["head"])
        elif kind == AGED_OUT and "chains" in act:
            self.ended.update(act["ended"])
            self.gone.update({int(id): (number, bytes.fromhex(head)) for id, (number, head) in act["chains"].items()})
            self.gone_rows = act["rows"]
            self._take_gaps(act)
        elif kind == ACTS_DESTROYED and "gaps" in act:
            self._take_gaps(act)
            places = ((int(id), first) for id, found in act["gaps"].items() for first, _, _ in found)
            self.certified.update(dict.fromkeys(places, act["disposal"]))
        elif "row" in act:
            table, key = act["row"]
            self.rows[table, key] = act

    def _take_gaps(self, act: Act) -> None:
        for id, found in act.get("gaps", {}).items():
            known = self.gaps.setdefault(int(id), {})
            known.update({first: (number, bytes.fromhex(head)) for first, number, head in found})


def fix_moment(connection: Connection) -> None:
    """Let all that is read from now on be of one moment, also on Postgres."""
    if connection.dialect.name == "postgresql":
        connection.rollback()
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def heads(connection: Connection) -> list[tuple[int, int, str]]:
    """Return the id, the number of records and the head of each chain."""
    columns = (audit_chains.c.id, audit_chains.c.records, audit_chains.c.head)
    rows = connection.execute(select(*columns).order_by(audit_chains.c.id))
    return [(id, records, octets(head).hex()) for id, records, head in rows]


def verify(
    connection: Connection, on_block: Callable[[int], None] = lambda records: None
) -> tuple[list[ChainReport], Said]:
    """Verify every chain from its checkpoint to its end; return the results, and what the chain of acts says.

    Args: `on_block` is called with the number of records of each block.
    """
    rows = connection.execute(select(audit_chains).order_by(audit_chains.c.id)).all()
    acts = connection.execute(acts_chain()).first()
    said = Said()
    if acts is None:
        return [_missing(0, "acts")], said
    for block in blocks_of(connection, acts.id):
        for line in _lines(connection, block) or ():
            said.take(line)
    found = [_verify(connection, row, said, acts.id, on_block) for row in rows]
    known = {row.id for row in rows}
    lost = sorted((said.begun | said.gone.keys() | said.heads.keys()) - said.ended - known)
    return [*found, *(_missing(id, "?") for id in lost)], said


def _missing(id: int, name: str) -> ChainReport:
    return ChainReport(id, name, 0.0, 0, 0, b"", "the whole chain is gone")


def _verify(connection: Connection, row: Any, said: Said, acts: int, on_block: Callable[[int], None]) -> ChainReport:
    known = row.id == acts or row.id in said.begun or row.id in said.gone
    problem, following = "" if known else "no act says that it began", None
    try:
        following = _Following(connection, row, said)
        problem = problem or _problem_of_beginning(row, said) or following.problem(on_block)
    except (TypeError, ValueError) as error:
        problem = f"it has rows that the gate does not write: {error}"
    if row.id == acts and not problem and said.unreadable:
        problem = f"{said.unreadable} records are no acts"
    return ChainReport(
        row.id,
        row.name,
        row.began_at,
        row.records,
        row.aged_out,
        octets(row.head),
        problem,
        tuple(following.gaps if following else ()),
    )


def _problem_of_beginning(row: Any, said: Said) -> str:
    if not row.aged_out and octets(row.checkpoint) != root(row.name, row.began_at):
        return "its beginning was changed"
    number, head = said.gone.get(row.id, (0, root(row.name, row.began_at)))
    if (row.aged_out, octets(row.checkpoint)) == (number, head):
        return ""
    return f"its first {row.aged_out} records are gone: {number} have aged out, by the chain of acts"


@dataclass(slots=True)
class _Following:
    """Follows a chain from its checkpoint to its end."""

    connection: Connection
    chain: Any
    said: Said
    gaps: list[str] = field(default_factory=list)
    _frames: set[str] = field(default_factory=set)

    def problem(self, on_block: Callable[[int], None]) -> str:
        """Return what does not fit first, and where; "" where all does."""
        chain = self.chain
        self._frames = set(self.connection.execute(select(audit_frames.c.name)).scalars())
        head, number = octets(chain.checkpoint), chain.aged_out
        heads = {at: head for at, head in self.said.heads.get(chain.id, {}).items() if at > number}
        for block in blocks_of(self.connection, chain.id):
            if block.first != number + 1:
                return f"records {number + 1} to {block.first - 1} are missing"
            problem, head = self._follow(block, head, heads)
            number += block.records
            on_block(block.records)
            if problem:
                return problem
        if (number, head) != (chain.records, octets(chain.head)):
            return f"it ends with record {number}: {chain.records} were written"
        return f"it ends with record {number}: the chain of acts has record {max(heads)} of it" if heads else ""

    def _follow(self, block: Block, head: Head, heads: dict[int, Head]) -> tuple[str, Head]:
        place = f"records {block.first} to {block.first + block.records - 1}"
        lines = _lines(self.connection, block)
        if lines is None:
            return f"{place} are damaged", head
        if not lines:
            return self._pass_over(block, place, heads)
        if len(lines) != block.records:
            return f"{place} are {len(lines)}", head
        for at in sorted(at for at in heads if at < block.first + block.records):
            if follow(head, lines[: at - block.first + 1]) != heads.pop(at):
                return f"records up to {at} are not what the chain of acts has", head
        head = follow(head, lines)
        if head != block.head:
            return f"{place} are not what was written", head
        missing = frames_of(lines) - self._frames
        return (f"{place}: frame {min(missing)} is gone, without which they cannot be read" if missing else ""), head

    def _pass_over(self, block: Block, place: str, heads: dict[int, Head]) -> tuple[str, Head]:
        """Go on behind records that have aged out in the middle of the chain, if the chain of acts says so."""
        if self.said.gaps.get(self.chain.id, {}).get(block.first) != (block.records, block.head):
            return f"{place} are gone, and no act says so", block.head
        disposal = self.said.certified.get((self.chain.id, block.first))
        self.gaps.append(f"{place} are destroyed, {disposal}" if disposal else f"{place} have aged out")
        for at in [at for at in heads if at < block.first + block.records]:
            del heads[at]
        return "", block.head


def _lines(connection: Connection, block: Block) -> list[bytes] | None:
    """Return the lines of a block; None where they are damaged."""
    try:
        return lines_of(connection, block)
    except zlib.error:
        return None


def frames_of(lines: Iterable[bytes]) -> set[str]:
    """Return the names of the frames by which records are to be read."""
    parts = (line.split(b'"', 2) for line in lines if line.startswith(b"["))
    return {part[1].decode("ascii", "replace") for part in parts if len(part) > 1 and part[1]}


def problems_of_frames(connection: Connection) -> Iterator[str]:
    """Yield frames that are not what their names say: names are digests of texts."""
    for row in connection.execute(select(audit_frames.c.name, audit_frames.c.text).order_by(audit_frames.c.name)):
        if frame_name(row.text) != row.name:
            yield f"frame {row.name}: its text was changed"
