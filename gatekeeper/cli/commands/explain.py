"""`gatekeeper explain`: show what the gate would do with a message, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gatekeeper.cli.common import CONFIG, NO_INPUT, Failure, json_option, print_json, setting_options, settings_of
from gatekeeper.message import read_facts
from gatekeeper.model import Client, Counts, Evidence, Recipient, RuleSelection, Standing, Transaction
from gatekeeper.policy.active import Policy, PolicyError, read_policy
from gatekeeper.policy.evidence import audience_of, source_of
from gatekeeper.rules import Explanation
from gatekeeper.rules import explain as explain_rules

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
    transaction = Transaction(
        listener="smtp",
        client=Client("127.0.0.1", "localhost", "localhost"),
        sender=sender.strip("<>"),
        recipients=tuple(Recipient(address) for address in (*recipients, *_lines_of(to_file))),
        content=_as_smtp(_read(message)),
        login=login,
        authenticated=login is not None,
    )
    explanation = _explain(transaction, policy)
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


def _explain(transaction: Transaction, policy: Policy) -> Explanation:
    facts = read_facts(transaction.content)
    audience = audience_of(transaction.addresses, facts, policy)
    source = source_of(transaction, facts, policy)
    nothing = Standing(whole=True, earlier=dict.fromkeys(policy.ruleset.earlier, 0))  # as if the ledger were empty
    evidence = Evidence(transaction, facts, audience, Counts.of(audience), nothing, source)
    return explain_rules(policy.ruleset, evidence, datetime.now(UTC))


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


def _as_smtp(message: bytes) -> bytes:
    """Return the message with CR LF line ends, as SMTP has them (RFC 5321 2.3.8)."""
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


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
