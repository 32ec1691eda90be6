"""The protocol between a service manager and the gate: sockets that it holds for the gate, and the gate's state.

With socket activation the sockets outlive the process, so that a restart refuses no connection: those that come
meanwhile wait in the kernel. The protocols are systemd's (sd_listen_fds(3), sd_notify(3)); others speak them too.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping, MutableMapping

from gatekeeper.lib.aio import PeriodicTask
from gatekeeper.settings import SettingsError

_FIRST = 3  # descriptor (SD_LISTEN_FDS_START)
LISTENERS = ("smtp", "milter")  # what a socket may be named (FileDescriptorName=); smtp where it has no name


def passed_sockets(environment: MutableMapping[str, str] = os.environ) -> dict[str, list[socket.socket]]:
    """Return the listening sockets that were passed to this process, by listener; taken once, and no child gets them.

    Raises SettingsError where one has a name that is no listener's.
    """
    count, names, process = (environment.pop(name, "") for name in ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"))
    if process != str(os.getpid()):
        return {}
    found: dict[str, list[socket.socket]] = {}
    for number, name in zip(range(int(count or 0)), [*names.split(":"), *[""] * int(count or 0)], strict=False):
        listener = _listener(name)
        os.set_inheritable(_FIRST + number, False)
        opened = socket.socket(fileno=_FIRST + number)
        opened.setblocking(False)
        found.setdefault(listener, []).append(opened)
    return found


def _listener(name: str) -> str:
    if name in ("", "unknown", "connection") or name.endswith(".socket"):  # it was given none
        return LISTENERS[0]
    if name not in LISTENERS:
        raise SettingsError(f"a socket named {name!r} was passed: expected FileDescriptorName={' or '.join(LISTENERS)}")
    return name


def tell(*words: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send a state such as `READY=1` to the service manager; does nothing where there is none."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    path = "\0" + address[1:] if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.connect(path)
        line.send("\n".join(words).encode())


def signs_of_life(environment: Mapping[str, str] = os.environ) -> PeriodicTask | None:
    """Return what tells the watchdog that the event loop turns; None where there is no watchdog."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None

    async def live() -> None:
        tell("WATCHDOG=1", environment=environment)

    return PeriodicTask(int(microseconds) / 3e6, live, at_once=True)
