"""`gatekeeper serve`: the gate."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from gatekeeper.cli.common import CONFIG, UNAVAILABLE, Failure, setting_options, settings_of
from gatekeeper.cli.database import failing_well
from gatekeeper.cli.policies import reading_well
from gatekeeper.settings import SettingsError


@click.command()
@setting_options()
def serve(**given: Any) -> None:
    """Run the gate until SIGTERM; SIGHUP reads rules and directory anew."""
    from gatekeeper.service import gate, runtime, supervisor

    settings = settings_of(given)
    if not settings.next_hop.next_hop:
        raise Failure("--next-hop is required: expected smtp://host:port, or maildir:DIR to try it out", CONFIG)
    runtime.prepare()
    run = gate.run if settings.workers == 1 else supervisor.run
    with failing_well(), reading_well():
        try:
            asyncio.run(run(settings))
        except SettingsError as error:
            raise Failure(str(error), CONFIG) from None
        except OSError as error:  # an address that cannot be had: taken, or not of this machine
            raise Failure(error.strerror or str(error), UNAVAILABLE) from None
