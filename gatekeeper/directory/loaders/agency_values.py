"""Tell which agency the value of an attribute is: a department's name, an id, or a path of organisational units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from gatekeeper.directory.loaders.server_cache import Rows

_SHOWN = 5  # values that no agency has


def with_agencies(rows: Rows, named: Mapping[str, str], agencies: Collection[str]) -> tuple[Rows, list[str]]:
    """Return the rows with ids of agencies, "" where a value is none; and what an admin should know of the others.

    A value is looked up in `named`, then among the ids. Of a path, such as /State/DOA/Helpdesk, the whole is looked up,
    then each path above it, then its last name, and so on upwards.
    """
    known = {each.casefold(): each for each in agencies} | dict(named)
    values = {row.get("agency", "") for row in rows}
    told = {value: next((known[each] for each in _ways(value) if each in known), "") for value in values}
    found = [{**row, "agency": told[row.get("agency", "")]} for row in rows]
    return found, _unknown(row["agency"] for row in rows if row.get("agency") and not told[row["agency"]])


def _ways(value: str) -> Iterable[str]:
    """Yield what a value may stand under, the nearest first."""
    folded = " ".join(value.split()).casefold()
    yield folded
    if folded.startswith("/"):
        names = folded.strip("/").split("/")
        yield from ("/" + "/".join(names[:end]) for end in range(len(names), 0, -1))
        yield from reversed(names)


def _unknown(values: Iterable[str]) -> list[str]:
    counted = Counter(values)
    if not counted:
        return []
    shown = ", ".join(f"{value!r} ({number})" for value, number in counted.most_common(_SHOWN))
    more = f", and {len(counted) - _SHOWN} more values" if len(counted) > _SHOWN else ""
    return [f"agencies that the rules do not know, with their addresses, whose domain decides: {shown}{more}"]
