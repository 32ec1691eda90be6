"""Runs the web console: a process of its own, so that nothing that it does delays mail."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import uvicorn

from gatekeeper.console.app import make_app
from gatekeeper.console.desk import Desk
from gatekeeper.ledger.service import LedgerService
from gatekeeper.ledger.signins import Signins
from gatekeeper.service.ledger_in_force import ledger_under, stored_rules
from gatekeeper.settings import Endpoint, Settings
from gatekeeper.store import Store

log = logging.getLogger("gatekeeper.console")
_LARGEST_HEAD = 65_536  # octets of a request's line and header


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


def serve(settings: Settings, store: Store) -> None:
    """Serve the pages until SIGTERM. Raises SettingsError, NotInForce, OSError where the address cannot be had."""
    url, place, ledger = settings.console_url, settings.console, LedgerInForce(store, settings)
    assert place is not None  # else it had no address
    ledger()
    log.info("console: %s", url)
    uvicorn.Server(_config(Desk(ledger, Signins(store, clock=store.now), url), place)).run()


def _config(desk: Desk, place: Endpoint) -> uvicorn.Config:
    where = {"uds": place.path} if place.path else {"host": place.host, "port": place.port}
    return uvicorn.Config(
        make_app(desk),
        **where,
        http="h11",
        h11_max_incomplete_event_size=_LARGEST_HEAD,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
    )
