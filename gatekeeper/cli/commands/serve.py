"""`gatekeeper serve`: run the gate."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from gatekeeper.cli.common import CONFIG, UNAVAILABLE, Failure, setting_options, settings_of
from gatekeeper.cli.database import exit_on_store_error
from gatekeeper.policy.active import PolicyError
from gatekeeper.settings import SettingsError


@click.command()
@setting_options()
def serve(**given: Any) -> None:
    """Run the gate until SIGTERM; SIGHUP reads rules and directory again."""
    from gatekeeper.service import gate, runtime, supervisor

    settings = settings_of(given)
    if not settings.next_hop.next_hop:
        raise Failure("--next-hop is required: expected smtp://host:port, or maildir:DIR to try it out", CONFIG)
    runtime.prepare()
    run = gate.run if settings.workers == 1 else supervisor.run
    with exit_on_store_error():
        try:
            asyncio.run(run(settings))
        except (SettingsError, PolicyError) as error:
            raise Failure(str(error), CONFIG) from None
        except OSError as error:  # an address that cannot be listened on: in use, or not of this machine
            raise Failure(error.strerror or str(error), UNAVAILABLE) from None
