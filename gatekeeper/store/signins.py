"""Sessions of the web console and one-time links. Of tokens and codes only hashes are stored.

A session ends at once where its row is removed, by whoever it belongs to or an admin.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, or_, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import console_sessions, signin_links

_SEEN_EVERY = 30.0  # seconds between two notes that a session is used
MOST_TRIES = 5  # codes that may be tried for one link


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
    browser: bytes | None = None  # hash of what the browser holds that asked for it; None where any may use it
    code: bytes | None = None  # hash of the code that another browser needs
    tries: int = 0


def hashed(token: str) -> bytes:
    """Return what is stored of a token or code."""
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


def add_link(connection: Connection, link: SigninLink, now: float) -> None:
    """Store a link."""
    names = ("token", "address", "until", "browser", "code", "tries")
    values = {name: getattr(link, name) for name in names}
    connection.execute(insert(signin_links).values(**values, made_at=now))


def count_links(connection: Connection, address: str, since: float) -> int:
    """Return how many links were made for an address since that time."""
    own = (signin_links.c.address == address, signin_links.c.made_at > since)
    return connection.execute(select(func.count()).select_from(signin_links).where(*own)).scalar_one()


def find_link(connection: Connection, token: bytes, now: float) -> SigninLink | None:
    """Return a link that can still be used; looking changes nothing."""
    good = (signin_links.c.token == token, signin_links.c.until > now, signin_links.c.tries < MOST_TRIES)
    row = connection.execute(select(signin_links).where(*good)).mappings().first()
    if row is None:
        return None
    octets = {name: None if row[name] is None else bytes(row[name]) for name in ("token", "browser", "code")}
    return SigninLink(address=row["address"], until=row["until"], tries=row["tries"], **octets)  # type: ignore[arg-type]


def count_try(connection: Connection, token: bytes) -> None:
    """Count a wrong code."""
    one = signin_links.c.token == token
    connection.execute(update(signin_links).where(one).values(tries=signin_links.c.tries + 1))


def use_link(connection: Connection, token: bytes) -> bool:
    """Use a link up; return False where somebody else has."""
    used = connection.execute(delete(signin_links).where(signin_links.c.token == token))
    return used.rowcount == 1


def forget(connection: Connection, now: float, idle: float, limit: float) -> None:
    """Remove sessions and links that have ended."""
    over = or_(console_sessions.c.seen_at < now - idle, console_sessions.c.began_at < now - limit)
    connection.execute(delete(console_sessions).where(over))
    connection.execute(delete(signin_links).where(signin_links.c.until < now))
