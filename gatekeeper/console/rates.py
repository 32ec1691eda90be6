"""How often somebody may try to sign in: ten times a minute, then ever longer pauses."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

_MOST_KNOWN = 10_000
_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 900.0  # seconds


@dataclass(slots=True)
class _Tries:
    at: deque[float] = field(default_factory=deque)
    until: float = 0.0  # when the pause ends
    pauses: int = 0


@dataclass(slots=True)
class Rates:
    """Tries of each name within a span, the names that were tried longest ago forgotten first.

    Args: `most` tries within `span` seconds; the pause that follows doubles each time.
    """

    most: int
    span: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _known: OrderedDict[str, _Tries] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def take(self, name: str) -> float:
        """Count a try; return 0, or the seconds to wait where it is one too many."""
        with self._lock:
            return self._take(self._tries(name), self.clock())

    def _tries(self, name: str) -> _Tries:
        found = self._known.setdefault(name, _Tries())
        self._known.move_to_end(name)
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return found

    def _take(self, tries: _Tries, now: float) -> float:
        if now < tries.until:
            return tries.until - now
        if now - tries.until > _LONGEST_PAUSE:
            tries.pauses = 0
        while tries.at and now - tries.at[0] >= self.span:
            tries.at.popleft()
        if len(tries.at) >= self.most:
            tries.until = now + min(max(_FIRST_PAUSE, self.span) * 2**tries.pauses, max(_LONGEST_PAUSE, self.span))
            tries.pauses += 1
            tries.at.clear()
            return tries.until - now
        tries.at.append(now)
        return 0.0

    def forget(self, name: str) -> None:
        """Forget the tries of somebody who has signed in."""
        with self._lock:
            self._known.pop(name, None)


def network_of(client: str) -> str:
    """Return the network of a client, which counts as one: /24 of IPv4, /56 of IPv6; what is no address as it is."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    mapped = getattr(address, "ipv4_mapped", None) or address
    return str(ipaddress.ip_network(f"{mapped}/{24 if mapped.version == 4 else 56}", strict=False))
