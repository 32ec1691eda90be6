"""`gatekeeper audit search`: search records for a case, or the recorded decisions one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import click

from gatekeeper.address import normalise
from gatekeeper.api.searching import destroyed_line, found_document
from gatekeeper.audit.compliance import value_of
from gatekeeper.audit.history import History
from gatekeeper.audit.record import Frame, Record
from gatekeeper.cli.common import (
    NO_PERMISSION,
    USAGE,
    Failure,
    by_option,
    json_option,
    json_text,
    login_name,
    parse_number,
    print_json,
    setting_options,
    settings_of,
)
from gatekeeper.cli.database import open_store
from gatekeeper.cli.ledger_commands import open_ledger, shown_time
from gatekeeper.cli.periods import period, until_option
from gatekeeper.cli.table import table
from gatekeeper.ledger.searching import PLACES, Found, SearchWanted
from gatekeeper.lib.moments import utc_text
from gatekeeper.model import Action
from gatekeeper.notices import say_count
from gatekeeper.rules import Ruleset
from gatekeeper.service.ledger_in_force import rules_in_force
from gatekeeper.store import Store
from gatekeeper.store import audit_chain as chains
from gatekeeper.store.db.hashing import keyed

_SCOPE = "ordinary mail is recorded without addresses, subjects and bodies: --sender finds it, --subject does not"
_DECISIONS = "30d"  # of which decisions are searched where nothing else is said
_SHOWN = 20  # parts of messages that are not searched
_OF_RECORDS = ("query", "places", "recipient", "person", "agency", "file", "state", "save")
_CASE = re.compile(r"[Cc]-\d+")
_OF_DECISIONS = ("number", "verdict", "transaction", "acts")


@click.command()
@click.argument("query", required=False)
@by_option
@click.option("--case", default="", help="the case for which the search is made, such as C-4")
@click.option("--in", "places", help=f"what is searched: {','.join(PLACES)}; default: ledger,held,mass")
@click.option("--since", help="from when: 30d ago, a day, a moment; default: all records, of decisions 30d")
@until_option
@click.option("--sender", help="an address; finds recorded decisions about ordinary mail as well")
@click.option("--recipient", help="an address that it reached, or was to reach")
@click.option("--person", help="an address: what they sent, got, asked for, decided or read")
@click.option("--agency", help="of the sender or requester, by its id")
@click.option("--subject", help="words of the subject, of mass and held mail")
@click.option("--file", help="a pattern of names of attachments, such as *.pdf")
@click.option("--state", help="its state, such as held or denied")
@click.option("--rule", "rule_id", help="a rule that matched")
@click.option("--save", is_flag=True, help="keep the search under a number, for an export")
@click.option("--mailing", "number", help="recorded decisions: such as M-17")
@click.option("--verdict", type=click.Choice([action.value for action in Action]), help="... what the rules said")
@click.option("--id", "transaction", help="... of a transaction, as the log has it")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="the most records to show")
@click.option("--acts", is_flag=True, help="find what people did to the gate and the audit, instead of decisions")
@setting_options("database", "database_timeout", "public_url", "hostname")
@json_option
def search(as_json: bool, **given: Any) -> None:
    """Search records for a case of this gate, such as C-4; without one, recorded decisions.

    Words, "phrases", prefix*, OR and -not. Each search is recorded too: who searched, and for what.
    """
    of_records = [name for name in _OF_RECORDS if given[name]]
    of_decisions = [name for name in _OF_DECISIONS if given[name]]
    is_of_case = bool(_CASE.fullmatch(given["case"])) and not of_decisions
    if of_records and of_decisions:
        raise Failure("--mailing, --verdict, --id, --acts: expected no words and people beside them", USAGE)
    (_search_records if of_records or is_of_case else _search_decisions)(given, as_json)


# -- records -----------------------------------------------------------------------------------------------------


def _search_records(given: dict[str, Any], as_json: bool) -> None:
    if not given["case"]:
        raise Failure("expected --case too, such as C-4: `gatekeeper audit case open` gives a number", USAGE)
    case = parse_number(given["case"], "C")
    with open_ledger(settings_of(given)) as service:
        wanted = _wanted(given, service.clock(), service.ruleset)
        found = service.search(case, wanted, given["by"], given["limit"], save=given["save"])
        print_json(found_document(found)) if as_json else _print_found(found)


def _wanted(given: dict[str, Any], now: float, ruleset: Ruleset) -> SearchWanted:
    begin, end = period(given["since"] or "1970-01-02", given["until"], now, ruleset.timezone)
    texts: dict[str, Any] = {
        name: given[name] or "" for name in ("query", "sender", "recipient", "person", "agency", "subject", "file")
    }
    places = tuple(dict.fromkeys((given["places"] or ",".join(SearchWanted().places)).split(",")))
    span: dict[str, Any] = {"since": begin if given["since"] else None, "until": end if given["until"] else None}
    return SearchWanted(**texts, **span, places=places, state=given["state"] or "", rule=given["rule_id"] or "")


def _print_found(found: Found) -> None:
    counted = ", ".join(f"{number:,} {name}" for name, number in found.counts.items())
    click.echo(f"{found.total:,} found" + (f": {counted}" if counted else ""))
    rows = [
        (hit.id, hit.place, hit.state, shown_time(hit.at), hit.digest[:12], hit.sender, repr(hit.subject))
        for hit in found.hits
    ]
    for line in table(rows, ("id", "in", "state", "when", "message", "sender", "subject")):
        click.echo(line)
    if found.total > len(found.hits):
        click.echo(f"shown: the newest {len(found.hits):,}")
    if found.number:
        click.echo(f"saved as search {found.number} of {found.case.id}, SHA-256 of the list {found.digest}")
    _print_scope(found)


def _print_scope(found: Found) -> None:
    scope = found.scope
    click.echo(f"searched for: {scope.read_as or 'no words'}")
    for line in scope.not_here:
        click.echo(f"not here: {line}")
    if scope.gone:
        since = utc_text(scope.recorded_from) or "now"
        click.echo(f"gone: {scope.gone:,} recorded decisions and acts have aged out; they begin at {since}")
    for disposal in scope.destroyed:
        click.echo(f"gone: {destroyed_line(disposal)}")
    if scope.unsearched_messages:
        number = say_count(scope.unsearched_messages, "kept message has", "kept messages have")
        click.echo(f"not searched: {number} parts without searchable text")
    for each in scope.unsearched[:_SHOWN]:
        click.echo(f"  {each.id} {each.digest[:12]} {each.part!r}: {each.why}")
    if len(scope.unsearched) > _SHOWN:
        click.echo("  and more: --json has those of the first thousand messages")


# -- recorded decisions ------------------------------------------------------------------------------------------


def _search_decisions(given: dict[str, Any], as_json: bool) -> None:
    wanted = {name: given[name] for name in _WANTED if given[name] is not None}
    by, acts = normalise(given["by"]), given["acts"]
    with open_store(settings_of(given)) as store:
        ruleset = rules_in_force(store)
        _check_auditor(ruleset, by)
        begin, end = period(given["since"] or _DECISIONS, given["until"], store.now(), ruleset.timezone)
        _note(store, by, given["case"], {**wanted, "since": begin, "until": end, "acts": acts})
        history = History(store, begin, end)
        found = list(islice(history.acts() if acts else _search(store, history, wanted), given["limit"]))
    if as_json:
        print_json({"records": found, "scope": _SCOPE, "damaged": history.damaged})
        return
    for one in found:
        click.echo(json_text(one) if acts else _line(one))
    click.echo(f"{len(found)} found; {_SCOPE}" if not acts else f"{len(found)} found")


_WANTED = ("sender", "number", "subject", "verdict", "rule_id", "transaction")


def _check_auditor(ruleset: Ruleset, by: str) -> None:
    allowed = ruleset.people_with("auditor")
    if by not in allowed:
        names = ", ".join(allowed) or "nobody: name an auditor under people in rules.yaml"
        raise Failure(f"{by} may not search the audit; who may: {names}", NO_PERMISSION)


def _note(store: Store, by: str, case: str, wanted: dict[str, Any]) -> None:
    """Record who searched, for what, and for which case (policy D4)."""
    now = store.now()
    act = {"at": now, "act": "audit search", "by": by, "login": login_name(), "case": case, "for": wanted}
    store.call(partial(chains.note, act=act))


def _search(store: Store, history: History, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sender = wanted.get("sender")
    source = keyed(store.secret, normalise(sender)).hex()[:16] if sender else None
    for record, frame in history.records():
        if _fits(record, frame, wanted, source):
            yield _found(record, frame)


def _fits(record: Record, frame: Frame | None, wanted: dict[str, Any], source: str | None) -> bool:
    subject = wanted.get("subject", "").casefold()
    return (
        wanted.get("verdict", record.verdict) == record.verdict
        and wanted.get("number", record.mailing) == record.mailing
        and wanted.get("transaction", record.id) == record.id
        and source in (None, record.source)
        and ("rule_id" not in wanted or any(row[0] == wanted["rule_id"] for row in record.reasons))
        and (not subject or subject in str(_value(record, frame, "subject") or "").casefold())
    )


def _value(record: Record, frame: Frame | None, name: str) -> Any:
    return None if frame is None else value_of(record, frame, name)


def _found(record: Record, frame: Frame | None) -> dict[str, Any]:
    names = (*frame.fields, *frame.named) if frame else ()
    values = dict(zip(names, record.values, strict=False))
    reasons = [dict(zip(("rule", "action", "cite", "text"), row, strict=False)) for row in record.reasons]
    return {
        "at": utc_text(record.at),
        "id": record.id,
        "moment": record.moment,
        "mailing": record.mailing,
        "verdict": record.verdict,
        "done": record.done,
        "rules": [row[0] for row in record.reasons],
        "reasons": reasons,
        "observed_rules": record.watched,
        "ruleset": frame.ruleset if frame else None,
        "mass": record.mass,
        "source": record.source,
        "standing": record.standing,
        "seen": values,
    }


def _line(one: dict[str, Any]) -> str:
    seen = one["seen"]
    who = f"{seen['sender']} {seen.get('subject')!r}" if seen.get("sender") else "ordinary mail"
    done = "" if one["done"] == one["verdict"] else f" (done: {one['done']})"
    return (
        f"{one['at']} {one['id']} {one['mailing'] or '-'} {one['verdict']}{done} "
        f"[{','.join(one['rules'])}] {who}, {seen.get('users', '?')} users"
    )
