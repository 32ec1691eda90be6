"""Convert rows to model values and back; only store/ knows what a row looks like."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping

from gatekeeper.lib.moments import moment_of
from gatekeeper.model import Action, Client, Counts, Likeness, ListReach, Permit, Reason, Scope, TextLikeness
from gatekeeper.store.db.schema import counters
from gatekeeper.store.db.statements import upsert


def next_number(connection: Connection, name: str) -> int:
    """Return the next number of a named row of numbers, from 1."""
    statement = upsert(connection, counters).values(name=name, value=1)
    counting = statement.on_conflict_do_update(index_elements=["name"], set_={"value": counters.c.value + 1}).returning(
        counters.c.value
    )
    return int(connection.execute(counting).scalar_one())


def lock_number(connection: Connection, name: str) -> None:
    """Wait for whoever has taken a number of that name and has not committed; take none."""
    made = upsert(connection, counters).values(name=name, value=0)
    same = made.on_conflict_do_update(index_elements=["name"], set_={"value": counters.c.value})
    connection.execute(same)


def mailing_name(number: int | None) -> str | None:
    """Return `M-17` for 17; None for None."""
    return None if number is None else f"M-{number}"


def reasons_to_rows(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    """Return reasons as JSON; a reason without a repair has no such key, as in versions that know no repair."""
    return [_reason_row(reason) for reason in reasons]


def _reason_row(reason: Reason) -> dict[str, Any]:
    row = {**asdict(reason), "action": reason.action.value, "ask": list(reason.ask)}
    if not reason.repair:
        del row["repair"]
    return row


def reasons_from_rows(rows: Iterable[Mapping[str, Any]]) -> tuple[Reason, ...]:
    """Return stored reasons."""
    return tuple(Reason(**{**row, "action": Action(row["action"]), "ask": tuple(row["ask"])}) for row in rows)


def owners_of(stored: Sequence[str] | None, mailing_sender: str | None) -> Sequence[str]:
    """Return the owners of a batch; the sender of its mailing for one that was stored before owners were."""
    return ([mailing_sender] if mailing_sender else []) if stored is None else stored


def counts_of(row: Mapping[str, Any] | RowMapping) -> Counts:
    """Return the counts in a mailing's row."""
    return Counts(
        users=row["users"],
        external=row["external"],
        agencies=dict(row["agencies"]),
        lists=frozenset(row["lists"]),
        unresolved=row["unresolved"],
        **tallied(row["tallies"]),
    )


def counts_to_row(counts: Counts) -> dict[str, Any]:
    """Return the columns of a mailing's row that are its counts, but for the tallies."""
    return {
        "users": counts.users,
        "external": counts.external,
        "unresolved": counts.unresolved,
        "agencies": dict(counts.agencies),
        "lists": sorted(counts.lists),
    }


def tallied(tallies: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the tallies of a mailing (`list_reach.py`) as arguments of `Counts`."""
    if not tallies:
        return {}
    reach = {
        address: ListReach(reached, members) for address, (reached, members, _) in tallies.get("reach", {}).items()
    }
    numbers = {name: tallies.get(name) for name in ("unlisted", "unconsented", "beside")}
    return {**numbers, "reach": reach}


def permit_of(row: RowMapping, scope: Scope, *, claimed: bool = False) -> Permit:
    """Return a permit as the judge reads it."""
    return Permit(
        id=f"P-{row['number']}",
        rules=frozenset(row["rules"]),
        digests=frozenset(row["digests"]),
        ceiling=row["ceiling"],
        agencies=frozenset(row["agencies"]),
        until=moment_of(row["until"]),
        kind=row["kind"],
        state=row["state"],
        scope=scope,
        subject=row["subject"],
        subject_key=row["subject_key"],
        lists=frozenset(row["lists"]),
        likeness=likeness_of(row) if row["binding"] == "template" else None,
        since=moment_of(row["since"]) if row["since"] else None,
        purpose=row["purpose"],
        claimed=claimed,
    )


def likeness_of(row: Mapping[str, Any] | RowMapping) -> Likeness:
    """Return a stored likeness; one that was stored before whole texts were compared cannot be compared any more."""
    links, attachments, more = frozenset(row["links"]), frozenset(row["attachments"]), row.get("likeness")
    if not more:
        return Likeness(links=links, attachments=attachments, comparable=False)
    texts = tuple(TextLikeness(type, b64decode(words)) for type, words in more["texts"])
    tokens, defects = frozenset(more["tokens"]), frozenset(more["defects"])
    return Likeness(texts, links, attachments, tokens, more["styles"], defects, more["whole"])


def likeness_to_row(likeness: Likeness | None) -> dict[str, Any]:
    """Return a likeness as JSON; of the words only their hashes."""
    if likeness is None:
        return {"links": [], "attachments": [], "likeness": None}
    more = {
        "texts": [[text.type, b64encode(text.words).decode("ascii")] for text in likeness.texts],
        "tokens": sorted(likeness.tokens),
        "styles": likeness.styles,
        "defects": sorted(likeness.defects),
        "whole": likeness.whole,
    }
    return {"links": sorted(likeness.links), "attachments": sorted(likeness.attachments), "likeness": more}


def scope_of(names: Iterable[tuple[str, str]]) -> Scope:
    """Return the scope of these kinds and names."""
    found: dict[str, set[str]] = {"sender": set(), "agency": set(), "group": set()}
    for kind, name in names:
        found[kind].add(name)
    return Scope(frozenset(found["sender"]), frozenset(found["agency"]), frozenset(found["group"]))


def scope_names(scope: Scope) -> list[tuple[str, str]]:
    """Return the kinds and names of a scope, in order."""
    kinds = (("sender", scope.senders), ("agency", scope.agencies), ("group", scope.groups))
    return [(kind, name) for kind, names in kinds for name in sorted(names)]


def client_to_row(client: Client) -> dict[str, Any]:
    """Return a client as JSON."""
    return asdict(client)
