"""The command line: `gatekeeper COMMAND`. One file a command; exit codes are those of sysexits.h."""

from __future__ import annotations

import click

from gatekeeper.cli.lazy_group import Deferred
from gatekeeper.lib import __version__

_COMMANDS = (
    "init",
    "serve",
    "demo",
    "settings",
    "explain",
    "rules",
    "mailing",
    "request",
    "permit",
    "suspend",
    "mode",
    "directory",
    "queue",
    "report",
    "audit",
    "db",
    "completion",
    "man",
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    commands=Deferred({name: f"{__name__}.commands.{name}" for name in _COMMANDS}),
)
@click.version_option(__version__, prog_name="gatekeeper")
def main() -> None:
    """The gate in front of an organisation's outbound mail."""


click.UsageError.exit_code = 64  # EX_USAGE, where click has 2, which no other command of a mail server's means by it
