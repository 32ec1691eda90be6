"""What an export hands over, a piece at a time: octets of messages, audit lines, rulesets."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from sqlalchemy import Connection, or_, select

from gatekeeper.store.audit_chain import LocatedLine, blocks_between, located_lines
from gatekeeper.store.db.engine import Database
from gatekeeper.store.db.schema import body_chunks, mailings, permit_uses, permits, requests, rulesets

_DECISION, _ACT = b"[", b"{"
_KEY, _FRAME, _MAILING = 4, 1, 5  # places in the line of a decision (audit/record.py)
_AT_ONCE = 4  # chunks of a message


def stream_body(database: Database, digest: bytes) -> Iterator[bytes]:
    """Yield the octets of a message chunk by chunk, however large it is. Raises SQLAlchemyError."""
    query = select(body_chunks.c.data).where(body_chunks.c.digest == digest).order_by(body_chunks.c.position)
    with database.engine.connect() as connection:
        reading = connection.execution_options(readonly=True)
        for data in reading.execute(query.execution_options(yield_per=_AT_ONCE)).scalars():
            yield bytes(data)


def keys_of_mailings(connection: Connection, numbers: Collection[int]) -> dict[int, int]:
    """Return the database's keys of mailings by their numbers."""
    query = select(mailings.c.number, mailings.c.id).where(mailings.c.number.in_(numbers))
    return {number: key for number, key in connection.execute(query)}  # noqa: C416 - a result has keys of its own


def permits_of(connection: Connection, keys: Collection[int]) -> tuple[set[int], set[int]]:
    """Return the numbers of the permits that these mailings have used or were given, and of these permits' requests."""
    used = select(permit_uses.c.permit_id).where(permit_uses.c.mailing_id.in_(keys))
    query = select(permits.c.number, requests.c.number).outerjoin(requests, requests.c.id == permits.c.request_id)
    rows = connection.execute(query.where(or_(permits.c.mailing_id.in_(keys), permits.c.id.in_(used)))).all()
    return {row[0] for row in rows}, {row[1] for row in rows if row[1] is not None}


def lines_about(
    connection: Connection, since: float, keys: Collection[int], named: Mapping[str, Collection[int]]
) -> Iterator[LocatedLine]:
    """Yield the recorded decisions about these mailings, and the acts about these matters, chain by chain.

    Args: `keys` of mailings; `named` has the numbers of matters by the column of events that leads to them.
    """
    wanted: Callable[[bytes], bool] = lambda line: _is_about(line, frozenset(keys), named)  # noqa: E731
    for block in sorted(
        blocks_between(connection, since, float(1 << 40)), key=lambda block: (block.chain, block.first)
    ):
        try:
            yield from (each for each in located_lines(connection, block) if wanted(each.line))
        except zlib.error:
            continue  # `audit verify` says where


def _is_about(line: bytes, keys: frozenset[int], named: Mapping[str, Collection[int]]) -> bool:
    try:
        row = json.loads(line)
        if line.startswith(_DECISION):
            return row[_KEY] in keys
        return any(_number(row.get(column)) in numbers for column, numbers in named.items())
    except (ValueError, IndexError, TypeError, AttributeError):
        return False


def _number(value: object) -> int:
    number = value.get("number") if isinstance(value, dict) else None
    return number if isinstance(number, int) else -1


def frame_of(line: bytes) -> str:
    """Return the name of the frame of a decision's line; "" for an act."""
    return str(json.loads(line)[_FRAME]) if line.startswith(_DECISION) else ""


def rulesets_of(connection: Connection, digests: Sequence[str]) -> dict[str, str]:
    """Return the texts of rulesets by their digests."""
    query = select(rulesets.c.digest, rulesets.c.text).where(rulesets.c.digest.in_(digests))
    return {digest: text for digest, text in connection.execute(query)}  # noqa: C416 - a result has keys of its own
