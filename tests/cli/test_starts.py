"""A command starts with what it needs itself, and nothing of the others."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gatekeeper.cli import main

HEAVY = {"asyncio", "sqlalchemy", "holidays", "ldap3", "prometheus_client", "alembic", "aiosmtpd", "email"}
STARTED = """
import json, sys
from gatekeeper.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    print(json.dumps(sorted(sys.modules)))
"""


def modules_of(*words: str) -> set[str]:
    """What is imported once such a command has run."""
    done = subprocess.run([sys.executable, "-c", STARTED, *words], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        (["settings"], set()),
        (["mailing", "list", "--database", "sqlite:///none.db"], {"asyncio", "sqlalchemy", "email"}),
    ],
    ids=["settings", "mailing list"],
)
def test_a_command_imports_no_more_than_it_needs(words, needs):
    imported = modules_of(*words)
    assert imported & HEAVY == needs
    assert {name for name in imported if name.startswith("gatekeeper.cli.")}.isdisjoint(
        {"gatekeeper.cli.commands.serve", "gatekeeper.cli.commands.demo", "gatekeeper.cli.commands.replay"}
    )


def test_all_commands_are_there_when_somebody_looks_for_them():
    assert {name: command.name for name, command in main.commands.items()} == {name: name for name in main.commands}
    assert len(main.commands) >= 17


def test_a_command_that_there_is_not_is_said_so_with_one_that_is_near():
    done = CliRunner().invoke(main, ["mailings"])
    assert done.exit_code == 64 and "No such command 'mailings'. Did you mean 'mailing'?" in done.output
