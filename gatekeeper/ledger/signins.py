"""Who is signed in to the web console: sessions, and links by which somebody signs in once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from gatekeeper.address import normalise
from gatekeeper.directory.domains import Domains
from gatekeeper.ledger.context import NotAllowed, NotFound, act_of
from gatekeeper.lib.immutable import immutable
from gatekeeper.rules import Ruleset
from gatekeeper.store import Connection, Store, accounts, audit_chain, signin_pins, signins
from gatekeeper.store.events import Act
from gatekeeper.store.signin_pins import Pin
from gatekeeper.store.signins import Proof, SessionView, SigninLink

__all__ = ["PATHS", "Pin", "Proof", "SessionView", "SigninLink", "Signins", "may_sign_in"]
_TOKEN_OCTETS = 32
START = "start"  # a link that a command has printed, and the method of who signs in by it
ENROL = "enrol"  # a link by which somebody sets up how they sign in
MAIL = "mail"  # a link that was mailed to who asked for it
PATHS = {START: "/signin/start/", ENROL: "/signin/enrol/", MAIL: "/signin/link/"}  # of the pages of these links
PASSWORD, PASSKEY, LINK, PROXY, OIDC = "password", "passkey", "link", "proxy", "oidc"
METHODS = (START, PASSWORD, PASSKEY, LINK, PROXY, OIDC)
FRESH = 600.0  # seconds since somebody showed who they are, within which they may change how people sign in
STEP_SECONDS = 900.0  # for which a sign-in that has begun can be completed


def may_sign_in(ruleset: Ruleset, address: str) -> bool:
    """Return True for people that the rules name, and for whoever has a declared inside address."""
    heads = {agency.head for agency in ruleset.agencies.values()}
    places = {each.delegate.to for each in ruleset.people.values() if each.delegate}
    return address in ruleset.people or address in heads | places or _is_inside(ruleset, address)


def _is_inside(ruleset: Ruleset, address: str) -> bool:
    return _domains_of(ruleset).place(address.rpartition("@")[2])[0]


def _domains_of(ruleset: Ruleset) -> Domains:
    """Return the inside domains of a ruleset; those of the last ruleset are kept, since every click asks."""
    found = _DOMAINS.get(ruleset.digest)
    if found is None:
        found = Domains(
            {id: agency.domains for id, agency in ruleset.agencies.items()}, ruleset.domains, ruleset.outside
        )
        _DOMAINS.clear()
        _DOMAINS[ruleset.digest] = found
    return found


_DOMAINS: dict[str, Domains] = {}  # by digest


def login_of(proof: Proof) -> str:
    """Return what acts say of how their author signed in: `console:oidc:SUB`, `console:local`, `console:link`."""
    method = "local" if proof.method in (PASSWORD, PASSKEY) else proof.method
    return f"console:{method}:{proof.subject}" if proof.subject else f"console:{method}"


@immutable
class SessionEnd:
    """In how many seconds a session ends by itself, and after how many without a click."""

    left: int
    idle: int


@immutable
class Signins:
    """Sessions on one database. Args: `idle` and `limit` in seconds, after which one ends by itself."""

    store: Store
    idle: float = 1_800.0
    limit: float = 43_200.0
    clock: Callable[[], float] = time.time

    # -- sessions ------------------------------------------------------------------------------------------------

    def begin(self, proof: Proof, client: str, program: str) -> str:
        """Begin a session and return its token, which nobody but the browser has.

        Whoever signs in by what only they have or know shows who they are; of others the proof says when they did.

        Raises NotAllowed for who is disabled, StoreError.
        """
        token, now = secrets.token_urlsafe(_TOKEN_OCTETS), self.clock()
        self.store.call(partial(signins.forget, now=now, idle=self.idle, limit=self.limit))
        shown = proof if proof.method in (PROXY, OIDC) else replace(proof, shown_at=now)
        session = SessionView(signins.hashed(token), shown, client, program[:200], now, now)
        self.store.call(partial(_begin, session=session))
        return token

    def session(self, token: str) -> SessionView | None:
        """Return the session of a token, which counts as used now; None where it has ended. Raises StoreError."""
        now, key = self.clock(), signins.hashed(token)
        find = partial(signins.find, token=key, now=now, idle=self.idle, limit=self.limit)
        found = self.store.writer.read(find)
        if found and signins.is_due(found, now):
            self.store.call(partial(signins.note_use, token=key, now=now))
        return found

    def is_alive(self, token: str) -> bool:
        """Return True where the session of a token has not ended; asking is no use of it. Raises StoreError."""
        find = partial(signins.find, token=signins.hashed(token), now=self.clock(), idle=self.idle, limit=self.limit)
        return self.store.writer.read(find) is not None

    def sessions(self, address: str | None) -> list[SessionView]:
        """Return somebody's sessions, the one used last first; everybody's for None. Raises StoreError."""
        now = self.clock()
        found = self.store.writer.read(partial(signins.sessions_of, address=address))
        return [one for one in found if now - one.seen_at <= self.idle and now - one.began_at <= self.limit]

    def is_fresh(self, session: SessionView) -> bool:
        """Return True where somebody has shown a short while ago who they are."""
        shown = session.proof.shown_at
        return shown is not None and self.clock() - shown <= FRESH

    def ends(self, session: SessionView) -> SessionEnd:
        """Return when a session that is used now ends by itself."""
        left = self.limit - (self.clock() - session.began_at)
        return SessionEnd(int(min(self.idle, left)), int(self.idle))

    def end(self, token: str) -> None:
        """End the session of a token. Raises StoreError."""
        self.store.call(partial(signins.end, token=signins.hashed(token)))

    def end_of(self, address: str | None, key: str, by: str = "") -> SessionView:
        """End one of somebody's sessions, or of anybody's for None; return it. Raises NotFound, StoreError.

        Args: `key` is its hash in hexadecimal; `by` is the admin who ends somebody else's.
        """
        found = next((one for one in self.sessions(address) if one.token.hex() == key), None)
        if found is None:
            raise NotFound("no such session: expected one of those on the page; it may have ended")

        def end(connection: Connection) -> None:
            signins.end(connection, found.token)
            if by:
                note_about(connection, "session ended", found.address, act_of(by, "", self.clock()))

        self.store.call(end)
        return found

    def end_of_issuer(self, issuer: str, subject: str | None, sid: str | None) -> int:
        """End the sessions that an issuer names; return how many there were. Raises StoreError."""
        return self.store.call(partial(signins.end_of_issuer, issuer=issuer, subject=subject, sid=sid))

    # -- links ---------------------------------------------------------------------------------------------------

    def make_link(self, address: str, seconds: float, kind: str = START) -> str:
        """Make a link by which somebody signs in once, within that time, and return its token. Raises StoreError."""
        return self.add_link(SigninLink(b"", normalise(address), self.clock() + seconds, kind))

    def add_link(self, link: SigninLink) -> str:
        """Store a link under a new token, and return the token. Raises StoreError."""
        token, now = secrets.token_urlsafe(_TOKEN_OCTETS), self.clock()

        def add(connection: Connection) -> None:
            signins.forget(connection, now, self.idle, self.limit)
            values = (link.address, link.until, link.kind, link.browser, link.code, 0, link.place)
            signins.add_link(connection, SigninLink(signins.hashed(token), *values), now)

        self.store.call(add)
        return token

    def link(self, token: str, kind: str = START) -> SigninLink | None:
        """Return a link that can still be used; looking changes nothing, however often. Raises StoreError."""
        find = partial(signins.find_link, token=signins.hashed(token), kind=kind, now=self.clock())
        return self.store.writer.read(find)

    def use(self, token: str, kind: str = START) -> SigninLink | None:
        """Use a link up and return it; None where it cannot be used any more. Raises StoreError."""
        link = self.link(token, kind)
        used = link is not None and self.store.call(partial(signins.use_link, token=link.token))
        return link if used else None

    # -- steps ---------------------------------------------------------------------------------------------------

    def remember(self, kind: str, details: Mapping[str, str], seconds: float = STEP_SECONDS) -> str:
        """Remember what the next step of a sign-in needs; return the token that the browser brings back."""
        token, now = secrets.token_urlsafe(_TOKEN_OCTETS), self.clock()

        def add(connection: Connection) -> None:
            signins.forget(connection, now, self.idle, self.limit)
            signins.add_step(connection, signins.hashed(token), kind, details, now + seconds)

        self.store.call(add)
        return token

    def recall(self, kind: str, token: str) -> Mapping[str, str] | None:
        """Return and forget what was remembered under a token; None where nothing is, or where it is too late."""
        now = self.clock()
        return self.store.call(partial(signins.take_step, token=signins.hashed(token), kind=kind, now=now))

    # -- names at an issuer --------------------------------------------------------------------------------------

    def pin(self, address: str, issuer: str, subject: str) -> None:
        """Pin an address to who claimed it first. Raises NotAllowed where it, or the subject, is pinned otherwise."""
        wanted = Pin(address, issuer, subject, self.clock())
        held = self.store.call(partial(signin_pins.pin, wanted=wanted))
        if (held.address, held.issuer, held.subject) != (address, issuer, subject):
            raise NotAllowed(f"{address} is known here as somebody else: an admin can look at it under People")

    def pins(self) -> list[Pin]:
        """Return all pins by address. Raises StoreError."""
        return self.store.writer.read(signin_pins.pins)

    def unpin(self, address: str, by: str = "") -> None:
        """Remove the pin of an address, which the next sign-in pins anew. Raises NotFound, StoreError."""

        def remove(connection: Connection) -> bool:
            found = signin_pins.unpin(connection, address)
            if found:
                note_about(connection, "pin removed", address, act_of(by, "", self.clock()))
            return found

        if not self.store.call(remove):
            raise NotFound(f"{address}: nobody's name is pinned to it")


def note_about(connection: Connection, what: str, address: str, act: Act) -> None:
    """Write an act about somebody's account to the chain of acts."""
    audit_chain.note(connection, {"at": act.at, "act": what, "by": act.by, "login": act.login, "account": address})


def _begin(connection: Connection, session: SessionView) -> None:
    account = accounts.find_account(connection, session.address)
    if account is not None and account.disabled_at is not None:
        raise NotAllowed(f"{session.address} is disabled: an admin can let them sign in again")
    signins.begin(connection, session)
