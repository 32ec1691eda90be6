"""Sessions of the web console and one-time links. Of tokens only hashes are stored.

A session ends at once where its row is removed.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, or_, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import console_sessions, signin_links

_SEEN_EVERY = 30.0  # seconds between two notes that a session is used


@immutable
class SessionView:
    """A session: whose, how they signed in, from where, since when."""

    token: bytes  # its hash
    address: str
    method: str
    client: str
    program: str
    began_at: float
    seen_at: float


@immutable
class SigninLink:
    """A link by which one person may sign in once."""

    token: bytes  # its hash
    address: str
    until: float


def hashed(token: str) -> bytes:
    """Return what is stored of a token."""
    return sha256(token.encode()).digest()


# -- sessions ----------------------------------------------------------------------------------------------------


def begin(connection: Connection, session: SessionView) -> None:
    """Store a session."""
    names = ("token", "address", "method", "client", "program", "began_at", "seen_at")
    connection.execute(insert(console_sessions).values({name: getattr(session, name) for name in names}))


def find(connection: Connection, token: bytes, now: float, idle: float, limit: float) -> SessionView | None:
    """Return the session of a token; None where there is none, or where it has ended by itself.

    Args: `idle` seconds since it was last used and `limit` since it began, after which a session ends.
    """
    row = connection.execute(select(console_sessions).where(console_sessions.c.token == token)).mappings().first()
    if row is None or now - row["seen_at"] > idle or now - row["began_at"] > limit:
        return None
    return _session(row)


def _session(row: RowMapping) -> SessionView:
    values: dict[str, Any] = dict(row)
    return SessionView(**{**values, "token": bytes(values["token"])})


def is_due(session: SessionView, now: float) -> bool:
    """Return True where it is to be noted again that the session is used."""
    return now - session.seen_at > _SEEN_EVERY


def note_use(connection: Connection, token: bytes, now: float) -> None:
    """Note that a session is used."""
    connection.execute(update(console_sessions).where(console_sessions.c.token == token).values(seen_at=now))


def end(connection: Connection, token: bytes) -> None:
    """End a session."""
    connection.execute(delete(console_sessions).where(console_sessions.c.token == token))


def sessions_of(connection: Connection, address: str) -> list[SessionView]:
    """Return somebody's sessions, the one used last first."""
    query = select(console_sessions).where(console_sessions.c.address == address)
    rows = connection.execute(query.order_by(console_sessions.c.seen_at.desc())).mappings()
    return [_session(row) for row in rows]


# -- links -------------------------------------------------------------------------------------------------------


def add_link(connection: Connection, link: SigninLink) -> None:
    """Store a link."""
    connection.execute(insert(signin_links).values(token=link.token, address=link.address, until=link.until))


def find_link(connection: Connection, token: bytes, now: float) -> SigninLink | None:
    """Return a link that can still be used; looking changes nothing."""
    query = select(signin_links).where(signin_links.c.token == token, signin_links.c.until > now)
    row = connection.execute(query).mappings().first()
    return SigninLink(bytes(row["token"]), row["address"], row["until"]) if row else None


def use_link(connection: Connection, token: bytes) -> bool:
    """Use a link up; return False where somebody else has."""
    used = connection.execute(delete(signin_links).where(signin_links.c.token == token))
    return used.rowcount == 1


def forget(connection: Connection, now: float, idle: float, limit: float) -> None:
    """Remove sessions and links that have ended."""
    over = or_(console_sessions.c.seen_at < now - idle, console_sessions.c.began_at < now - limit)
    connection.execute(delete(console_sessions).where(over))
    connection.execute(delete(signin_links).where(signin_links.c.until < now))
