"""`gatekeeper rules replay`: judge recorded decisions again under a draft, and show the differences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gatekeeper.audit.comparison import Comparison, Example, VerdictChange
from gatekeeper.audit.history import History
from gatekeeper.cli.common import DATA_ERROR, NO_INPUT, Failure, json_option, print_json, setting_options, settings_of
from gatekeeper.cli.database import open_store
from gatekeeper.cli.periods import period, progress, since_option, until_option
from gatekeeper.lib.moments import utc_text
from gatekeeper.rules import Ruleset, RulesetError, parse_ruleset, read_ruleset
from gatekeeper.rules.ruleset import calendar_problem
from gatekeeper.store import Store, rulesets

# These sections decide whom mail reaches and which messages are one mailing. The record has the counts of that time,
# so a replay cannot show what a draft changes in them.
_COUNTED = ("agencies", "domains", "directory", "lists", "mailing", "mass")


@click.command()
@click.argument("draft", type=click.Path(dir_okay=False, path_type=Path))
@since_option
@until_option
@click.option(
    "--examples", type=click.IntRange(0), default=3, show_default=True, help="examples to show of each change"
)
@setting_options("database", "database_timeout")
@json_option
def replay(draft: Path, since: str, until: str | None, examples: int, as_json: bool, **given: Any) -> None:
    """Judge recorded decisions again under DRAFT, a rules file, and show which would have been different."""
    drafted = _read(draft)
    with open_store(settings_of(given)) as store:
        begin, end = period(since, until, store.now(), drafted.timezone)
        found, damaged = _compare(store, drafted, begin, end, examples)
        notes = [*_notes(store, drafted), *_damage(damaged)]
    document = _document(draft, found, begin, end, notes)
    print_json(document) if as_json else _print(document, found)


def _read(draft: Path) -> Ruleset:
    try:
        drafted = read_ruleset(draft)
        if problem := calendar_problem(drafted, str(draft)):
            raise RulesetError([problem])
        return drafted
    except RulesetError as error:
        raise Failure("\n".join(str(problem) for problem in error.problems), DATA_ERROR) from None
    except OSError as error:
        raise Failure(f"{draft}: {error.strerror}", NO_INPUT) from None


def _compare(store: Store, draft: Ruleset, begin: float, end: float, examples: int) -> tuple[Comparison, int]:
    found = Comparison(draft, examples)
    history = History(store, begin, end)
    with progress(history.size, "replay") as history.on_read:
        for record, frame in history.records():
            found.take(record, frame)
    return found, history.damaged


def _notes(store: Store, draft: Ruleset) -> Iterator[str]:
    """Yield notes about what a replay from the record cannot show of the draft."""
    stored = store.writer.read(rulesets.in_force)
    if stored is None:
        return
    try:
        current = parse_ruleset(stored.text, stored.name, draft.folder)
    except RulesetError:
        return
    others = [name for name in _COUNTED if getattr(current, name) != getattr(draft, name)]
    if "mass" in others:
        others.remove("mass")
    if others:
        yield (
            f"the draft has another {', '.join(others)} than the rules in force: "
            "whom mail reached is taken as it was counted then"
        )


def _damage(records: int) -> Iterator[str]:
    if records:
        yield f"{records} records are damaged and were left out: `gatekeeper audit verify` says which"


# -- how it is shown ---------------------------------------------------------------------------------------------


def _document(path: Path, found: Comparison, begin: float, end: float, notes: list[str]) -> dict[str, Any]:
    return {
        "draft": str(path),
        "digest": found.draft.digest,
        "since": utc_text(begin),
        "until": utc_text(end),
        "decisions": found.decisions,
        "judged": found.judged,
        "differences": found.differences,
        "changes": [_change(change) for change in _sorted(found) if change.is_verdict],
        "other_reasons": [_change(change) for change in _sorted(found) if not change.is_verdict],
        "cannot_be_judged": {
            "decisions": found.unrecorded_tests.total(),
            "tests": dict(found.unrecorded_tests.most_common()),
        },
        "ledger_not_asked": found.ledger_not_asked,
        "not_asked": dict(found.not_asked),
        "rulesets": dict(found.rulesets),
        "notes": notes,
    }


def _sorted(found: Comparison) -> list[VerdictChange]:
    return sorted(found.changes.values(), key=lambda change: -change.decisions)


def _change(change: VerdictChange) -> dict[str, Any]:
    return {
        "from": change.before,
        "to": change.after,
        "decisions": change.decisions,
        "mailings": len(change.mailings),
        "senders": len(change.sources),
        "rules": dict(change.rules.most_common()),
        "examples": [_example(example) for example in change.examples],
    }


def _example(example: Example) -> dict[str, Any]:
    record, verdict = example.record, example.verdict
    return {
        "id": record.id,
        "at": utc_text(record.at),
        "mailing": record.mailing,
        "sender": example.value("sender"),
        "subject": example.value("subject"),
        "users": example.value("users"),
        "external": example.value("external"),
        "agencies": example.value("agencies"),
        "was": {"verdict": record.verdict, "rules": [row[0] for row in record.reasons]},
        "would_be": {
            "verdict": verdict.action.value,
            "rules": list(verdict.rules),
            "reasons": [
                {"rule": reason.rule, "action": reason.action.value, "cite": reason.cite, "text": reason.text}
                for reason in verdict.reasons
            ],
        },
    }


def _print(document: dict[str, Any], found: Comparison) -> None:
    click.echo(
        f"{document['draft']}: {found.decisions} decisions since {document['since']}, {found.judged} judged again, "
        f"{found.differences} would have been otherwise"
    )
    for change in document["changes"]:
        _print_change(change)
    if document["other_reasons"]:
        click.echo("the same verdict, for other reasons:")
    for change in document["other_reasons"]:
        _print_change(change)
    for test, decisions in document["cannot_be_judged"]["tests"].items():
        click.echo(f"cannot be judged: {decisions} decisions hang on {test!r}, which was not recorded of them")
    if found.ledger_not_asked:
        click.echo(
            f"judged as though there were no permits and suspensions: {found.ledger_not_asked} decisions, mass mail or "
            "held under the draft alone, about which the ledger was not asked"
        )
    for moment, decisions in found.not_asked.items():
        click.echo(f"no rule was asked: {decisions} {moment}")
    for note in document["notes"]:
        click.echo(f"note: {note}")


def _print_change(change: dict[str, Any]) -> None:
    rules = ", ".join(f"{rule} {number}" for rule, number in change["rules"].items())
    of = f"{change['decisions']:>7} messages of {change['mailings']} mailings and {change['senders']} senders"
    click.echo(f"  {change['from']:>6} to {change['to']:<6} {of}: {rules}")
    for example in change["examples"]:
        who = f"{example['sender']} {example['subject']!r}" if example["sender"] else "ordinary mail"
        click.echo(f"      {example['at']} {example['mailing'] or example['id']} {who}, {example['users']} users")
        for reason in example["would_be"]["reasons"]:
            click.echo(f"          {reason['action']}: {reason['text']} ({reason['rule']})")
