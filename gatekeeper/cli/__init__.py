"""The command line: `gatekeeper COMMAND`.

commands/ has a file for each command, which is imported when that command runs; the files here are shared by commands.
Exit codes are those of sysexits.h.
"""

from __future__ import annotations

import click

from gatekeeper.cli.lazy_group import LazyCommands
from gatekeeper.lib import __version__
from gatekeeper.lib.revision import revision

# By who uses them, with the first sentence of their help, so that `gatekeeper --help` imports none of them.
_SECTIONS = {
    "To ask, and to decide": {
        "request": "Request a mailing in advance; list, show and decide requests.",
        "mailing": "List, show, approve, deny, withdraw and export mailings.",
        "permit": "Declare an emergency, grant an exception; list, show, narrow, revoke and review permits.",
        "suspend": "Suspend a sender, a group or an agency from mass mail; list suspensions, and end them.",
    },
    "To use in a browser": {
        "console": "Serve the web console until SIGTERM, beside a gate on the same database.",
        "account": "Let people sign in to the web console.",
    },
    "To write rules": {
        "rules": "Check rules.yaml and try it on cases; print its JSON Schema.",
        "peers": "Check the file of --peers, who may hand mail to the gate; show it, and print its JSON Schema.",
        "explain": "Judge MESSAGE (a file, or -) as the first one of its mailing, and show what each rule compared.",
    },
    "To look back": {
        "report": "Report what each agency sent, what was held, denied or broke a rule, and what would have been held.",
        "audit": "Verify the recorded decisions, search them, open cases, and say what of the records is due.",
    },
    "To run the gate": {
        "init": "Write a commented rules.yaml, its schema for editors, and a file of settings; no file is overwritten.",
        "serve": "Run the gate until SIGTERM; SIGHUP reads rules and directory again.",
        "demo": "Send a day's sample messages through the running gate, and show the verdict of each.",
        "settings": "Print the settings in force: flag, value, and where it comes from.",
        "status": "Show how the gate is, on one page; exit code 1 where somebody has to do something.",
        "mode": "Show whether the gate acts on its verdicts, who changed the mode, and which process uses which rules.",
        "directory": "Show the sources of the directory, accept one that reaches fewer people, convert exports.",
        "queue": "List releases, delivery reports and notices that wait to be sent, and those that were given up.",
        "db": "Upgrade the database's schema, and copy the database.",
    },
    "For the shell": {
        "completion": "Print the script that makes a shell complete commands and flags.",
        "man": "Write the manual pages of all commands into a folder (section 1 of the manual).",
    },
}
_COMMANDS = {name: text for section in _SECTIONS.values() for name, text in section.items()}


class _Commands(click.Group):
    """The command group, which lists its commands without importing them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with the first sentence of its help, by who uses it."""
        width = max(map(len, _COMMANDS))
        for title, section in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, text in section.items()])


def _print_version(ctx: click.Context) -> None:
    commit = revision()
    click.echo(f"gatekeeper, version {__version__}" + (f" (commit {commit})" if commit else ""))
    ctx.exit()


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    commands=LazyCommands(
        {name: f"{__name__}.commands.{name}" for name in _COMMANDS} | {"completion": f"{__name__}.commands.man"}
    ),
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=lambda ctx, param, wanted: _print_version(ctx) if wanted else None,
    help="Show the version, and of which commit it is.",
)
def main() -> None:
    """Check and hold an organisation's outbound mail before it is sent."""


click.UsageError.exit_code = 64  # EX_USAGE: click's own 2 means something else in other commands of mail servers
