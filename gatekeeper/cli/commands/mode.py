"""`gatekeeper mode`: show whether the gate acts on its verdicts; let it only observe for a while, in an emergency."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from gatekeeper.cli.common import (
    USAGE,
    Failure,
    json_option,
    print_json,
    setting_options,
    settings_of,
)
from gatekeeper.cli.database import open_store
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.ledger_commands import open_ledger
from gatekeeper.ledger.health import LONGEST_SECONDS
from gatekeeper.lib.moments import utc_text
from gatekeeper.policy.mode import ENFORCE, OBSERVE
from gatekeeper.rules.language.units import parse_duration
from gatekeeper.service.ledger_in_force import rules_in_force
from gatekeeper.store import Store, modes, rulesets


@click.group(cls=Verbs, invoke_without_command=True)
@setting_options("database", "database_timeout", "mode")
@json_option
def mode(as_json: bool, **given: Any) -> None:
    """Show whether the gate acts on its verdicts, who changed the mode, and which process uses which rules."""
    if click.get_current_context().invoked_subcommand is None:
        with open_store(settings_of(given)) as store:
            _show(store, settings_of(given).judging.mode, as_json)


@mode.command()
@click.option("--for", "length", required=True, help="how long, such as 1h; observing ends by itself")
@click.option("--by", required=True, help="who acts: an admin or approver of rules.yaml")
@click.option("--reason", required=True, help="why; the audit keeps it")
@setting_options("database", "database_timeout", "mode")
@json_option
def observe(length: str, by: str, reason: str, as_json: bool, **given: Any) -> None:
    """Let all mail pass for a while: judged, counted and recorded, but not held, gathered or refused."""
    seconds = _seconds(length)
    settings = settings_of(given)
    with open_ledger(settings) as ledger:
        ledger.change_mode(OBSERVE, by, reason, seconds)
        _show(ledger.store, settings.judging.mode, as_json)


@mode.command()
@click.option("--by", required=True, help="who acts: an admin or approver of rules.yaml")
@click.option("--reason", required=True, help="why; the audit keeps it")
@setting_options("database", "database_timeout", "mode")
@json_option
def enforce(by: str, reason: str, as_json: bool, **given: Any) -> None:
    """End `mode observe` before its time."""
    settings = settings_of(given)
    with open_ledger(settings) as ledger:
        ledger.change_mode(ENFORCE, by, reason)
        _show(ledger.store, settings.judging.mode, as_json)


def _seconds(length: str) -> float:
    try:
        seconds = parse_duration(length).total_seconds()
    except ValueError:
        raise Failure(f"--for {length}: expected a length of time, such as 1h or 30m", USAGE) from None
    if seconds > LONGEST_SECONDS:
        raise Failure(f"--for {length}: expected at most 7d; to observe for longer, set --mode observe", USAGE)
    return seconds


# -- how it is shown ---------------------------------------------------------------------------------------------


def _show(store: Store, setting: str, as_json: bool) -> None:
    document = _document(store, setting)
    if as_json:
        print_json(document)
        return
    changed = document["said"]
    until = f" until {document['until']}" if document["until"] else ""
    click.echo(f"{document['mode']}{until}" + (f": {changed['by']}: {changed['reason']}" if document["until"] else ""))
    if document["enforced_agencies"] is not None:
        click.echo(f"rules act on mail of: {', '.join(document['enforced_agencies']) or 'nobody'}")
    if document["observed_rules"]:
        click.echo(f"rules that are only observed: {', '.join(document['observed_rules'])}")
    for process in document["processes"]:
        click.echo(f"  {process['name']}: {process['mode']}, rules {process['rules'][:12]}, seen {process['seen']}")
        if process["problem"]:
            click.echo(f"    the rules on its disk cannot be used, those of before are in force: {process['problem']}")


def _document(store: Store, setting: str) -> dict[str, Any]:
    now, changed = store.now(), store.writer.read(modes.newest)
    running = store.writer.read(partial(modes.list_processes, since=now - modes.SEEN_SECONDS))
    by_setting = any(process.mode == OBSERVE for process in running) if running else setting == OBSERVE
    observing = changed is not None and changed.mode == OBSERVE and (changed.until or 0) > now
    ruleset = rules_in_force(store) if store.writer.read(rulesets.in_force) else None
    enforced = None if ruleset is None or ruleset.enforce is None else sorted(ruleset.enforce)
    return {
        "mode": OBSERVE if observing or by_setting else ENFORCE,
        "until": utc_text(changed.until) if changed and observing and changed.until else None,
        "said": _change_document(changed),
        "enforced_agencies": enforced,
        "observed_rules": [rule.id for rule in ruleset.rules if rule.observe] if ruleset else [],
        "processes": [
            {
                "name": process.name,
                "mode": OBSERVE if observing else process.mode,
                "rules": process.rules,
                "directory": process.directory,
                "started": utc_text(process.started_at),
                "seen": utc_text(process.seen_at),
                "problem": process.problem or None,
            }
            for process in running
        ],
    }


def _change_document(changed: modes.ModeChange | None) -> dict[str, Any] | None:
    if changed is None:
        return None
    until = utc_text(changed.until) if changed.until else None
    return {
        "at": utc_text(changed.at),
        "mode": changed.mode,
        "until": until,
        "by": changed.by,
        "reason": changed.reason,
    }
