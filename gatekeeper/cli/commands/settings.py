"""`gatekeeper settings`: the settings in force, and where each comes from."""

from __future__ import annotations

from typing import Any

import click

from gatekeeper.cli.common import json_option, print_json, setting_options, settings_of
from gatekeeper.cli.table import table
from gatekeeper.lib.url_passwords import without_passwords
from gatekeeper.settings import SETTINGS


@click.command()
@setting_options()
@json_option
@click.option("--changed", is_flag=True, help="only those that are not at their defaults")
def settings(as_json: bool, changed: bool, **given: Any) -> None:
    """Print the settings in force: flag, value, and where it comes from."""
    found = settings_of(given)
    shown = [setting for setting in SETTINGS if not changed or found.texts[setting.name] != setting.default]
    if as_json:
        print_json(
            [
                {
                    "name": setting.flag,
                    "variable": setting.variable,
                    "value": without_passwords(found.texts[setting.name]),
                    "default": setting.default,
                    "origin": found.origins[setting.name],
                }
                for setting in shown
            ]
        )
        return
    values = {each.name: without_passwords(found.texts[each.name]) or '""' for each in shown}
    rows = [(f"--{each.flag}", values[each.name], f"({found.origins[each.name]})") for each in shown]
    for line in table(rows):
        click.echo(line)
