"""Real peers that tests talk to: a sink, a Postfix, a running gate."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable

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


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
