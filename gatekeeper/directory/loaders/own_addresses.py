"""Find the IP addresses of this host, which mail servers take for names of themselves (RFC 5321 4.1.3)."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from gatekeeper.address import normalise_domain

_IPV4, _IPV6 = Path("/proc/net/fib_trie"), Path("/proc/net/if_inet6")
_LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")


def own_literals() -> frozenset[str]:
    """Return the address literals of this host, normalised; none where the kernel does not list them."""
    return frozenset(map(normalise_domain, (*_literals(_IPV4, _ipv4), *_literals(_IPV6, _ipv6))))


def _literals(path: Path, read: Callable[[str], Iterator[str]]) -> tuple[str, ...]:
    try:
        return tuple(read(path.read_text("ascii")))
    except (OSError, ValueError, IndexError):  # another system, or another file format: loopback is known anyway
        return ()


def _ipv4(text: str) -> Iterator[str]:
    yield from (f"[{address}]" for address in _LOCAL.findall(text))


def _ipv6(text: str) -> Iterator[str]:
    for line in text.splitlines():
        packed = bytes.fromhex(line.split()[0])
        yield f"[IPv6:{socket.inet_ntop(socket.AF_INET6, packed)}]"
