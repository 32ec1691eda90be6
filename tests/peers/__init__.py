"""Real peers that tests talk to: a sink, a Postfix, a running gate."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import cycle, islice

import pytest

_ALSO = "/usr/sbin:/usr/local/sbin:/sbin"  # where daemons are, and many an account's PATH does not look


def missing(what: str) -> None:
    """End the test for want of a peer: skipped where people see it, failed where CI is to have all peers."""
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"{what}: .ci/run is to provide it", pytrace=False)
    pytest.skip(f"peer missing: {what}")


def require(program: str) -> str:
    """Find a program on this machine; its path, or the end of the test (see `missing`)."""
    found = shutil.which(program) or shutil.which(program, path=_ALSO)
    if found is None:
        missing(f"program {program}")
    return str(found)


@cache
def _own_ports() -> tuple[socket.socket, Iterator[int]]:
    """Ports that no other process of tests gives out, in turn, and the socket that says so for as long as this lives.

    They are below those that the kernel gives to connections and to whoever asks for any port: one of these would be
    somebody else's between the look and its use.
    """
    for first in range(10_000, 32_000, 500):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0gatekeeper-test-ports-{first}")
        except OSError:
            claim.close()
        else:
            return claim, cycle(range(first, first + 500))
    raise RuntimeError("44 processes of tests have all ports")


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and that no other test is given while this one runs."""
    for port in islice(_own_ports()[1], 500):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("all ports of these tests are in use")


def wait_for(condition: Callable[[], bool], what: Callable[[], str], seconds: float = 30.0, step: float = 0.05) -> None:
    """Wait until the condition holds; AssertionError with what() after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:.0f} s: {what()}")
        time.sleep(step)


def listens(port: int) -> bool:
    """True where somebody accepts connections on that port of the loopback interface."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
