"""`gatekeeper explain`: show what the gate would do with a message, and why."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gatekeeper.cli.common import (
    CONFIG,
    NO_INPUT,
    USAGE,
    Failure,
    json_option,
    print_json,
    setting_options,
    settings_of,
)
from gatekeeper.message import read_facts
from gatekeeper.model import RuleSelection
from gatekeeper.policy.acceptance import TakenIn, is_sender_allowed, take_in
from gatekeeper.policy.active import Policy, PolicyError, read_policy
from gatekeeper.policy.foresight import as_smtp, explain_message
from gatekeeper.rules import Explanation
from gatekeeper.settings import Settings

_SELECTION_NOTES = {
    RuleSelection.NAMES: (
        "the sender's agency is outside the scope of these rules: only rules about from_allowed are asked"
    ),
    RuleSelection.COUNTS: "an automatic mail to one recipient: only rules that look at nothing but counts are asked",
    RuleSelection.NONE: "no rule is asked",
}
_OF_NO_RULE: dict[str, Any] = {
    "rules": [],
    "reasons": [],
    "users": 0,
    "external": 0,
    "agencies": [],
    "mass": False,
    "covered": True,
    "asked": RuleSelection.NONE.value,
    "trace": [],
}


@click.command()
@click.argument("message", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--sender", required=True, help="envelope sender (MAIL FROM)")
@click.option("--to", "recipients", multiple=True, help="an envelope recipient; may be given again")
@click.option("--to-file", type=click.Path(dir_okay=False, path_type=Path), help="recipients, one a line")
@click.option("--login", help="SASL login of the sender")
@setting_options("rules", "sender_domains", "max_size")
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
    """Judge MESSAGE (a file, or -) as the first one of its mailing, and show what each rule compared.

    Recipients are those of --to and --to-file; without any, those of To, Cc and Bcc.
    """
    settings = settings_of(given)
    policy = policy_at(settings.judging.rules)
    content = as_smtp(_read(message))
    addresses, read_from = _recipients(recipients, to_file, content)
    taken = _taken_in(sender, addresses, content, login, settings, policy)
    explanation = explain_message(taken.transaction, policy, datetime.now(UTC)) if taken.transaction else None
    if as_json:
        print_json(_document(explanation, taken) | {"recipients_from": read_from})
        return
    click.echo(f"recipients: {len(addresses)} of {read_from}")
    for refusal in taken.refusals:
        click.echo(f"refused at {refusal.command}: {refusal.recipient and refusal.recipient + ': '}{refusal.reply}")
    if explanation:
        _print(explanation)
    else:
        click.echo(f"verdict: {_verdict(taken)}, before any rule is asked")


def _recipients(given: tuple[str, ...], to_file: Path | None, content: bytes) -> tuple[list[str], str]:
    """Return the recipients, and where they are read from."""
    addresses = [*given, *_lines_of(to_file)]
    if addresses:
        return addresses, "--to and --to-file"
    facts = read_facts(content)
    found = [box.address for box in (*facts.to, *facts.cc, *facts.bcc)]
    if not found:
        raise Failure("nobody gets it: expected --to or --to-file, or a message with To, Cc or Bcc", USAGE)
    return found, "To, Cc and Bcc of the message"


def _taken_in(
    sender: str, recipients: list[str], content: bytes, login: str | None, settings: Settings, policy: Policy
) -> TakenIn:
    domains, directory = settings.listening.sender_domains, policy.directory
    return take_in(
        sender,
        recipients,
        content,
        login,
        lambda mail_from: is_sender_allowed(mail_from, domains, directory),
        settings.listening.max_size,
    )


def _document(explanation: Explanation | None, taken: TakenIn) -> dict[str, Any]:
    refused = [{"command": each.command, "recipient": each.recipient, "reply": each.reply} for each in taken.refusals]
    shown = explanation.as_dict() if explanation else _OF_NO_RULE | {"verdict": _verdict(taken)}
    return shown | {"refused": refused}


def _verdict(taken: TakenIn) -> str:
    """Return the verdict on what no rule is asked about."""
    return "defer" if all(each.reply.startswith("4") for each in taken.refusals) else "reject"


def policy_at(rules: Path) -> Policy:
    """Return the ruleset in a file with the directory and other files that it names, as `serve` reads them.

    Raises: Failure with EX_CONFIG where they cannot be used.
    """
    try:
        return read_policy(rules)
    except PolicyError as error:
        raise Failure(str(error), CONFIG) from None


def _read(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
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
