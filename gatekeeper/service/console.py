"""Runs the web console: a process of its own, so that nothing that it does delays mail."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn

from gatekeeper.console.app import make_app
from gatekeeper.console.desk import Desk
from gatekeeper.ledger.service import LedgerService
from gatekeeper.ledger.signins import Signins
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.policy.active import texts_of
from gatekeeper.rules import parse_ruleset
from gatekeeper.settings import Endpoint, Settings, SettingsError
from gatekeeper.store import Store, rulesets

log = logging.getLogger("gatekeeper.console")
_LARGEST_HEAD = 65_536  # octets of a request's line and header


@dataclass(slots=True)
class RulesInForce:
    """The ledger under the rules in force: they are read again where the gate has stored others."""

    store: Store
    settings: Settings
    _text: str = ""
    _service: LedgerService | None = None

    def __call__(self) -> LedgerService:
        """Return the verbs under the rules in force. Raises StoreError, SettingsError where none are stored."""
        stored = self.store.writer.read(partial(rulesets.in_force))
        if stored is None:
            raise SettingsError("no ruleset is in force on this database yet: start `gatekeeper serve` once")
        if self._service is None or stored.text != self._text:
            ruleset, judging = parse_ruleset(stored.text, stored.name, Path(stored.name).parent), self.settings.judging
            letterhead = Letterhead(ruleset, judging.hostname, judging.public_url, texts_of(ruleset))
            self._service, self._text = LedgerService(self.store, letterhead, self.store.now), stored.text
        return self._service


def url_of(settings: Settings) -> str:
    """Return the address at which browsers find the console. Raises SettingsError where it would not be safe.

    Without TLS of its own it listens on loopback or a unix socket only, where a proxy with TLS stands before it.
    """
    place = settings.console
    if place is None:
        raise SettingsError("--console is off: expected host:port, such as 127.0.0.1:8025")
    if not place.path and place.host not in ("127.0.0.1", "::1", "localhost"):
        raise SettingsError(f"--console {place}: expected loopback or unix:PATH, behind a proxy with TLS")
    if settings.judging.public_url:
        return settings.judging.public_url.rstrip("/")
    if place.path:
        raise SettingsError(f"--console {place}: expected --public-url too, the address that browsers see")
    return f"http://{place}"


def serve(settings: Settings, store: Store) -> None:
    """Serve the pages until SIGTERM. Raises SettingsError, OSError where the address cannot be had."""
    place, url = settings.console, url_of(settings)
    assert place is not None  # else url_of had raised
    rules = RulesInForce(store, settings)
    rules()
    desk = Desk(rules, Signins(store, clock=store.now), url)
    log.info("console: %s", url)
    uvicorn.Server(_config(desk, place)).run()


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
