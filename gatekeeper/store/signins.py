"""Sessions of the web console, links by which people sign in, and steps of sign-ins that have begun.

Of tokens and codes only hashes are stored. A session ends at once where its row is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, or_, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import console_sessions, signin_links, signin_steps

_SEEN_EVERY = 30.0  # seconds between two notes that a session is used
MOST_TRIES = 5  # codes that may be tried for one link


@immutable
class Proof:
    """How somebody has shown who they are.

    Args: `issuer`, `subject`, `sid` and `id_token` of who signs in by OpenID Connect.
    """

    address: str
    method: str
    issuer: str | None = None
    subject: str | None = None
    sid: str | None = None
    id_token: str | None = field(default=None, repr=False)
    shown_at: float | None = None  # when they last showed who they are; None where nobody knows


@immutable
class SessionView:
    """A session: whose, how they signed in, from where, since when."""

    token: bytes  # its hash
    proof: Proof
    client: str
    program: str
    began_at: float
    seen_at: float

    @property
    def address(self) -> str:
        """Whose session it is."""
        return self.proof.address


@immutable
class SigninLink:
    """A link by which one person may sign in once, or set up how they will."""

    token: bytes  # its hash
    address: str
    until: float
    kind: str
    browser: bytes | None = None  # hash of what the browser holds that asked for it
    code: bytes | None = None  # hash of the code that another browser needs
    tries: int = 0
    place: str = ""  # the page that it leads to


def hashed(token: str) -> bytes:
    """Return what is stored of a token or code."""
    return sha256(token.encode()).digest()


# -- sessions ----------------------------------------------------------------------------------------------------

_PROOF = ("address", "method", "issuer", "subject", "sid", "id_token", "shown_at")
_SESSION = ("token", "client", "program", "began_at", "seen_at")


def begin(connection: Connection, session: SessionView) -> None:
    """Store a session."""
    values = {name: getattr(session.proof, name) for name in _PROOF}
    values |= {name: getattr(session, name) for name in _SESSION}
    connection.execute(insert(console_sessions).values(values))


def find(connection: Connection, token: bytes, now: float, idle: float, limit: float) -> SessionView | None:
    """Return the session of a token; None where there is none, or where it has ended by itself.

    Args: `idle` seconds since it was last used and `limit` since it began, after which a session ends.
    """
    row = connection.execute(select(console_sessions).where(console_sessions.c.token == token)).mappings().first()
    if row is None or now - row["seen_at"] > idle or now - row["began_at"] > limit:
        return None
    return _session(row)


def _session(row: RowMapping) -> SessionView:
    values: dict[str, Any] = {name: row[name] for name in _SESSION}
    return SessionView(**{**values, "token": bytes(row["token"])}, proof=Proof(**{name: row[name] for name in _PROOF}))


def is_due(session: SessionView, now: float) -> bool:
    """Return True where it is to be noted again that the session is used."""
    return now - session.seen_at > _SEEN_EVERY


def note_use(connection: Connection, token: bytes, now: float) -> None:
    """Note that a session is used."""
    connection.execute(update(console_sessions).where(console_sessions.c.token == token).values(seen_at=now))


def end(connection: Connection, token: bytes) -> None:
    """End a session."""
    connection.execute(delete(console_sessions).where(console_sessions.c.token == token))


def end_all_of(connection: Connection, address: str) -> None:
    """End all sessions of somebody, and the links by which they could sign in."""
    connection.execute(delete(console_sessions).where(console_sessions.c.address == address))
    connection.execute(delete(signin_links).where(signin_links.c.address == address))


def end_of_issuer(connection: Connection, issuer: str, subject: str | None, sid: str | None) -> int:
    """End the sessions that an issuer names, by its subject or its session; return how many there were."""
    named = [column == value for column, value in ((_C.subject, subject), (_C.sid, sid)) if value is not None]
    if not named:
        return 0
    return connection.execute(delete(console_sessions).where(_C.issuer == issuer, *named)).rowcount


_C = console_sessions.c


def sessions_of(connection: Connection, address: str | None) -> list[SessionView]:
    """Return somebody's sessions, the one used last first; everybody's for None."""
    query = select(console_sessions).order_by(console_sessions.c.seen_at.desc())
    if address is not None:
        query = query.where(console_sessions.c.address == address)
    return [_session(row) for row in connection.execute(query).mappings()]


# -- links -------------------------------------------------------------------------------------------------------

_LINK = ("token", "address", "until", "kind", "browser", "code", "tries", "place")


def add_link(connection: Connection, link: SigninLink, now: float) -> None:
    """Store a link."""
    values = {name: getattr(link, name) for name in _LINK}
    connection.execute(insert(signin_links).values(**values, made_at=now))


def count_links(connection: Connection, address: str, kind: str, since: float) -> int:
    """Return how many links of a kind were made for an address since that time and are there still."""
    own = (signin_links.c.address == address, signin_links.c.kind == kind, signin_links.c.made_at > since)
    return connection.execute(select(func.count()).select_from(signin_links).where(*own)).scalar_one()


def find_link(connection: Connection, token: bytes, kind: str, now: float) -> SigninLink | None:
    """Return a link of a kind that can still be used; looking changes nothing."""
    good = (signin_links.c.token == token, signin_links.c.until > now, signin_links.c.tries < MOST_TRIES)
    row = connection.execute(select(signin_links).where(*good, signin_links.c.kind == kind)).mappings().first()
    if row is None:
        return None
    values: dict[str, Any] = {name: row[name] for name in _LINK}
    for name in ("token", "browser", "code"):
        values[name] = None if row[name] is None else bytes(row[name])
    return SigninLink(**values)


def count_try(connection: Connection, token: bytes) -> None:
    """Count a code that was tried, before it is compared."""
    one = signin_links.c.token == token
    connection.execute(update(signin_links).where(one).values(tries=signin_links.c.tries + 1))


def use_link(connection: Connection, token: bytes) -> bool:
    """Use a link up; return False where somebody else has."""
    used = connection.execute(delete(signin_links).where(signin_links.c.token == token))
    return used.rowcount == 1


def drop_links(connection: Connection, address: str, kind: str) -> None:
    """Remove the links of a kind that somebody has."""
    own = (signin_links.c.address == address, signin_links.c.kind == kind)
    connection.execute(delete(signin_links).where(*own))


def forget(connection: Connection, now: float, idle: float, limit: float) -> None:
    """Remove sessions, links and steps that have ended."""
    over = or_(console_sessions.c.seen_at < now - idle, console_sessions.c.began_at < now - limit)
    connection.execute(delete(console_sessions).where(over))
    connection.execute(delete(signin_links).where(signin_links.c.until < now))
    connection.execute(delete(signin_steps).where(signin_steps.c.until < now))


# -- steps -------------------------------------------------------------------------------------------------------


def add_step(connection: Connection, token: bytes, kind: str, details: Mapping[str, str], until: float) -> None:
    """Store what is to be remembered until the next step of a sign-in."""
    connection.execute(insert(signin_steps).values(token=token, kind=kind, details=dict(details), until=until))


def take_step(connection: Connection, token: bytes, kind: str, now: float) -> Mapping[str, str] | None:
    """Return what was remembered of a step, and forget it; None where there is none."""
    one = (signin_steps.c.token == token, signin_steps.c.kind == kind)
    found = connection.execute(delete(signin_steps).where(*one).returning(signin_steps.c.details, signin_steps.c.until))
    row = found.first()
    return dict(row.details) if row is not None and row.until > now else None
