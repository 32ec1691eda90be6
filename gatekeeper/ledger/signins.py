"""Who is signed in to the web console: sessions, and links by which somebody signs in once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial

from gatekeeper.address import normalise
from gatekeeper.ledger.context import NotFound
from gatekeeper.lib.immutable import immutable
from gatekeeper.store import Store, signins
from gatekeeper.store.signins import SessionView, SigninLink

_TOKEN_OCTETS = 32
START = "start"  # the method of a link that a command has printed
START_PATH = "/signin/start/"  # of the page of such a link


@immutable
class Signins:
    """Sessions on one database. Args: `idle` and `limit` in seconds, after which one ends by itself."""

    store: Store
    idle: float = 1_800.0
    limit: float = 43_200.0
    clock: Callable[[], float] = time.time

    def begin(self, address: str, method: str, client: str, program: str) -> str:
        """Begin a session and return its token, which nobody but the browser has. Raises StoreError."""
        token, now = secrets.token_urlsafe(_TOKEN_OCTETS), self.clock()
        session = SessionView(signins.hashed(token), normalise(address), method, client, program[:200], now, now)
        self.store.call(partial(signins.begin, session=session))
        return token

    def session(self, token: str) -> SessionView | None:
        """Return the session of a token, which counts as used now; None where it has ended. Raises StoreError."""
        now, key = self.clock(), signins.hashed(token)
        find = partial(signins.find, token=key, now=now, idle=self.idle, limit=self.limit)
        found = self.store.writer.read(find)
        if found and signins.is_due(found, now):
            self.store.call(partial(signins.note_use, token=key, now=now))
        return found

    def sessions(self, address: str) -> list[SessionView]:
        """Return somebody's sessions, the one used last first. Raises StoreError."""
        now = self.clock()
        found = self.store.writer.read(partial(signins.sessions_of, address=address))
        return [one for one in found if now - one.seen_at <= self.idle and now - one.began_at <= self.limit]

    def end(self, token: str) -> None:
        """End the session of a token. Raises StoreError."""
        self.store.call(partial(signins.end, token=signins.hashed(token)))

    def end_of(self, address: str, key: str) -> None:
        """End one of somebody's sessions. Raises NotFound, StoreError. Args: `key` is its hash in hexadecimal."""
        if key not in {one.token.hex() for one in self.sessions(address)}:
            raise NotFound("no such session of yours: expected one of those on the page")
        self.store.call(partial(signins.end, token=bytes.fromhex(key)))

    def make_link(self, address: str, seconds: float) -> str:
        """Make a link by which somebody signs in once, within that time, and return its token. Raises StoreError."""
        token, now = secrets.token_urlsafe(_TOKEN_OCTETS), self.clock()
        link = SigninLink(signins.hashed(token), normalise(address), now + seconds)
        self.store.call(partial(signins.forget, now=now, idle=self.idle, limit=self.limit))
        self.store.call(partial(signins.add_link, link=link))
        return token

    def link(self, token: str) -> SigninLink | None:
        """Return a link that can still be used; looking changes nothing, however often. Raises StoreError."""
        return self.store.writer.read(partial(signins.find_link, token=signins.hashed(token), now=self.clock()))

    def use(self, token: str) -> str | None:
        """Use a link up; return whose it was, None where it cannot be used any more. Raises StoreError."""
        link = self.link(token)
        used = link is not None and self.store.call(partial(signins.use_link, token=link.token))
        return link.address if link and used else None
