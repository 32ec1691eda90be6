"""The command line: `gatekeeper COMMAND`.

commands/ has a file for each command, which is imported when that command runs; the files here are shared by commands.
Exit codes are those of sysexits.h.
"""

from __future__ import annotations

import click

from gatekeeper.cli.lazy_group import LazyCommands
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
    commands=LazyCommands(
        {name: f"{__name__}.commands.{name}" for name in _COMMANDS} | {"completion": f"{__name__}.commands.man"}
    ),
)
@click.version_option(__version__, prog_name="gatekeeper")
def main() -> None:
    """Check and hold an organisation's outbound mail before it is sent."""


click.UsageError.exit_code = 64  # EX_USAGE: click's own 2 means something else in other commands of mail servers
