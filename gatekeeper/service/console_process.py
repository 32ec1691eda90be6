"""Starts the web console beside a gate: a child that is replaced when it ends, and whose end delays no mail."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from gatekeeper.server.certificates import server_context
from gatekeeper.server.sockets import close_sockets, open_sockets
from gatekeeper.service.child_process import Child
from gatekeeper.service.messages import CONSOLE, StartParameters
from gatekeeper.settings import Settings, SettingsError

log = logging.getLogger("gatekeeper.console")
_NEEDED = (
    "starlette",
    "uvicorn",
    "jinja2",
    "nh3",
    "argon2",
    "pyotp",
    "segno",
    "webauthn",
    "zxcvbn",
    "authlib",
    "httpx2",
)  # of the extra `console`
_PATIENCE = 10.0  # seconds: whoever opens a page now may have it still
_SOCKET_MODE = 0o660  # a proxy of the gate's group reaches it
_ARENAS = {"MALLOC_ARENA_MAX": "2"}  # else each thread's arena takes 64 MB of the address space that it may have


class ConsoleProcess:
    """The console of a gate; nothing where it is off."""

    def __init__(self, settings: Settings, log_key: bytes, replaced: Callable[[str], None]) -> None:
        """Open its sockets. Raises SettingsError, OSError where `--console` was given and cannot be had.

        Args: `replaced` is called with its kind when it has ended without being told to.
        """
        self._sockets = _sockets(settings)
        orders = StartParameters(
            settings.texts, settings.origins, log_key.hex(), {CONSOLE: tuple(each.fileno() for each in self._sockets)}
        )
        self._child = Child(CONSOLE, orders, {**os.environ, **_ARENAS}, lambda: None, replaced)

    def start(self) -> None:
        """Start the process, once the rules are in force on the database."""
        if self._sockets:
            self._child.start()

    async def stop(self) -> None:
        """End the process, and close its sockets."""
        await self._child.end(_PATIENCE)
        self.close()

    def close(self) -> None:
        """Close its sockets."""
        close_sockets(self._sockets)


def check_certificate(settings: Settings) -> None:
    """Raise SettingsError where the console's certificate, if it has one, cannot be used."""
    own = settings.signing_in
    if own.console_tls_cert and own.console_tls_key:
        server_context(own.console_tls_cert, own.console_tls_key, "--console-tls-cert and --console-tls-key")


def _sockets(settings: Settings) -> Sequence[socket.socket]:
    if settings.console is None:
        return ()
    given = settings.origins["console"] != "default"
    missing = next((name for name in _NEEDED if find_spec(name) is None), None)
    if missing:
        if given:
            raise SettingsError(f"--console: {missing} is missing: install gatekeeper-mail[console]")
        log.info("console: off, since %s is missing: install gatekeeper-mail[console] to have it", missing)
        return ()
    url = settings.console_url
    check_certificate(settings)
    try:
        opened = open_sockets(settings.console, _SOCKET_MODE)
    except OSError as error:
        if given:
            raise OSError(error.errno, f"--console {settings.console}: {error.strerror or error}") from error
        log.warning("console: off, since %s cannot be had (%s): name another by --console", url, error.strerror)
        return ()
    log.info("console: %s", url)
    return opened
