"""A worker or the office, as a process that the supervisor starts.

`python -m gatekeeper.service.worker NAME DESCRIPTOR` runs one.

The process ignores SIGTERM, SIGINT and SIGHUP. The supervisor gets them too where they are sent to the whole group, and
knows the order in which all processes end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from functools import partial

from prometheus_client import CollectorRegistry

from gatekeeper.ops import log as transaction_log
from gatekeeper.ops.metrics import Counters
from gatekeeper.policy.active import PolicyError
from gatekeeper.rules import Ruleset
from gatekeeper.service import runtime
from gatekeeper.service.front import ListenerSockets
from gatekeeper.service.gate import Gate, Role
from gatekeeper.service.messages import END, LONGEST_ORDERS, OFFICE, RELOAD, Report, StartParameters
from gatekeeper.settings import SettingsError
from gatekeeper.store import StoreSetupError

log = logging.getLogger("gatekeeper.member")
_FAILED = 1


async def live(name: str, line: socket.socket) -> None:
    """Run the process until the supervisor tells it to end. Raises what Gate raises."""
    reader, writer = await asyncio.open_unix_connection(sock=line, limit=LONGEST_ORDERS)
    orders = StartParameters.decode(await reader.readline())
    gate = _gate(name, orders, writer)
    await gate.start(_sockets(orders))
    _report(writer, gate.ruleset)
    ordered = await _obey(reader, gate)
    if not ordered:
        log.error("%s: the supervisor is gone", name)
    await gate.stop()
    writer.close()


def _gate(name: str, orders: StartParameters, writer: asyncio.StreamWriter) -> Gate:
    settings = orders.settings()
    transaction_log.configure(settings.ops, bytes.fromhex(orders.log_key))
    role = Role.OFFICE if name == OFFICE else Role.FRONT
    share = settings if role is Role.OFFICE else settings.share_of_worker()
    return Gate(share, Counters(CollectorRegistry()), role, partial(_report, writer), name)


def _sockets(orders: StartParameters) -> ListenerSockets:
    return {
        listener: [socket.socket(fileno=descriptor) for descriptor in descriptors]
        for listener, descriptors in orders.doors.items()
    }


def _report(writer: asyncio.StreamWriter, ruleset: Ruleset, problem: str = "") -> None:
    review = ruleset.review.isoformat() if ruleset.review else None
    writer.write(Report(ruleset.digest, ruleset.title, review, problem).encode())


async def _obey(reader: asyncio.StreamReader, gate: Gate) -> bool:
    """Follow the words of the supervisor until END; False where the supervisor is gone."""
    with contextlib.suppress(ConnectionError):
        async for word in reader:
            if word == RELOAD:
                gate.reloader.reload_soon()
            elif word == END:
                return True
    return False


def main() -> None:
    """Run the process that the command line names, on the socket whose descriptor it gives."""
    name, descriptor = sys.argv[1], int(sys.argv[2])
    runtime.become_child()
    runtime.prepare()
    try:
        asyncio.run(live(name, socket.socket(fileno=descriptor)))
    except (SettingsError, PolicyError, StoreSetupError, OSError) as error:
        log.error("%s: %s", name, error)
        sys.exit(_FAILED)


if __name__ == "__main__":
    main()
