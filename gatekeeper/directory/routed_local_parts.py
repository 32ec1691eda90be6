"""Find where mail goes when the local part of an inside address routes: percent, bang, an @ in quotes.

A mail server behind the gate that takes a domain for its own looks into the local part, and sends the mail on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from operator import contains

from gatekeeper import address
from gatekeeper.address import Addresses

_LONGEST = 4096  # characters that a command can hold; each step copies the rest of the address


def may_route(addresses: Addresses) -> bool:
    """Return False where no address has a routing local part or names the host. One test covers all addresses."""
    if addresses.are_plain:
        return False
    joined = "\n".join(addresses)
    if not joined.isascii():  # other letters may spell localhost, too (UTS 46)
        return True
    if joined.count("@") != len(addresses) or not all(map(contains, addresses, repeat("@"))):
        return True
    if "%" in joined or "!" in joined or '"' in joined or "[" in joined:
        return True
    return ("@l" in joined or "@L" in joined) and "@localhost" in joined.lower()


def routed_address(written: str, routes: Callable[[str], bool]) -> str:
    """Return the normalised address that mail to `written` goes to; `written` itself, normalised, where nothing routes.

    A local part routes only to a dotted domain, an address literal or localhost; what stands behind a source route and
    does not route stays at its domain. Of two readings of a local part the one that leads inside is taken.

    Args: `routes` tells whether a local part before a domain may route.
    """
    if len(written) > _LONGEST:
        return address.normalise(written)
    local, domain = address.split(written)
    domain, moved = address.normalise_domain(domain), False
    while routes(domain) and (step := _step(address.routing_targets(local), routes)) is not None:
        local, domain = step[0], step[1] or domain
        moved = True
    return address.join(local, domain) if moved else address.normalise(written)


def _step(readings: Iterable[tuple[str, str]], routes: Callable[[str], bool]) -> tuple[str, str] | None:
    every = tuple(readings)
    found = [each for each in every if "." in each[1] or address.is_loopback(each[1]) or address.is_literal(each[1])]
    inside = (each for each in found if routes(each[1]))
    unrouted = (each for each in every if not each[1])
    return next(inside, found[0] if found else next(unrouted, None))
