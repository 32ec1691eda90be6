"""`gatekeeper init`: write the files that a gate can be started with."""

from __future__ import annotations

import json
import textwrap
from importlib import resources
from pathlib import Path

import click

from gatekeeper.cli.common import CANNOT_CREATE, Failure
from gatekeeper.cli.initial.setups import SET_UPS, SetUp, peers_for, rules_for
from gatekeeper.rules.language.json_schema import schema
from gatekeeper.settings import SETTINGS, Setting

RULES, SCHEMA, ENVIRONMENT = "rules.yaml", "rules.schema.json", "gatekeeper.env"
PEERS, CHECKLIST = "peers.yaml", "CHECKLIST.md"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--for", "server", type=click.Choice(list(SET_UPS)), help="for which mail server: with a checklist too")
def init(folder: Path, server: str | None) -> None:
    """Write a commented rules.yaml, its schema for editors, and a file of settings; no file is overwritten."""
    set_up = SET_UPS[server] if server else None
    files = {
        RULES: _rules(set_up),
        SCHEMA: json.dumps(schema(), indent=2) + "\n",
        ENVIRONMENT: environment_file(set_up),
    }
    files |= _beside(set_up) if set_up else {}
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise Failure(f"{folder / there[0]} is there already, and stays as it is: nothing was written", CANNOT_CREATE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}", CANNOT_CREATE) from None
    click.echo(f"written to {folder}: {', '.join(files)}")
    _print_next_steps(folder, set_up)


def _initial(name: str) -> str:
    return resources.files("gatekeeper.cli.initial").joinpath(name).read_text(encoding="utf-8")


def _rules(set_up: SetUp | None) -> str:
    text = _initial(RULES)
    return rules_for(text, set_up) if set_up else text


def _beside(set_up: SetUp) -> dict[str, str]:
    text = peers_for(_initial(f"{set_up.name}.peers.yaml"), set_up) if set_up.service else ""
    return {**({PEERS: text} if text else {}), CHECKLIST: _initial(f"{set_up.name}.checklist.md")}


def environment_file(set_up: SetUp | None = None) -> str:
    """Return an EnvironmentFile for systemd that has all settings at their defaults, commented out, but for those that
    the set-up gives.
    """
    given = set_up.settings if set_up else {}
    head = (
        "# Settings of the gate, for EnvironmentFile= of systemd or env_file of a container; more in docs/settings.md"
    )
    return "\n\n".join([head, *(_lines(each, given.get(each.name)) for each in SETTINGS)]) + "\n"


def _lines(setting: Setting, given: str | None) -> str:
    remarks = textwrap.wrap(setting.help, 110, initial_indent="# ", subsequent_indent="# ")
    if setting.name == "next_hop":
        remarks.append("# Required. maildir:DIR files mail instead of sending it, to try the gate out.")
    line = f"#{setting.variable}={setting.default}" if given is None else f"{setting.variable}={given}"
    return "\n".join([*remarks, line])


def _print_next_steps(folder: Path, set_up: SetUp | None) -> None:
    click.echo("next:")
    if folder != Path():
        click.echo(f"    cd {folder}")
    if set_up:
        click.echo(f"    {CHECKLIST}, and docs/{set_up.page}")
    click.echo("    edit rules.yaml; gatekeeper rules check")
    click.echo("    gatekeeper serve --next-hop maildir:out      files mail in out/; then smtp://your-server:25")
    click.echo("    gatekeeper demo                              in a second terminal: a sample day")
