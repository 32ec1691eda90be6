"""`gatekeeper console`: serve the web pages."""

from __future__ import annotations

from typing import Any

import click

from gatekeeper.cli.common import CONFIG, UNAVAILABLE, Failure, setting_options, settings_of
from gatekeeper.cli.database import open_store


@click.command()
@setting_options("console", "database", "database_timeout", "public_url", "hostname", "log_format", "log_level")
def console(**given: Any) -> None:
    """Serve the web console until SIGTERM, beside a gate on the same database."""
    try:
        from gatekeeper.service import console as pages
    except ImportError as error:
        raise Failure(f"{error.name} is missing: install gatekeeper-mail[console]", CONFIG) from None
    from gatekeeper.ops import log
    from gatekeeper.service import runtime
    from gatekeeper.settings import SettingsError

    settings = settings_of(given)
    runtime.prepare()
    log.configure(settings.ops)
    with open_store(settings) as store:
        try:
            pages.serve(settings, store)
        except SettingsError as error:
            raise Failure(str(error), CONFIG) from None
        except OSError as error:
            raise Failure(error.strerror or str(error), UNAVAILABLE) from None
