"""A mailing's row as it grows with each batch: the one place that says what a batch changes of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, update

from gatekeeper.model import Counts
from gatekeeper.store.schema import mailings
from gatekeeper.store.statements import Row, Statement


def grown_row(mailing: Row, counts: Counts, now: float, *, relayed: int, joined_by: str | None) -> dict[str, Any]:
    """What one batch makes of the row.

    Args: `counts` have the batch in them, `relayed` people are reached by it for the first time and without a stop,
    `joined_by` is the kind of key that led here, None for a mailing that it opens.
    """
    joined = mailing["joined"]
    return {
        "changed_at": now,
        "users": counts.users,
        "external": counts.external,
        "unresolved": counts.unresolved,
        "agencies": dict(counts.agencies),
        "lists": sorted(counts.lists),
        "tallies": mailing["tallies"],
        "relayed": mailing["relayed"] + relayed,
        "joined": {**joined, joined_by: joined.get(joined_by, 0) + 1} if joined_by else joined,
        "version": mailing["version"] + 1,
    }


def grow_mailings(connection: Connection, rows: Iterable[Row]) -> None:
    """Write rows that `grown_row` has changed; raises DBAPIError."""
    values = [{f"new_{name}": row[name] for name in ("id", *_GROWING)} for row in rows]
    if values:
        _GROW.run_many(connection, values)


_GROWING = (
    "changed_at",
    "users",
    "external",
    "unresolved",
    "agencies",
    "lists",
    "tallies",
    "relayed",
    "joined",
    "version",
)
_GROW = Statement(
    lambda _: (
        update(mailings)
        .where(mailings.c.id == bindparam("new_id"))
        .values({name: bindparam(f"new_{name}", type_=mailings.c[name].type) for name in _GROWING})
    )
)
