"""What the console works with: the ledger under the rules in force, who is signed in, what was said last."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatekeeper.console.live import Streams
from gatekeeper.console.rates import Rates
from gatekeeper.ledger.service import LedgerService
from gatekeeper.ledger.signins import SessionView, Signins
from gatekeeper.lib.immutable import immutable
from gatekeeper.ops.tracing import Tracing
from gatekeeper.policy.active import Policy
from gatekeeper.settings import LOOPBACK, SigningIn, contains, read_networks

if TYPE_CHECKING:
    from gatekeeper.console.oidc import Issuer

_MOST_REMEMBERED = 10_000
_ANYWHERE = read_networks("0.0.0.0/0,::/0")
_LOOPBACK = read_networks(LOOPBACK)


@dataclass(slots=True)
class Memory:
    """A few things that a process remembers, the oldest forgotten first."""

    _known: OrderedDict[Hashable, str] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def note(self, key: Hashable, value: str = "") -> None:
        """Remember a value."""
        self._known[key] = value
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)

    def get(self, key: Hashable) -> str | None:
        """Return what is remembered; None where nothing is."""
        return self._known.get(key)

    def claim(self, key: Hashable) -> bool:
        """Return True for whoever comes first with a key, and remember that somebody did."""
        with self._lock:
            is_first = key not in self._known
            if is_first:
                self.note(key)
            return is_first

    def take(self, key: Hashable) -> str | None:
        """Return and forget what is remembered."""
        return self._known.pop(key, None)


@dataclass(slots=True)
class Tries:
    """How often people try to sign in.

    Behind a proxy all come from its address: there only wrong tries count, and more of them are let pass.
    """

    accounts: Rates = field(default_factory=partial(Rates, 10))
    networks: Rates = field(default_factory=partial(Rates, 10))
    shared: Rates = field(default_factory=partial(Rates, 100))
    mails: Rates = field(default_factory=partial(Rates, 3, 900.0))


@immutable
class Desk:
    """The ledger as the pages see it.

    Args: `service` has the rules in force at each call; `url` is the console's own; `signing_in` how people do.
    """

    service: Callable[[], LedgerService]
    signins: Signins
    url: str
    signing_in: SigningIn = SigningIn()
    tries: Tries = field(default_factory=Tries)
    oidc: Issuer | None = None
    policy: Callable[[], Policy | None] = lambda: None  # with the directory; None where that cannot be read here
    most_upload: int = 50 * 1024 * 1024  # octets
    streams: Streams = field(default_factory=Streams)
    counted: Memory = field(default_factory=Memory)  # what waits, by person and newest event; answers, by their sums
    said: Memory = field(default_factory=Memory)  # by session: what is to be told on the next page
    done: Memory = field(default_factory=Memory)  # by person and key of a form: the page that its act led to
    codes: Memory = field(default_factory=Memory)  # by session: new recovery codes, until they were kept
    contents: Rates = field(default_factory=partial(Rates, 60))  # messages, files and addresses that somebody opens
    read: Memory = field(default_factory=Memory)  # by session and batch: that reading is noted already
    tracing: Tracing | None = None  # exports a span of each request

    @property
    def host(self) -> str:
        """Host and port of the console's own address, as browsers send it."""
        return urlsplit(self.url).netloc

    @property
    def origin(self) -> str:
        """Scheme, host and port of the console's own address."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def issuer(self) -> str:
        """The host of the OpenID Connect issuer, by which people know it."""
        return urlsplit(self.signing_in.oidc_issuer).netloc

    @property
    def can_passkey(self) -> bool:
        """True where browsers have passkeys for the console's host: they are for names, not for bare addresses."""
        return not contains(_ANYWHERE, urlsplit(self.url).hostname or "")

    @property
    def is_secure(self) -> bool:
        """True where browsers come by TLS."""
        return self.url.startswith("https:")

    @property
    def takes_forms(self) -> bool:
        """True where browsers say from which site a form comes: by TLS, and on loopback."""
        host = urlsplit(self.url).hostname or ""
        return self.is_secure or host == "localhost" or contains(_LOOPBACK, host)


@immutable
class Visitor:
    """Somebody who is signed in."""

    address: str
    token: str = field(repr=False)
    session: SessionView

    @property
    def csrf(self) -> str:
        """What each of their forms holds, which no other site knows."""
        return hmac.new(self.token.encode(), b"form", sha256).hexdigest()
