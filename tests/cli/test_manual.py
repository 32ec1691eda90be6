"""Manual pages and completion are made of the commands themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gatekeeper.cli import main
from gatekeeper.settings import SETTINGS
from tests.test_docs import LEAVES, flags_of

PROGRAM = Path(sys.executable).with_name("gatekeeper")


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("man")
    assert CliRunner().invoke(main, ["man", str(folder)]).exit_code == 0
    return {path.stem: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_a_page_with_all_its_flags(pages, name):
    page = pages["gatekeeper-" + name.replace(" ", "-")]
    assert {flag for flag in flags_of(LEAVES[name]) if flag.replace("-", "\\-") not in page} == set()
    about = " ".join((LEAVES[name].help or "").split()).partition(". ")[0].rstrip(".")
    assert about.replace("-", "\\-") in page


def test_pages_of_groups_lead_to_their_commands(pages):
    assert all(f".BR gatekeeper\\-{name} (1)" in pages["gatekeeper"] for name in main.commands)
    assert ".BR gatekeeper\\-mailing\\-approve (1)" in pages["gatekeeper-mailing"]
    assert ".BR gatekeeper\\-mailing (1)" in pages["gatekeeper-mailing-approve"]


def test_the_page_of_serve_names_every_variable(pages):
    assert all(each.variable in pages["gatekeeper-serve"] for each in SETTINGS)


def test_a_page_is_roff_without_faults(pages, tmp_path):
    man = shutil.which("groff") or pytest.skip("no groff")
    for name, page in pages.items():
        done = subprocess.run([man, "-man", "-ww", "-z", "-Tutf8"], input=page, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), name


def complete(words: str) -> list[str]:
    """What a shell is told when TAB is pressed behind these words."""
    parts = words.split(" ")
    asked = {"COMP_WORDS": " ".join(parts), "COMP_CWORD": str(len(parts) - 1), "_GATEKEEPER_COMPLETE": "bash_complete"}
    done = subprocess.run([PROGRAM], env=os.environ | asked, capture_output=True, text=True, check=True)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_a_shell_completes_commands_and_flags():
    assert {"mailing", "man"} <= set(complete("gatekeeper ma"))
    assert "--next-hop" in complete("gatekeeper serve --next")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_calls_us(shell):
    text = CliRunner().invoke(main, ["completion", shell]).output
    assert "_GATEKEEPER_COMPLETE" in text and "gatekeeper" in text
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_commands_have_help():
    assert isinstance(main, click.Group)
    assert all(command.help for command in LEAVES.values())


def test_the_list_of_commands_is_what_their_own_helps_say():
    """`gatekeeper --help` has a table, so that it need not import every command."""
    context = click.Context(main, info_name="gatekeeper")
    formatter = context.make_formatter()
    main.format_commands(context, formatter)
    shown = " ".join(formatter.getvalue().split())
    for name in main.commands:
        about = " ".join(main.commands[name].get_short_help_str(1_000).split())
        assert f" {name} {about} " in f"{shown} "


def test_no_help_is_cut():
    groups = [[], *([name] for name in main.commands if isinstance(main.commands[name], click.Group))]
    for group in groups:
        printed = CliRunner().invoke(main, [*group, "--help"])
        assert printed.exit_code == 0 and "..." not in printed.output.replace("[ARGS]...", "")
