"""A wire tap: a unix socket in front of another one, which keeps what went over it, in each direction."""

from __future__ import annotations

import shutil
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import AF_UNIX, SHUT_WR, SOCK_STREAM, socket


@dataclass
class Call:
    """One connection: octets from who called, and from who was called."""

    said: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)


@contextmanager
def tap(path: Path, target: Path, group: str) -> Iterator[list[Call]]:
    """Listen on `path`, which is open to that group; the calls so far."""
    calls: list[Call] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            calls.append(call := Call())
            with suppress(OSError), socket(AF_UNIX, SOCK_STREAM) as onward:
                onward.connect(str(target))
                back = threading.Thread(target=_copy, args=(onward, self.request, call.answered))
                back.start()
                _copy(self.request, onward, call.said)
                back.join()

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        shutil.chown(path, "root", group)
        path.chmod(0o660)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield calls
        server.shutdown()
    path.unlink()


def _copy(source: socket, target: socket, kept: bytearray) -> None:
    with suppress(OSError):
        while octets := source.recv(65_536):
            kept += octets
            target.sendall(octets)
    with suppress(OSError):
        target.shutdown(SHUT_WR)
