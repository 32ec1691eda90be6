"""The next hop's hosts: in which order to try them, connections to them, and the extensions that they offer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from gatekeeper.delivery.errors import NextHopError
from gatekeeper.delivery.pool import Pool
from gatekeeper.delivery.route_url import Host
from gatekeeper.delivery.smtp_client import Deadlines, SmtpClient, connect
from gatekeeper.model import Client
from gatekeeper.ops.log import event

COOL_SECONDS = 30.0  # for which a host that failed is tried last
OFFERS_SECONDS = 300.0  # for which the offered extensions are taken as known
_OFFERS_UNKNOWN_SECONDS = 5.0
_PROBE_SECONDS = 10.0


class Hosts:
    """All connections of this process to the next hop.

    Args: `find` returns the hosts in order of preference, or raises NextHopError; `hello` is our name in EHLO; `report`
    is called with the kind of every error, for the metric; `first` is the host that is tried first, where that never
    changes; `most_recipients` go in one transaction, None for as many as the next hop takes.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[list[Host]]],
        hello: str,
        deadlines: Deadlines,
        idle_seconds: float,
        report: Callable[[str], None],
        first: Host | None = None,
        most_recipients: int | None = None,
    ) -> None:
        self._first, self.most_recipients = first, most_recipients
        self._find, self._hello, self._deadlines, self._report = find, hello, deadlines, report
        self._pool = Pool(idle_seconds)
        self._first_idle = self._pool.idle(first) if first else None
        self._failed: dict[Host, float] = {}
        self._found: list[Host] = []  # in order of preference, when last asked
        self._offered: dict[Host, frozenset[str]] = {}  # the keywords that each host offered last
        self._offers: Mapping[str, str] | None = None  # common to all hosts that answered; None while unknown
        self._offers_until = float("-inf")
        self._probing: asyncio.Task[None] | None = None

    def failed(self, error: NextHopError, host: Host | None = None) -> None:
        """Log and count an error."""
        about = {"kind": error.kind, "host": str(host or "-"), "error": str(error)}
        event("next hop: error", about, logging.WARNING)
        self._report(error.kind)

    # -- connections ---------------------------------------------------------------------------------------------

    async def connections(self, client: Client | None, kept: bool = True) -> AsyncIterator[SmtpClient]:
        """Yield connections to try one after the other: an idle one, then a fresh one to each host that answers.

        A host that failed lately is tried last. Raises NextHopError where the DNS names no host; ends where no host is
        left.
        """
        hosts = await self._in_order()
        waiting = self._pool.take(hosts[0], client) if kept else None
        if waiting:
            yield waiting
        for host in hosts:
            if connection := await self._fresh(host, client):
                yield connection

    async def any_answers(self) -> bool:
        """Return True where a host takes a fresh connection."""
        with contextlib.suppress(NextHopError):
            async for connection in self.connections(None, kept=False):
                self.give_back(connection)
                return True
        return False

    def kept(self, client: Client | None) -> SmtpClient | None:
        """Return the idle connection that `connections` would yield first, where that is known without asking the
        DNS.
        """
        if self._first is None or self._first_idle is None or (self._failed and self._first in self._failed):
            return None
        if client and (not self._first_idle or self._first_idle.offers_xclient):
            return self._pool.take(self._first, client)
        return self._first_idle.take()

    async def _in_order(self) -> list[Host]:
        try:
            hosts = await self._find()
        except NextHopError as error:
            self.failed(error)
            raise
        self._found, now = hosts, time.monotonic()
        return sorted(hosts, key=lambda host: self._failed.get(host, float("-inf")) + COOL_SECONDS > now)

    async def _fresh(self, host: Host, client: Client | None) -> SmtpClient | None:
        try:
            connection = await connect(host, self._hello, self._deadlines, client)
        except NextHopError as error:
            self.failed(error, host)
            if host not in self._failed:
                self.forget_offers()  # it may come back with other extensions
            self._failed[host] = time.monotonic()
            return None
        if client is None:
            self._note_offered(host, frozenset(connection.offers))
        self._failed.pop(host, None)
        return connection

    def _note_offered(self, host: Host, keywords: frozenset[str]) -> None:
        before = self._offered.get(host)
        if host in self._failed or before not in (None, keywords):
            self.forget_offers()
        self._offered[host] = keywords

    def give_back(self, connection: SmtpClient) -> None:
        """Take back a connection whose transaction is over."""
        self._pool.give(connection)

    async def close(self) -> None:
        """Send QUIT on idle connections."""
        if self._probing:
            self._probing.cancel()
        await self._pool.close()

    # -- extensions ----------------------------------------------------------------------------------------------

    async def offers(self) -> Mapping[str, str] | None:
        """Return what every host that answers offers: EHLO keyword, in upper case, to its parameters; of SIZE the least
        limit.

        Asked again every five minutes, in the background, and at once where a host failed, came back or offers
        something else. None while it is unknown: no host was reached yet, or none answered when last asked.
        """
        if time.monotonic() >= self._offers_until and (self._probing is None or self._probing.done()):
            self._probing = asyncio.create_task(self._probe_all())
        if self._offers is None and self._probing and not self._probing.done():
            await asyncio.wait([self._probing], timeout=_PROBE_SECONDS)
        return self._offers

    def offers_known(self) -> Mapping[str, str] | None:
        """Return the offers without waiting; None where they must be asked for."""
        return self._offers if time.monotonic() < self._offers_until else None

    def forget_offers(self) -> None:
        """Ask all hosts again before extensions are offered to clients."""
        self._offers, self._offers_until = None, float("-inf")

    def may_offer(self, keyword: str) -> bool:
        """Return True where some host offered that keyword when it was reached last, even if it cannot be reached now;
        and where some host was never reached since the start, so that nobody knows.
        """
        return any(keyword in self._offered.get(host, (keyword,)) for host in self._found)

    async def _probe_all(self) -> None:
        try:
            hosts = await self._in_order()
        except NextHopError:
            hosts = []
        answers = [offers for offers in await asyncio.gather(*map(self._probe, hosts)) if offers is not None]
        self._offers = common(answers) if answers else None
        self._offers_until = time.monotonic() + (OFFERS_SECONDS if answers else _OFFERS_UNKNOWN_SECONDS)

    async def _probe(self, host: Host) -> Mapping[str, str] | None:
        connection = await self._fresh(host, None)
        if connection is None:
            return None
        self._pool.give(connection)
        return dict(connection.offers)


def common(answers: list[Mapping[str, str]]) -> dict[str, str]:
    """Return the keywords that are in every answer; of SIZE the least limit, where 0 is none (RFC 1870 4)."""
    keywords = set(answers[0]).intersection(*answers[1:])
    offers = {keyword: answers[0][keyword] for keyword in answers[0] if keyword in keywords}
    if "SIZE" in offers:
        limits = [int(answer["SIZE"]) for answer in answers if answer["SIZE"].isdigit() and int(answer["SIZE"])]
        offers["SIZE"] = str(min(limits)) if limits else ""
    return offers
