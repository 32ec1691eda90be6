"""`gatekeeper init`: write the files that a gate can be started with."""

from __future__ import annotations

import json
import textwrap
from importlib import resources
from pathlib import Path

import click

from gatekeeper.cli.common import CANNOT_CREATE, Failure
from gatekeeper.rules.language.json_schema import schema
from gatekeeper.settings import SETTINGS, Setting

RULES, SCHEMA, ENVIRONMENT = "rules.yaml", "rules.schema.json", "gatekeeper.env"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
def init(folder: Path) -> None:
    """Write a commented rules.yaml, its schema for editors, and a file of settings; no file is overwritten."""
    files = {RULES: _rules(), SCHEMA: json.dumps(schema(), indent=2) + "\n", ENVIRONMENT: environment_file()}
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise Failure(f"{folder / there[0]} is there already, and stays as it is: nothing was written", CANNOT_CREATE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}", CANNOT_CREATE) from None
    _print_next_steps(folder)


def _rules() -> str:
    text = resources.files("gatekeeper.cli.initial").joinpath(RULES).read_text(encoding="utf-8")
    return f"# yaml-language-server: $schema={SCHEMA}\n{text}"


def environment_file() -> str:
    """Return an EnvironmentFile for systemd that has all settings at their defaults, commented out."""
    head = (
        "# Settings of the gate, for EnvironmentFile= of systemd or env_file of a container; more in docs/settings.md"
    )
    return "\n\n".join([head, *map(_lines, SETTINGS)]) + "\n"


def _lines(setting: Setting) -> str:
    remarks = textwrap.wrap(setting.help, 110, initial_indent="# ", subsequent_indent="# ")
    if setting.name == "next_hop":
        remarks.append("# Required. maildir:DIR files mail instead of sending it, to try the gate out.")
    return "\n".join([*remarks, f"#{setting.variable}={setting.default}"])


def _print_next_steps(folder: Path) -> None:
    click.echo(f"written to {folder}: {RULES}, {SCHEMA}, {ENVIRONMENT}")
    click.echo("next:")
    if folder != Path():
        click.echo(f"    cd {folder}")
    click.echo("    edit rules.yaml; gatekeeper rules check")
    click.echo("    gatekeeper serve --next-hop maildir:out      files mail in out/; then smtp://your-server:25")
    click.echo("    gatekeeper demo                              in a second terminal: a sample day")
