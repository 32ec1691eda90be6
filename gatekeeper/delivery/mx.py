"""The hosts of mx://domain, resolved and cached (RFC 5321 5.1, RFC 7505)."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

from gatekeeper.delivery.client_tls import ClientTls
from gatekeeper.delivery.errors import NextHopError
from gatekeeper.delivery.route_url import Host, MxDomain, Security
from gatekeeper.ops.log import event

LEAST_TTL = 60.0  # seconds; with shorter ones the DNS would be asked for every message
MOST_TTL = 3600.0
RETRY_SECONDS = 30.0  # for which old answers are used while the DNS fails
_MOST_HOSTS = 10
_NAMES_NOTHING = (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN)


class _NoHostError(Exception):
    """The DNS answered, and its answer names no host."""


class MxHosts:
    """The MX hosts of one domain, by preference; hosts of equal preference in a new random order each time."""

    def __init__(
        self,
        route: MxDomain,
        resolver: dns.asyncresolver.Resolver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._route, self._resolver, self._clock = route, resolver, clock
        self._tls = ClientTls.unverified()
        self._known: list[tuple[int, Host]] = []  # preference, host
        self._until = float("-inf")
        self._asking = asyncio.Lock()

    async def hosts(self) -> list[Host]:
        """Return the hosts to try, in order; cached ones where the DNS fails. Raises NextHopError "dns" without any."""
        async with self._asking:
            if self._clock() >= self._until:
                await self._ask()
        shuffled = random.sample(self._known, len(self._known))
        return [host for _, host in sorted(shuffled, key=lambda pair: pair[0])]

    async def _ask(self) -> None:
        try:
            self._known, ttl = await self._resolve()
        except (dns.exception.DNSException, _NoHostError, OSError) as error:
            if not self._known:
                raise NextHopError("dns", f"the DNS names no host for mx://{self._route.domain}: {error}") from error
            about = {"domain": self._route.domain, "error": str(error)}
            event("next hop: DNS fails, using old answers", about, logging.WARNING)
            ttl = RETRY_SECONDS
        self._until = self._clock() + ttl

    async def _resolve(self) -> tuple[list[tuple[int, Host]], float]:
        """Return hosts with their preferences, and their time to live in seconds."""
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver()
        exchangers, ttls = await self._exchangers(self._resolver)
        found: list[tuple[int, Host]] = []
        for preference, name in sorted(exchangers)[:_MOST_HOSTS]:
            for address in await self._addresses(self._resolver, name, ttls):
                found.append((preference, self._host(name, address)))
        if not found:
            raise _NoHostError("no mail host has an address")
        return found[:_MOST_HOSTS], min(max(min(ttls), LEAST_TTL), MOST_TTL)

    async def _exchangers(self, resolver: dns.asyncresolver.Resolver) -> tuple[list[tuple[int, str]], list[float]]:
        try:
            answer = await resolver.resolve(self._route.domain, "MX")
        except dns.resolver.NoAnswer:
            return [(0, self._route.domain)], [MOST_TTL]  # RFC 5321 5.1: the domain is its own mail host
        pairs = [(record.preference, record.exchange.to_text(omit_final_dot=True)) for record in answer]
        if [name for _, name in pairs] in (["."], [""]):
            raise _NoHostError("a null MX: the domain takes no mail (RFC 7505)")
        return pairs, [_ttl(answer)]

    async def _addresses(self, resolver: dns.asyncresolver.Resolver, name: str, ttls: list[float]) -> list[str]:
        addresses = []
        for kind in ("A", "AAAA"):
            try:
                answer = await resolver.resolve(name, kind)
            except _NAMES_NOTHING:
                continue
            except dns.exception.DNSException as error:
                about = {"host": name, "error": str(error)}
                event("next hop: DNS fails for a mail host", about, logging.WARNING)
                ttls.append(LEAST_TTL)  # asked again soon
                continue
            addresses += [record.address for record in answer]
            ttls.append(_ttl(answer))
        return addresses

    def _host(self, name: str, address: str) -> Host:
        return Host(name, self._route.port, address, Security.OPPORTUNISTIC, self._tls)


def _ttl(answer: dns.resolver.Answer) -> float:
    return float(answer.rrset.ttl) if answer.rrset is not None else LEAST_TTL
