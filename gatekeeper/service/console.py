"""Runs the web console: a process of its own, so that nothing that it does delays mail.

`python -m gatekeeper.service.console NAME DESCRIPTOR` is how `gatekeeper serve` starts it; `gatekeeper console` runs
it alone. As a child of the gate it gives way to it: less of the CPU, and no more memory than `--console-memory`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import uvicorn

from gatekeeper.console.app import make_app
from gatekeeper.console.desk import Desk
from gatekeeper.directory.loaders.load import load
from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.ledger.service import LedgerService
from gatekeeper.ledger.signins import OIDC, PATHS, START, Signins
from gatekeeper.ops import log as transaction_log
from gatekeeper.ops.tracing import make_tracing
from gatekeeper.policy.active import Policy
from gatekeeper.rules import Ruleset, RulesetError, parse_ruleset
from gatekeeper.service.console_process import check_certificate
from gatekeeper.service.database import watching
from gatekeeper.service.ledger_in_force import NotInForce, ledger_under, stored_rules
from gatekeeper.service.messages import CONSOLE, END, LONGEST_ORDERS, Report, StartParameters
from gatekeeper.service.runtime import become_child, prepare
from gatekeeper.settings import Endpoint, Settings, SettingsError, SigningIn
from gatekeeper.store import Database, Store, StoreError
from gatekeeper.store.rulesets import StoredRuleset

if TYPE_CHECKING:
    from gatekeeper.console.oidc import Issuer

log = logging.getLogger("gatekeeper.console")
_LARGEST_HEAD = 65_536  # octets of a request's line and header
_NICENESS = 5  # of a child: mail goes first
_TRIAL_SECONDS = 24 * 3_600.0
_DIRECTORY_SECONDS = 300.0  # for which a directory is not read again
_LOOKS, _PAUSE = 50, 0.2  # for rules in force, and the seconds between


@dataclass(slots=True)
class LedgerInForce:
    """The ledger under the rules in force, which are read again where the gate has stored others."""

    store: Store
    settings: Settings
    _digest: str = ""
    _known: LedgerService | None = None

    def __call__(self) -> LedgerService:
        """Return the verbs under the rules in force. Raises StoreError, NotInForce."""
        stored = stored_rules(self.store)
        if self._known is None or stored.digest != self._digest:
            self._known = ledger_under(stored, self.store, self.settings, log.warning)
            self._digest = stored.digest
        return self._known


@dataclass(slots=True)
class PolicyInForce:
    """The rules in force with the directory that they name, where this machine can read that."""

    store: Store
    _known: Policy | None = None
    _digest: str = ""
    _read_at: float = float("-inf")
    _lock: Lock = field(default_factory=Lock)

    def __call__(self) -> Policy | None:
        """Return them, read again every few minutes; None where they cannot be read. Raises StoreError, NotInForce.

        While somebody reads them again, which may ask a slow server, others get those of before if the rules are the
        same.
        """
        stored = stored_rules(self.store)
        if self._is_stale(stored) and self._lock.acquire(blocking=stored.digest != self._digest):
            try:
                if self._is_stale(stored):
                    self._known, self._digest, self._read_at = _policy(stored), stored.digest, time.monotonic()
            finally:
                self._lock.release()
        return self._known

    def _is_stale(self, stored: StoredRuleset) -> bool:
        return stored.digest != self._digest or time.monotonic() - self._read_at > _DIRECTORY_SECONDS


def _policy(stored: StoredRuleset) -> Policy | None:
    try:
        ruleset = parse_ruleset(stored.text, stored.name, Path(stored.name).parent)
        return Policy(ruleset, load(ruleset))
    except (RulesetError, DirectoryError, OSError) as error:
        log.warning("people of a request cannot be counted here, for the directory cannot be read: %s", error)
        return None


class _Server(uvicorn.Server):
    """A server that ends the streams of open pages when it ends: they would keep it for as long as it waits."""

    def __init__(self, config: uvicorn.Config, desk: Desk) -> None:
        super().__init__(config)
        self._desk = desk
        self._watching = watching(desk.signins.store)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections, and look from now on whether the database's files are still there."""
        self._watching.start()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what is on its way end."""
        self._desk.streams.closed = True
        await super().shutdown(sockets)
        await self._watching.stop()


def serve(settings: Settings, store: Store) -> None:
    """Serve the pages until SIGTERM. Raises SettingsError, NotInForce, OSError where the address cannot be had."""
    desk, place = _desk(settings, store), settings.console
    assert place is not None  # else it had no address
    desk.service()
    log.info("console: %s", desk.url)
    try:
        _Server(_config(desk, place), desk).run()
    except OSError as error:
        raise OSError(error.errno, f"--console {place}: {error.strerror or error}") from error


def _desk(settings: Settings, store: Store) -> Desk:
    """Return the desk of these settings. Raises SettingsError where they would not be safe."""
    own, url = settings.signing_in, settings.console_url
    check_certificate(settings)
    signins = Signins(store, own.session_idle, own.session_limit, store.now)
    issuer = _issuer(own, url, store) if OIDC in own.signin else None
    desk = Desk(
        LedgerInForce(store, settings),
        signins,
        url,
        own,
        oidc=issuer,
        policy=PolicyInForce(store),
        most_upload=settings.listening.max_size,
        tracing=make_tracing(),
    )
    if not desk.takes_forms:
        log.warning("console: nobody can sign in at %s: expected --public-url with https: (or of loopback)", url)
    return desk


def _issuer(own: SigningIn, url: str, store: Store) -> Issuer:
    from gatekeeper.console.oidc import Issuer  # 15 MB, which no other way to sign in needs

    return Issuer(own, url, store.now)


def _config(desk: Desk, place: Endpoint | None) -> uvicorn.Config:
    """Return how to serve. Args: `place` to listen at; None where the sockets are there already."""
    where = {} if place is None else {"uds": place.path} if place.path else {"host": place.host, "port": place.port}
    return uvicorn.Config(
        make_app(desk),
        **where,
        ssl_certfile=desk.signing_in.console_tls_cert,
        ssl_keyfile=desk.signing_in.console_tls_key,
        http="h11",
        h11_max_incomplete_event_size=_LARGEST_HEAD,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
    )


# -- as a child of the gate --------------------------------------------------------------------------------------


class _ChildServer(_Server):
    """A server that ends at the gate's word: signals are the gate's, which knows the order in which all end.

    Args: `ready` is called once it takes connections.
    """

    def __init__(self, config: uvicorn.Config, desk: Desk, ready: Callable[[], None]) -> None:
        super().__init__(config, desk)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections."""
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def live(line: socket.socket) -> None:
    """Serve the pages until the gate says END, or is gone. Raises SettingsError, StoreSetupError, StoreError."""
    reader, writer = await asyncio.open_unix_connection(sock=line, limit=LONGEST_ORDERS)
    orders = StartParameters.decode(await reader.readline())
    settings = orders.settings()
    transaction_log.configure(settings.ops, bytes.fromhex(orders.log_key))
    _give_way(settings.console_memory)
    with contextlib.closing(Store(Database(settings.storing.database, settings.storing.database_timeout))) as store:
        store.open(writing=False)
        desk = _desk(settings, store)
        ruleset = await _rules(desk)
        if settings.is_trial:
            _invite(desk)
        report = Report(ruleset.digest, ruleset.title, None).encode()
        server = _ChildServer(_config(desk, None), desk, lambda: writer.write(report))
        serving = asyncio.create_task(server.serve([socket.socket(fileno=each) for each in orders.doors[CONSOLE]]))
        obeying = asyncio.create_task(_obey(reader))
        await asyncio.wait({serving, obeying}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    writer.close()


async def _obey(reader: asyncio.StreamReader) -> None:
    """Wait until the gate says END, or is gone; rules that are read again come by the database."""
    with contextlib.suppress(ConnectionError):
        while await reader.readline() not in (END, b""):
            pass


async def _rules(desk: Desk) -> Ruleset:
    """Return the rules in force, which a gate at its first start is about to store. Raises NotInForce."""
    for _ in range(_LOOKS):
        with contextlib.suppress(NotInForce):
            return desk.service().ruleset
        await asyncio.sleep(_PAUSE)
    return desk.service().ruleset


def _give_way(memory: int) -> None:
    """Leave the CPU to mail, and have a ceiling of memory; where the service manager forbids it, go on without."""
    try:
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        os.nice(_NICENESS)
    except (OSError, ValueError) as error:
        log.info("console: its share of the machine cannot be limited here: %s", error)


def _invite(desk: Desk) -> None:
    """Say loudly how to look at the console of a gate that is only tried out."""
    people = desk.service().ruleset.people
    approver = next((address for address, person in people.items() if "approver" in person.roles), None)
    if approver is not None:
        token = desk.signins.make_link(approver, _TRIAL_SECONDS)
        log.warning("console: this gate is only tried out: the next link signs in as %s, whoever opens it", approver)
        log.warning("console: %s%s%s", desk.url, PATHS[START], token)


def main() -> None:
    """Run the console on the socket whose descriptor the command line gives."""
    become_child()
    prepare()
    try:
        asyncio.run(live(socket.socket(fileno=int(sys.argv[2]))))
    except (SettingsError, StoreError, OSError) as error:
        log.error("console: %s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
