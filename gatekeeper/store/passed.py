"""What mass mail says that passed: a copy of each message once a mailing, where the schedule keeps it (C1).

A copy is a batch that is never sent, and has no recipients: whom the mailing reached, it has as hashes. What is kept of
batches is kept of copies: they are read, searched, exported, preserved and destroyed as all batches are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from sqlalchemy import Connection, insert, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState
from gatekeeper.model import Client
from gatekeeper.store import matter_people
from gatekeeper.store.batches import CHUNK, open_body, write_chunk
from gatekeeper.store.db.schema import batches, bodies, mailings
from gatekeeper.store.events import Event, record
from gatekeeper.store.kept import read_total
from gatekeeper.store.rows import client_to_row

NOT_KEPT = "content not kept"  # act on a mailing's timeline


@immutable
class Copy:
    """A message of mass mail that passed, with what is known of it."""

    mailing: int  # key
    digest: bytes  # SHA-256 of the content
    content: bytes = field(repr=False)
    listener: str
    client: Client
    login: str | None
    authenticated: bool
    sender: str
    parameters: tuple[str, ...]
    message_id: str | None
    content_digest: str
    trace: bytes
    owners: tuple[str, ...]
    at: float


def is_known(connection: Connection, copy: Copy) -> bool:
    """Return True where a mailing has a copy of the message already, or a batch with it."""
    mailing = _mailing_of(connection, copy.mailing)
    query = select(batches.c.id).where(batches.c.mailing_id == mailing, batches.c.body == copy.digest)
    return mailing is None or connection.execute(query.limit(1)).first() is not None


def _mailing_of(connection: Connection, key: int) -> int | None:
    """Return the mailing, or the one that it has become part of; None where it is gone."""
    query = select(mailings.c.id, mailings.c.merged_into).where(mailings.c.id == key)
    row = connection.execute(query).first()
    while row is not None and row.merged_into is not None:
        row = connection.execute(query.where(mailings.c.id == row.merged_into)).first()
    return None if row is None else row.id


def has_room(connection: Connection, size: int, total: int | None) -> bool:
    """Return True where a copy of that many octets has room in what all mail may take."""
    return total is None or read_total(connection) + size <= total


def begin(connection: Connection, copy: Copy, now: float) -> int | None:
    """Begin to store the body of a copy; return the position of its first missing chunk, None where it is whole."""
    return open_body(connection, copy.digest, len(copy.content), now)


def add_chunk(connection: Connection, copy: Copy, position: int) -> None:
    """Store a chunk of the body of a copy."""
    write_chunk(connection, copy.digest, position, copy.content[position * CHUNK : (position + 1) * CHUNK])


def add(connection: Connection, copy: Copy) -> None:
    """Write a copy whose body is stored."""
    mailing = _mailing_of(connection, copy.mailing)
    if mailing is None or is_known(connection, copy):
        return
    connection.execute(update(bodies).where(bodies.c.digest == copy.digest).values(complete=True))
    connection.execute(insert(batches).values(**_row(copy, mailing)))
    matter_people.note(connection, matter_people.MAILING, mailing, matter_people.OWN, copy.owners)


def _row(copy: Copy, mailing: int) -> dict[str, Any]:
    return {
        "mailing_id": mailing,
        "state": BatchState.PASSED.value,
        "gathered": False,
        "identity": copy.digest[:16],
        "listener": copy.listener,
        "client": client_to_row(copy.client),
        "login": copy.login,
        "authenticated": copy.authenticated,
        "sender": copy.sender,
        "parameters": list(copy.parameters),
        "message_id": copy.message_id,
        "content_digest": copy.content_digest,
        "body": copy.digest,
        "size": len(copy.content),
        "trace": copy.trace,
        "reasons": [],
        "received_at": copy.at,
        "notify": False,
        "owners": list(copy.owners),
        **dict.fromkeys(("recipients", "sent", "refused", "expired"), 0),
    }


def note_lost(connection: Connection, lost: Sequence[tuple[int, int, str]], now: float) -> None:
    """Write on the timelines of mailings how many of their messages were not kept: key, number, why."""
    for key, number, why in lost:
        mailing = _mailing_of(connection, key)
        if mailing is not None:
            messages = f"{number} message{'s' * (number > 1)}"
            record(connection, Event(now, NOT_KEPT, mailing_id=mailing, text=f"{messages}: {why}"))
