"""What the connections of the SMTP listener share: the rooms behind it, and what it may offer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from gatekeeper.server.connections import Guest, Guests, among
from gatekeeper.server.ports import NextHop, Pipeline
from gatekeeper.server.spool import Contents
from gatekeeper.settings import Listening
from gatekeeper.smtp.parameters import XCLIENT, XFORWARD
from gatekeeper.smtp.replies import Reply

BEFORE_QUEUE_SECONDS = 90.0  # from the dot to the reply: Postfix waits 100 for a proxy (smtpd_proxy_timeout)
IMPLEMENTED = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
_ALL: Mapping[str, str] = dict.fromkeys((*IMPLEMENTED, "SIZE"), "")
_LOOK_SECONDS = 1.0  # a client whose time is over is sent away that much later at most


class _Timed(Protocol):
    """What has a deadline of its own."""

    def look_at_the_time(self, now: float) -> None: ...


class House(Guests):
    """The SMTP listener's connections and what they need."""

    def __init__(
        self,
        settings: Listening,
        next_hop: NextHop,
        pipeline: Pipeline,
        sender_allowed: Callable[[str], bool],
        obstacle: Callable[[], Reply | None],
        is_ours: Callable[[str], bool],
        has_own: Callable[[], bool],
        contents: Contents,
    ) -> None:
        super().__init__(settings, settings.max_connections_per_client)
        self.next_hop, self.pipeline = next_hop, pipeline
        self.sender_allowed, self.obstacle = sender_allowed, obstacle
        self.is_ours, self._has_own = is_ours, has_own
        self.contents = contents
        self.answer_within = BEFORE_QUEUE_SECONDS if settings.listen.before_queue else None
        self.shared: Mapping[str, Any] = {}  # what every connection begins with; set as the listener starts
        self.may_xforward, self.may_xclient = among(settings.xforward), among(settings.xclient)
        self.is_authenticated = among(settings.authenticated)
        self._theirs: Mapping[str, str] = {}
        self._ours: Mapping[str, str] = {}
        self._hellos: dict[tuple[str, bool, bool, bool], Reply] = {}  # by what else they say; of what is offered now
        self._next_look: asyncio.TimerHandle | None = None

    # -- whose time is over: one timer for all connections, that looks at all deadlines --

    def enter(self, guest: Guest) -> Reply | None:
        refusal = super().enter(guest)
        if self._next_look is None and refusal is None:
            self._look_later()
        return refusal

    def _look_later(self) -> None:
        shortest = min(self.settings.command_timeout, self.settings.data_timeout)
        self._next_look = asyncio.get_running_loop().call_later(min(_LOOK_SECONDS, shortest / 4), self._look)

    def _look(self) -> None:
        self._next_look = None
        now = asyncio.get_running_loop().time()
        for guest in self.guests():
            cast(_Timed, guest).look_at_the_time(now)
        if len(self):
            self._look_later()

    def owns_any(self, addresses: Sequence[str]) -> bool:
        """True where the gate itself answers one of these recipients."""
        return self._has_own() and any(map(self.is_ours, addresses))

    # -- what is offered --

    async def offers(self) -> Mapping[str, str]:
        """EHLO keywords that every next hop offers and we implement, with their arguments.

        All that we implement while no next hop was reached: MAIL is 451 then. A client that was offered less would
        send its mail back for good, though nobody has refused it.
        """
        theirs = await self.next_hop.extensions()
        return self._mirrored(_ALL if theirs is None else theirs)

    def offers_at_once(self) -> Mapping[str, str] | None:
        """As `offers`, where the next hop need not be asked for them."""
        theirs = self.next_hop.extensions_known()
        return None if theirs is None else self._mirrored(theirs)

    def _mirrored(self, theirs: Mapping[str, str]) -> Mapping[str, str]:
        if theirs is not self._theirs:
            ours = {keyword: "" for keyword in IMPLEMENTED if keyword in theirs}
            size = {"SIZE": str(self._smaller(theirs["SIZE"]))} if "SIZE" in theirs else {}
            self._theirs, self._ours, self._hellos = theirs, ours | size, {}
        return self._ours

    def _smaller(self, theirs: str) -> int:
        limit = int(theirs) if theirs.isdigit() else 0  # 0 or nothing: no fixed limit (RFC 1870 4)
        return min(limit, self.settings.max_size) if limit else self.settings.max_size

    def hello(self, offered: Mapping[str, str], hostname: str, peer: str, *, starttls: bool) -> Reply:
        """The reply to EHLO. Args: `offered` is what `offers` gave."""
        key = (hostname, starttls, self.may_xforward(peer), self.may_xclient(peer))
        known = self._hellos.get(key) if offered is self._ours else None
        if known is None:
            known = _hello(offered, *key)
            if offered is self._ours:
                self._hellos[key] = known
        return known

    def size_limit(self, offered: Mapping[str, str]) -> int:
        """The largest message that is taken from a client that was offered this, in octets."""
        return int(offered.get("SIZE", self.settings.max_size))


def _hello(offered: Mapping[str, str], hostname: str, starttls: bool, xforward: bool, xclient: bool) -> Reply:
    lines = [f"{keyword} {argument}".rstrip() for keyword, argument in offered.items()]
    if starttls:
        lines.append("STARTTLS")
    if xforward:
        lines.append(" ".join(("XFORWARD", *XFORWARD)))
    if xclient:
        lines.append(" ".join(("XCLIENT", *XCLIENT)))
    return Reply(250, (hostname, *lines))
