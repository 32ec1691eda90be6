"""Tokens that released mail is sent with: by one the gate knows its own mail, should the next hop bring it back.

A token is good once for each recipient that it was given for, with the sender and the content of their batch. The
database has its keyed hash only.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, select, update

from gatekeeper.address import normalise
from gatekeeper.store.db.hashing import keyed
from gatekeeper.store.db.schema import batch_recipients, batches, mailings
from gatekeeper.store.rows import mailing_name

_AT_ONCE = 500  # positions in one statement


def issue(connection: Connection, secret: bytes, token: str, batch_id: int, positions: Sequence[int]) -> None:
    """Give a token for these recipients of a batch; the one that they had is good no longer."""
    _write(connection, batch_id, positions, keyed(secret, token))


def redeem(
    connection: Connection, secret: bytes, token: str, sender: str, content_digest: str, recipients: Sequence[str]
) -> str | None:
    """Use a token up for these recipients: the name of their mailing; None where it is not good for all of them."""
    query = (
        select(batch_recipients, batches.c.sender, batches.c.content_digest, mailings.c.number)
        .join(batches, batch_recipients.c.batch_id == batches.c.id)
        .join(mailings, batches.c.mailing_id == mailings.c.id)
        .where(batch_recipients.c.token == keyed(secret, token))
        .with_for_update(of=batch_recipients)
    )
    found = connection.execute(query).mappings().all()
    wanted = {normalise(address) for address in recipients}
    known = [row for row in found if normalise(row["address"]) in wanted]
    if not _is_good(known, wanted, sender, content_digest):
        return None
    _write(connection, known[0]["batch_id"], [row["position"] for row in known], None)
    return mailing_name(known[0]["number"])


def _is_good(known: Sequence[RowMapping], wanted: set[str], sender: str, content_digest: str) -> bool:
    if not known or {normalise(row["address"]) for row in known} != wanted:
        return False
    return normalise(known[0]["sender"]) == normalise(sender) and known[0]["content_digest"] == content_digest


def _write(connection: Connection, batch_id: int, positions: Sequence[int], token: bytes | None) -> None:
    table = batch_recipients
    for start in range(0, len(positions), _AT_ONCE):
        chosen = table.c.position.in_(positions[start : start + _AT_ONCE])
        connection.execute(update(table).where(table.c.batch_id == batch_id, chosen).values(token=token))
