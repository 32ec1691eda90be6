"""The ruleset in force, kept as text so that commands judge by the rules that the running gate uses.

Beside it stands the name under which that gate writes, so that the mails which commands write are the gate's.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import audit_chain
from gatekeeper.store.db.schema import rulesets


@immutable
class StoredRuleset:
    """A ruleset's text, its digest, the path that it was read from, and the names of the gate that uses it."""

    digest: str
    name: str
    text: str
    hostname: str | None = None  # None where an earlier version stored it
    public_url: str | None = None


def put_in_force(connection: Connection, ruleset: StoredRuleset, now: float) -> None:
    """Store the ruleset as the one in force, unless it is already."""
    current = in_force(connection)
    if current == ruleset:
        return
    row = {"digest": ruleset.digest, "name": ruleset.name, "loaded_at": now}
    row |= {"hostname": ruleset.hostname, "public_url": ruleset.public_url}
    written = connection.execute(insert(rulesets).values(**row, text=ruleset.text)).inserted_primary_key
    assert written is not None
    audit_chain.note(connection, {"at": now, "act": "rules in force", "row": [rulesets.name, written[0]], **row})


def in_force(connection: Connection) -> StoredRuleset | None:
    """Return the ruleset in force; None where no gate has run on this database yet."""
    columns = (rulesets.c.digest, rulesets.c.name, rulesets.c.text, rulesets.c.hostname, rulesets.c.public_url)
    row = connection.execute(select(*columns).order_by(rulesets.c.id.desc()).limit(1)).first()
    return StoredRuleset(*row) if row else None
