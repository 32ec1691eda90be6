"""`gatekeeper audit ...`: verify the chains of recorded decisions, search them, and open cases for that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import click

from gatekeeper.address import normalise
from gatekeeper.audit.compliance import value_of
from gatekeeper.audit.history import History
from gatekeeper.audit.record import Frame, Record
from gatekeeper.cli.common import (
    DATA_ERROR,
    NO_PERMISSION,
    USAGE,
    Failure,
    json_option,
    json_text,
    login_name,
    print_json,
    setting_options,
    settings_of,
)
from gatekeeper.cli.database import open_store
from gatekeeper.cli.lazy_group import LazyCommands, Verbs
from gatekeeper.cli.periods import period, progress, since_option, until_option
from gatekeeper.lib.moments import utc_text
from gatekeeper.model import Action
from gatekeeper.rules import Ruleset
from gatekeeper.service.ledger_in_force import rules_in_force
from gatekeeper.store import Connection, Store, audit_rows, audit_verify
from gatekeeper.store import audit_chain as chains
from gatekeeper.store.audit_verify import ChainReport
from gatekeeper.store.db.hashing import keyed

_SCOPE = "ordinary mail is recorded without addresses, subjects and bodies: --sender finds it, --subject does not"


_OWN_FILES = {
    "case": "gatekeeper.cli.audit.cases",
    "due": "gatekeeper.cli.audit.due",
    "preserve": "gatekeeper.cli.audit.preserves",
}


@click.group(cls=Verbs, commands=LazyCommands(_OWN_FILES))
def audit() -> None:
    """Verify the recorded decisions, search them, open cases, and say what of the records is due."""


@audit.command()
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="CHAIN:RECORDS:HEAD",
    help="a head that the log reported; may be given again",
)
@setting_options("database", "database_timeout")
@json_option
def verify(heads: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Verify every chain of records from its beginning, or its checkpoint, to its end; exit 65 if one is broken."""
    wanted = [_head(text) for text in heads]
    with open_store(settings_of(given)) as store:
        found, problems = _verify(store)
        problems = [f"chain {one.id} ({one.name}): {one.problem}" for one in found if one.problem] + problems
        problems += [problem for head in wanted if (problem := _check_head(store, *head))]
    if as_json:
        print_json({"whole": not problems, "problems": problems, "chains": [_chain(one) for one in found]})
    else:
        _print_chains(found, problems)
    if problems:
        raise SystemExit(DATA_ERROR)


def _verify(store: Store) -> tuple[list[ChainReport], list[str]]:
    """Return the chains, and what else is not as it was written."""
    blocks = store.writer.read(partial(chains.blocks_between, since=0.0, until=float(1 << 40)))
    stored = store.writer.read(audit_rows.stored_bodies)
    size = sum(block.records for block in blocks) + len(stored)
    with progress(size, "verify") as advance:
        found, problems = store.writer.read(partial(_verify_at_once, on_block=advance))
        for digest in stored:  # each by itself: there may be many gigabytes, and a long look keeps the log of SQLite
            problems.append(store.writer.read(partial(audit_rows.problem_of_body, digest=digest)))
            advance(1)
    return found, [problem for problem in problems if problem]


def _verify_at_once(connection: Connection, on_block: Callable[[int], None]) -> tuple[list[ChainReport], list[str]]:
    audit_verify.fix_moment(connection)
    return audit_rows.verify_all(connection, on_block)


def _head(text: str) -> tuple[int, int, bytes]:
    try:
        chain, records, head = text.split(":")
        return int(chain), int(records), bytes.fromhex(head)
    except ValueError:
        raise Failure(f"--head {text}: expected CHAIN:RECORDS:HEAD, such as 3:1200:5f1c...", USAGE) from None


def _check_head(store: Store, chain: int, records: int, head: bytes) -> str:
    kept = store.writer.read(partial(chains.head_at, chain=chain, number=records))
    if kept == head:
        return ""
    if kept is None:
        return f"chain {chain}: it does not have record {records} (any more)"
    return f"chain {chain}: after {records} records its head is {kept.hex()}, and was {head.hex()}"


def _chain(one: ChainReport) -> dict[str, Any]:
    return {
        "chain": one.id,
        "name": one.name,
        "began": utc_text(one.began_at),
        "records": one.records,
        "aged_out": one.aged_out,
        "head": one.head.hex(),
        "problem": one.problem or None,
        "gaps": list(one.gaps),
    }


def _print_chains(found: list[ChainReport], problems: list[str]) -> None:
    for one in found:
        aged = f", {one.aged_out} aged out" if one.aged_out else ""
        click.echo(f"{one.id}:{one.records}:{one.head.hex()}  {one.name}{aged}")
        for gap in one.gaps:
            click.echo(f"  {gap}, as the acts say")
    for problem in problems:
        click.echo(problem)
    records = sum(one.records - one.aged_out for one in found)
    click.echo(f"{len(found)} chains, {records} records: " + ("not what was written" if problems else "whole"))


# -- searching ---------------------------------------------------------------------------------------------------


@audit.command()
@click.option("--by", required=True, help="who searches: an auditor of rules.yaml")
@click.option("--case", default="", help="the number of the case that the search is for; the audit keeps it")
@since_option
@until_option
@click.option("--sender", help="an address; finds ordinary mail as well")
@click.option("--mailing", "number", help="such as M-17")
@click.option("--subject", help="words of the subject, of mass and held mail")
@click.option("--verdict", type=click.Choice([action.value for action in Action]), help="what the rules said")
@click.option("--rule", "rule_id", help="a rule that matched")
@click.option("--id", "transaction", help="of a transaction, as the log has it")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="the most records to show")
@click.option("--acts", is_flag=True, help="find what people did to the gate and the audit, instead of decisions")
@setting_options("database", "database_timeout")
@json_option
def search(
    by: str, case: str, since: str, until: str | None, limit: int, acts: bool, as_json: bool, **given: Any
) -> None:
    """Find recorded decisions. Each search is recorded too: who searched, and for what."""
    wanted = {name: given[name] for name in _WANTED if given[name] is not None}
    with open_store(settings_of(given)) as store:
        ruleset = rules_in_force(store)
        _check_auditor(ruleset, normalise(by))
        begin, end = period(since, until, store.now(), ruleset.timezone)
        _note(store, normalise(by), case, {**wanted, "since": begin, "until": end, "acts": acts})
        history = History(store, begin, end)
        found = list(islice(history.acts() if acts else _search(store, history, wanted), limit))
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
