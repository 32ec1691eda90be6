"""`gatekeeper explain`: show what the gate would do with a message, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gatekeeper.cli.common import CONFIG, NO_INPUT, Failure, json_option, print_json, setting_options, settings_of
from gatekeeper.model import RuleSelection
from gatekeeper.policy.active import Policy, PolicyError, read_policy
from gatekeeper.policy.foresight import as_smtp, explain_message, written
from gatekeeper.rules import Explanation

_SELECTION_NOTES = {
    RuleSelection.NAMES: (
        "the sender's agency is outside the scope of these rules: only rules about from_allowed are asked"
    ),
    RuleSelection.COUNTS: "an automatic mail to one recipient: only rules that look at nothing but counts are asked",
    RuleSelection.NONE: "no rule is asked",
}


@click.command()
@click.argument("message", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--sender", required=True, help="envelope sender (MAIL FROM)")
@click.option("--to", "recipients", multiple=True, help="an envelope recipient; may be given again")
@click.option("--to-file", type=click.Path(dir_okay=False, path_type=Path), help="recipients, one a line")
@click.option("--login", help="SASL login of the sender")
@setting_options("rules")
@json_option
def explain(
    message: Path,
    sender: str,
    recipients: tuple[str, ...],
    to_file: Path | None,
    login: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Judge MESSAGE (a file) as the first message of its mailing, and show what each rule compared."""
    settings = settings_of(given)
    policy = policy_at(settings.judging.rules)
    transaction = written(sender, (*recipients, *_lines_of(to_file)), as_smtp(_read(message)), login)
    explanation = explain_message(transaction, policy, datetime.now(UTC))
    if as_json:
        print_json(explanation.as_dict())
    else:
        _print(explanation)


def policy_at(rules: Path) -> Policy:
    """Return the ruleset in a file with the directory and other files that it names, as `serve` reads them.

    Raises: Failure with EX_CONFIG where they cannot be used.
    """
    try:
        return read_policy(rules)
    except PolicyError as error:
        raise Failure(str(error), CONFIG) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", NO_INPUT) from None


def _lines_of(path: Path | None) -> list[str]:
    if path is None:
        return []
    lines = _read(path).decode("utf-8", "replace").splitlines()
    return [line.strip().strip("<>") for line in lines if line.strip() and not line.startswith("#")]


def _print(explanation: Explanation) -> None:
    verdict, counts = explanation.verdict, explanation.counts
    click.echo(f"verdict: {verdict.action}")
    click.echo(f"reaches: {counts.users} users in {len(counts.agencies)} agencies, {counts.external} externals")
    if explanation.selection in _SELECTION_NOTES:
        click.echo(_SELECTION_NOTES[explanation.selection])
    for reason in verdict.reasons:
        click.echo(f"{reason.action}: {reason.text} ({reason.rule}{', ' + reason.cite if reason.cite else ''})")
    click.echo("")
    for line in explanation.lines():
        click.echo(line)
