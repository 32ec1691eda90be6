"""Searches that were saved for a case, each with its query and the digest of what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import cases, searches
from gatekeeper.store.events import Act
from gatekeeper.store.rows import next_number


@immutable
class SavedSearch:
    """A search as it was made."""

    number: int
    case: str
    query: Mapping[str, Any]
    counts: Mapping[str, int]
    digest: str
    at: float
    by: str


def save(
    connection: Connection, case: int, query: Mapping[str, Any], found: tuple[Mapping[str, int], str], act: Act
) -> int:
    """Save a search; return its number. Args: `case` is the case's key, `found` the counts and the list's digest."""
    counts, digest = found
    number = next_number(connection, "search")
    row = {
        "number": number,
        "case_id": case,
        "query": dict(query),
        "counts": dict(counts),
        "digest": digest,
        "at": act.at,
        "by": act.by,
        "login": act.login,
    }
    connection.execute(insert(searches).values(**row))
    return number


def find(connection: Connection, number: int) -> SavedSearch | None:
    """Return a saved search by its number; None where there is none."""
    query = select(searches, cases.c.number.label("case")).join(cases, cases.c.id == searches.c.case_id)
    row = connection.execute(query.where(searches.c.number == number)).mappings().first()
    if row is None:
        return None
    case = f"C-{row['case']}"
    return SavedSearch(row["number"], case, row["query"], row["counts"], row["digest"], row["at"], row["by"])
