"""The command line: `gatekeeper COMMAND`. One file a command; exit codes are those of sysexits.h."""

from __future__ import annotations

import click

from gatekeeper import __version__
from gatekeeper.cli.audit import audit
from gatekeeper.cli.common import USAGE
from gatekeeper.cli.completion import completion
from gatekeeper.cli.database import db
from gatekeeper.cli.demo import demo
from gatekeeper.cli.explain import explain
from gatekeeper.cli.init import init
from gatekeeper.cli.mailing import mailing
from gatekeeper.cli.man import man
from gatekeeper.cli.mode import mode
from gatekeeper.cli.permit import permit
from gatekeeper.cli.queue import queue
from gatekeeper.cli.replay import replay
from gatekeeper.cli.report import report
from gatekeeper.cli.request import request
from gatekeeper.cli.rules import rules
from gatekeeper.cli.serve import serve
from gatekeeper.cli.settings import settings
from gatekeeper.cli.suspend import suspend


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gatekeeper")
def main() -> None:
    """The gate in front of an organisation's outbound mail."""


click.UsageError.exit_code = USAGE  # where click has 2, which no other command of a mail server's means by it

_COMMANDS = (
    init,
    serve,
    demo,
    settings,
    explain,
    rules,
    mailing,
    request,
    permit,
    suspend,
    mode,
    queue,
    report,
    audit,
    db,
)
for _command in (*_COMMANDS, completion, man):
    main.add_command(_command)
rules.add_command(replay)
