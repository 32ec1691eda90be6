"""Tokens that released mail is sent with: by one the gate knows its own mail, should the next hop bring it back.

A token is good once for each recipient that it was given for, with the sender and the content of their batch. The
database has keyed hashes only: what is left of a token after its batch is gone names nobody and quotes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from gatekeeper.address import normalise
from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.hashing import Hash, keyed, keyed_all
from gatekeeper.store.db.schema import batch_recipients, batches, mailings, release_tokens
from gatekeeper.store.rows import mailing_name

_AT_ONCE = 500  # rows or hashes in one statement


@immutable
class IssuedToken:
    """A token, and the recipients of a batch that it is given for, by their positions."""

    token: str
    batch_id: int
    positions: Sequence[int]


def issue(connection: Connection, secret: bytes, given: IssuedToken, now: float) -> None:
    """Issue a token; the earlier token of its recipients is no longer good."""
    positions = given.positions
    batch = connection.execute(select(batches).where(batches.c.id == given.batch_id)).mappings().one()
    of_token, of_batch = keyed(secret, given.token), keyed_all(secret, f"released:{given.batch_id}:")
    bound = _bound(secret, batch["sender"], batch["content_digest"])
    same = {"token": of_token, "bound": bound, "mailing_id": batch["mailing_id"], "issued_at": now}
    for start in range(0, len(positions), _AT_ONCE):
        addresses = _addresses(connection, given.batch_id, positions[start : start + _AT_ONCE])
        rows = [{**same, "recipient": of_batch(address), "person": _person(secret, address)} for address in addresses]
        again = release_tokens.c.recipient.in_([row["recipient"] for row in rows])
        connection.execute(delete(release_tokens).where(again))
        connection.execute(insert(release_tokens), rows)


@immutable
class ReturnedMail:
    """Mail that has come back with a token: what the token must have been given for."""

    sender: str
    content_digest: str
    recipients: tuple[str, ...]


def redeem(connection: Connection, secret: bytes, token: str, mail: ReturnedMail) -> str | None:
    """Use up a token; return the id of the mailing, None where it is not good for all of the recipients."""
    table, of_token = release_tokens, keyed(secret, token)
    found = connection.execute(select(table).where(table.c.token == of_token).with_for_update()).mappings().all()
    wanted = {_person(secret, normalise(address)) for address in mail.recipients}
    known = [row for row in found if bytes(row["person"]) in wanted]
    if not known or {bytes(row["person"]) for row in known} != wanted:
        return None
    if bytes(known[0]["bound"]) != _bound(secret, mail.sender, mail.content_digest):
        return None
    for start in range(0, len(known), _AT_ONCE):
        used = [row["recipient"] for row in known[start : start + _AT_ONCE]]
        connection.execute(delete(release_tokens).where(release_tokens.c.recipient.in_(used)))
    number = select(mailings.c.number).where(mailings.c.id == known[0]["mailing_id"])
    return mailing_name(connection.execute(number).scalar())


def forget_tokens(connection: Connection, before: float) -> None:
    """Remove the tokens given before then (seconds since 1970): their mail does not come back any more."""
    connection.execute(delete(release_tokens).where(release_tokens.c.issued_at < before))


def _addresses(connection: Connection, batch_id: int, positions: Sequence[int]) -> list[str]:
    """Return the normalised addresses at these places of a batch; one that stands twice is one."""
    table = batch_recipients
    query = select(table.c.address).where(table.c.batch_id == batch_id, table.c.position.in_(positions))
    return list(dict.fromkeys(normalise(address) for address in connection.execute(query).scalars()))


def _person(secret: bytes, address: str) -> Hash:
    return keyed(secret, f"released to:{address}")


def _bound(secret: bytes, sender: str, content_digest: str) -> Hash:
    return keyed(secret, f"released:{normalise(sender)}:{content_digest}")
