"""`gatekeeper report`: compliance by agency and time (policy M6), and what would have been stopped in observe mode."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from gatekeeper.audit.compliance import Compliance, ComplianceShare, ObservedViolation
from gatekeeper.audit.history import History
from gatekeeper.cli.common import NO_INPUT, Failure, json_option, print_json, setting_options, settings_of
from gatekeeper.cli.database import open_store
from gatekeeper.cli.periods import period, progress, since_option, until_option
from gatekeeper.lib.moments import utc_text
from gatekeeper.lifecycle import MailingState
from gatekeeper.service.ledger_in_force import rules_in_force
from gatekeeper.store import Store, modes, views
from gatekeeper.store.views import MailingStatus

_TOP = 10
_SHOWN = 50  # mailings that would have been stopped


@click.command()
@since_option
@until_option
@click.option("--agency", help="only senders of this agency, by its id")
@setting_options("database", "database_timeout")
@json_option
def report(since: str, until: str | None, agency: str | None, as_json: bool, **given: Any) -> None:
    """Report what each agency sent, what was held, denied or broke a rule, and what would have been held."""
    with open_store(settings_of(given)) as store:
        ruleset = rules_in_force(store)
        if agency is not None and agency not in ruleset.agencies:
            raise Failure(f"{agency}: no such agency in the rules in force", NO_INPUT)
        begin, end = period(since, until, store.now(), ruleset.timezone)
        document = _document(store, _read(store, agency, begin, end), begin, end)
    print_json(document) if as_json else _print(document)


def _read(store: Store, agency: str | None, begin: float, end: float) -> Compliance:
    found, history = Compliance(agency), History(store, begin, end)
    with progress(history.size, "report") as history.on_read:
        for record, frame in history.records():
            found.take(record, frame)
    return found


def _document(store: Store, found: Compliance, begin: float, end: float) -> dict[str, Any]:
    statuses = store.writer.read(partial(views.statuses_between, since=begin, until=end))
    approved = {name for name, status in statuses.items() if status.state == MailingState.RELEASED}
    emergencies = store.writer.read(views.open_emergencies)
    return {
        "since": utc_text(begin),
        "until": utc_text(end),
        "agency": found.agency,
        "messages": dict(found.verdicts),
        "rules": dict(found.rules.most_common()),
        "agencies": {name: _agency(share, statuses, approved) for name, share in sorted(found.agencies.items())},
        "top_senders": [_sender(share, approved) for share in found.top_senders(_TOP)],
        "repeat_senders": [_sender(share, approved) for share in found.repeat_senders(approved)],
        "observed": {
            "would_have_been": dict(found.observed),
            "mailings": [_stopped(one) for one in _latest(found)],
            "rules": dict(found.watched.most_common()),
        },
        "emergencies_to_review": [
            {
                "id": one.id,
                "agencies": list(one.agencies),
                "by": one.by,
                "at": utc_text(one.at),
                "until": utc_text(one.until),
                "reason": one.reason,
            }
            for one in emergencies
            if found.agency is None or found.agency in one.agencies
        ],
        "observing": [
            {
                "at": utc_text(change.at),
                "mode": change.mode,
                "until": utc_text(change.until) if change.until else None,
                "by": change.by,
            }
            | {"reason": change.reason}
            for change in store.writer.read(partial(modes.changes_since, since=begin))
        ],
    }


def _latest(found: Compliance) -> list[ObservedViolation]:
    return sorted(found.stopped.values(), key=lambda one: -one.at)[:_SHOWN]


def _agency(share: ComplianceShare, statuses: dict[str, MailingStatus], approved: set[str]) -> dict[str, Any]:
    states = [statuses[name].state for name in share.mailings if name in statuses]
    return {
        "messages": share.messages,
        "mailings": len(share.mailings),
        "held": len(share.held),
        "released": states.count("released"),
        "denied": states.count("denied"),
        "returned": states.count("returned"),
        "withdrawn": states.count("withdrawn"),
        "expired": states.count("expired"),
        "refused": len(share.refused),
        "warned": len(share.warned),
        "violations": len(share.violations(approved)),
        "would_have_been_held": len(share.would_be_held),
        "would_have_been_refused": len(share.would_be_refused),
    }


def _sender(share: ComplianceShare, approved: set[str]) -> dict[str, Any]:
    return {
        "sender": share.sender,
        "agency": share.agency,
        "mailings": len(share.mailings),
        "most_people": share.most_people,
        "violations": len(share.violations(approved)),
    }


def _stopped(one: ObservedViolation) -> dict[str, Any]:
    return {
        "mailing": one.unit,
        "at": utc_text(one.at),
        "verdict": one.verdict,
        "rules": list(one.rules),
        "sender": one.sender,
        "subject": one.subject,
        "users": one.users,
    }


# -- as text -----------------------------------------------------------------------------------------------------

_COLUMNS = (
    *("mailings", "held", "released", "denied", "returned", "withdrawn", "expired", "refused", "warned", "violations"),
    "would_have_been_held",
)


def _print(document: dict[str, Any]) -> None:
    messages = ", ".join(f"{number} {verdict}" for verdict, number in document["messages"].items()) or "none"
    click.echo(f"messages judged from {document['since']} to {document['until']}: {messages}")
    _print_agencies(document["agencies"])
    _print_senders("senders who reached most people at once", document["top_senders"])
    _print_senders("senders who broke rules more than once", document["repeat_senders"])
    _print_observed(document["observed"])
    for one in document["emergencies_to_review"]:
        click.echo(f"emergency to review: {one['id']} of {one['by']}, {one['at']}: {one['reason']}")
    for one in document["observing"]:
        end = f" until {one['until']}" if one["until"] else ""
        click.echo(f"{one['at']}: {one['mode']}{end}, said {one['by']}: {one['reason']}")


def _print_agencies(agencies: dict[str, Any]) -> None:
    titles = [name.replace("_", " ") for name in _COLUMNS]
    click.echo("  ".join(["agency".ljust(12), *titles]))
    for name, share in agencies.items():
        figures = [str(share[column]).rjust(len(title)) for column, title in zip(_COLUMNS, titles, strict=True)]
        click.echo("  ".join([name.ljust(12), *figures]))


def _print_senders(title: str, senders: list[dict[str, Any]]) -> None:
    if senders:
        click.echo(f"{title}:")
    for one in senders:
        who = one["sender"] or "a sender of ordinary mail"
        click.echo(f"  {who}: {one['mailings']} mailings, {one['most_people']} people, {one['violations']} violations")


def _print_observed(observed: dict[str, Any]) -> None:
    for verdict, number in observed["would_have_been"].items():
        click.echo(f"passed since the gate only observed: {number} messages, {verdict}")
    for one in observed["mailings"]:
        who = f"{one['sender']} {one['subject']!r}" if one["sender"] else "ordinary mail"
        rules = ", ".join(one["rules"])
        click.echo(f"  {one['at']} {one['mailing']} {one['verdict']} ({rules}) {who}, {one['users']} users")
    for rule, number in observed["rules"].items():
        click.echo(f"rule {rule}, which is only observed, matched {number} messages")
