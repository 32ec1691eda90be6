"""The ruleset in force, kept as text so that commands judge by the rules that the running gate uses."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import rulesets


@immutable
class StoredRuleset:
    """A ruleset's text, its digest, and the path that it was read from."""

    digest: str
    name: str
    text: str


def put_in_force(connection: Connection, ruleset: StoredRuleset, now: float) -> None:
    """Store the ruleset as the one in force, unless it is already."""
    current = in_force(connection)
    if current == ruleset:
        return
    row = {"digest": ruleset.digest, "name": ruleset.name, "text": ruleset.text, "loaded_at": now}
    connection.execute(insert(rulesets).values(**row))


def in_force(connection: Connection) -> StoredRuleset | None:
    """Return the ruleset in force; None where no gate has run on this database yet."""
    query = select(rulesets.c.digest, rulesets.c.name, rulesets.c.text).order_by(rulesets.c.id.desc()).limit(1)
    row = connection.execute(query).first()
    return StoredRuleset(*row) if row else None
