"""`gatekeeper status`: how the gate is, on one page, and what somebody has to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from gatekeeper.cli.common import json_option, print_json, setting_options, settings_of
from gatekeeper.cli.database import open_store
from gatekeeper.cli.table import table
from gatekeeper.lib.moments import utc_text
from gatekeeper.lib.url_passwords import without_passwords
from gatekeeper.policy.mode import ENFORCE, OBSERVE
from gatekeeper.service.status import Status, find_status
from gatekeeper.settings import Settings

_USED = ("database", "database_timeout", "rules", "peers", "next_hop", "ops", "keep_limit", "mode")
_ANSWERS = {True: "answers", False: "takes no connection", None: "not asked: --next-hop is not set here"}


@click.command()
@setting_options(*_USED)
@json_option
def status(as_json: bool, **given: Any) -> None:
    """Show how the gate is, on one page; exit code 1 where somebody has to do something."""
    settings = settings_of(given)
    with open_store(settings) as store:
        found = find_status(store, settings)
    if as_json:
        print_json(_document(found, settings))
    else:
        for line in table(_rows(found, settings)):
            click.echo(line)
        click.echo("")
        for sentence in found.to_do or ["nothing to do"]:
            click.echo(sentence)
    if found.to_do:
        click.get_current_context().exit(1)


def _mode(found: Status, settings: Settings) -> str:
    if found.health.observing:
        return OBSERVE
    modes = {each.mode for each in found.health.processes} or {settings.judging.mode}
    return OBSERVE if OBSERVE in modes else ENFORCE


def _rows(found: Status, settings: Settings) -> Iterator[tuple[object, ...]]:
    health, rules = found.health, found.rules
    observing = health.observing
    until = f" until {utc_text(observing.until)}, by {observing.by}: {observing.reason}" if observing else ""
    yield "mode", f"{_mode(found, settings)}{until}"
    for process in health.processes:
        yield "process", f"{process.name}, rules {process.rules[:12]}, seen {utc_text(process.seen_at)}"
    yield "rules in force", health.rules[:12] or "none"
    yield "rules on disk", f"{rules.path}: {rules.digest[:12] or 'cannot be used'}"
    if rules.peers:
        yield "peers on disk", rules.peers
    for source in health.counts.sources:
        yield "directory", f"{source.name}: {source.state}, {max(0, source.entries):,} entries"
    oldest = health.counts.oldest_held
    since = f", the oldest since {utc_text(oldest)}" if oldest else ""
    yield "held", f"{health.counts.mailings['held']}{since}"
    yield "gathering", health.counts.mailings["gathering"]
    queued = f", the oldest since {utc_text(found.queued_since)}" if found.queued_since else ""
    yield "queue", f"{sum(health.counts.queue.values())} wait{queued}; {len(health.failed)} given up in 30 days"
    yield "next hop", f"{without_passwords(settings.next_hop.next_hop)} {_ANSWERS[found.next_hop_answers]}".strip()
    limit = f" of {found.keep_limit:,}" if found.keep_limit else ""
    yield "kept", f"{health.counts.kept:,}{limit} octets" + ("; the disk is nearly full" if found.disk_is_short else "")
    lost = "not known: nobody answers at --ops" if found.audit_lost is None else f"{found.audit_lost} lost"
    yield "audit", lost
    yield "suspended", found.suspended


def _document(found: Status, settings: Settings) -> dict[str, Any]:
    health = found.health
    return {
        "to_do": found.to_do,
        "mode": _mode(found, settings),
        "observing_until": utc_text(health.observing.until) if health.observing else None,
        "processes": [
            {"name": each.name, "rules": each.rules, "seen": utc_text(each.seen_at)} for each in health.processes
        ],
        "rules_in_force": health.rules,
        "rules_on_disk": {"path": found.rules.path, "digest": found.rules.digest, "error": found.rules.error},
        "peers_on_disk": found.rules.peers,
        "directory": [
            {"source": each.name, "state": each.state, "entries": max(0, each.entries)}
            for each in health.counts.sources
        ],
        "mailings": dict(health.counts.mailings),
        "held_since": utc_text(health.counts.oldest_held),
        "queue": dict(health.counts.queue),
        "queued_since": utc_text(found.queued_since),
        "failed": len(health.failed),
        "next_hop_answers": found.next_hop_answers,
        "kept": health.counts.kept,
        "keep_limit": found.keep_limit,
        "disk_is_short": found.disk_is_short,
        "audit_lost": found.audit_lost,
        "suspended": found.suspended,
    }
