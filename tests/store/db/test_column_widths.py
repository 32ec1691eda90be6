"""Postgres refuses what is longer than its column, SQLite does not: the longest value of every column is tried there.

The longest values are taken from the program's own vocabularies, or are made by what makes them in a running gate.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Double, LargeBinary, String, Table, Text, insert, text

from gatekeeper.audit import recorder
from gatekeeper.background import recheck
from gatekeeper.ledger.cases import KINDS as CASE_KINDS
from gatekeeper.ledger.passwords import new_secret
from gatekeeper.ledger.signins import ENROL, MAIL, METHODS, START
from gatekeeper.lifecycle import (
    BatchState,
    CaseState,
    DisposalState,
    MailingState,
    PermitState,
    PreserveState,
    RecipientState,
    RequestState,
    SuspensionState,
)
from gatekeeper.outbox import letterhead
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.policy.mode import ENFORCE, OBSERVE, Mode
from gatekeeper.rules.field_kinds import OF_THE_ORIGIN
from gatekeeper.rules.record_classes import CLASS_NAMES
from gatekeeper.service.heartbeat import Heartbeat
from gatekeeper.store import Database, OutageLog, Store, StoreError, jobs, modes
from gatekeeper.store.acts import COLUMNS
from gatekeeper.store.db.schema import metadata
from gatekeeper.store.disposals import ACTS as ACTS_ITEM
from gatekeeper.store.disposals import CONTENT as CONTENT_ITEM
from gatekeeper.store.disposals import DESTROYED, ELSEWHERE, KEPT, LISTED
from gatekeeper.store.events import ASKED, ESCALATED, NOTIFIED, REMINDED
from gatekeeper.store.mailing_keys import KINDS
from gatekeeper.store.texts import CONTENT, FILLED, MARK
from gatekeeper.store.texts import KINDS as TEXTS
from gatekeeper.store.versions import IN_PART, version_of
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate

LONGEST_ID = "a" * 64  # that rules.yaml takes for an agency
SHA256 = "f" * 64
DAY = "2026-12-31"
SCOPES = ("sender", "agency", "group")
ACTS = (
    *(
        "submitted again",
        "appealed",
        "agreed",
        "permitted",
        "gathering",
        "exported",
        "suspended",
        "narrowed",
        "called-off",
    ),
    *(ASKED, ESCALATED, REMINDED, NOTIFIED, IN_PART),
    *MailingState,
    *RequestState,
)


def longest(words: Iterable[str]) -> str:
    return max((str(word) for word in words), key=len)


def process_name(monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "h" * 300)
        return recorder._full("worker 12")


def once_name() -> str:
    return longest(
        [
            recheck.once_name("M-2147483647", [f"P-{number}" for number in range(2_000_000_000, 2_000_000_040)]),
            letterhead.once_name("decided:1796000000.000", "M-2147483647", "x" * 300 + "@example.gov"),
            "undeliverable:9223372036854775807:2147483647",
            f"preflight:{SHA256[:32]}:2147483647",
        ]
    )


def widest(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The longest value of each column that has a limit, by `table.column`."""
    return {
        "secrets.name": "hash",
        "clocks.name": "gate",
        "counters.name": "oldest program for schema 9999",
        "rulesets.digest": SHA256,
        "mailings.state": longest(MailingState),
        "mailings.agency": LONGEST_ID,
        "mailing_keys.kind": longest(KINDS),
        "mailing_people.agency": LONGEST_ID,
        "batches.state": longest(BatchState),
        "batches.listener": "milter",
        "batches.content_digest": SHA256,
        "batch_recipients.agency": LONGEST_ID,
        "batch_recipients.state": longest(RecipientState),
        "requests.state": longest(RequestState),
        "requests.agency": LONGEST_ID,
        "requests.planned": DAY,
        "requests.needed_by": DAY,
        "requests.earliest": DAY,
        "permits.kind": "emergency",
        "permits.state": longest(PermitState),
        "permits.binding": "template",
        "permits.review": "closed",
        "permit_scopes.kind": longest(SCOPES),
        "matter_people.kind": "mailing",
        "matter_people.role": "asked",
        "suspensions.state": longest(SuspensionState),
        "suspensions.kind": longest(SCOPES),
        "directory_sources.state": longest(("fresh", "copy", "expired", "shrunk")),
        "jobs.kind": longest(jobs.KINDS),
        "jobs.once": once_name(),
        "jobs.state": "failed",
        "events.act": longest(ACTS),
        "sent_counts.query": f"{longest(OF_THE_ORIGIN)} {7 * 86_400}",
        "console_sessions.method": longest(METHODS),
        "signin_links.kind": longest((START, ENROL, MAIL)),
        "signin_steps.kind": "passkey",
        "accounts.totp": new_secret(),
        "seen_states.version": version_of("state"),
        "audit_chains.name": process_name(monkeypatch),
        "audit_frames.name": SHA256[:16],
        "modes.mode": longest([OBSERVE, ENFORCE]),
        "disposals.state": longest(DisposalState),
        "disposals.class": longest(CLASS_NAMES),
        "disposals.digest": SHA256,
        "disposals.certificate": SHA256,
        "disposal_items.kind": longest((CONTENT_ITEM, ACTS_ITEM, *COLUMNS)),
        "disposal_items.state": longest((LISTED, DESTROYED, ELSEWHERE, KEPT)),
        "preserves.state": longest(PreserveState),
        "cases.state": longest(CaseState),
        "cases.kind": longest(CASE_KINDS),
        "cases.due": DAY,
        "kept_reports.agency": LONGEST_ID,
        "kept_reports.digest": SHA256,
        "texts.kind": longest([*TEXTS, CONTENT, FILLED, MARK]),
        "searches.digest": SHA256,
        "exports.payload": SHA256,
        "exports.tags": SHA256,
        "control_numbers.thing": f"M-{2**31 - 1}-{2**63 - 1}",
        "processes.name": process_name(monkeypatch),
        "processes.mode": longest([OBSERVE, ENFORCE]),
        "processes.rules": SHA256,
        "processes.directory": SHA256,
    }


def filler(column: Any) -> Any:
    kinds = {Text: "x", JSON: [], Boolean: False, Double: 1.0, LargeBinary: b"x"}
    return next((value for kind, value in kinds.items() if isinstance(column.type, kind)), 1)


def row_of(table: Table, values: dict[str, str]) -> dict[str, Any]:
    return {column.name: values.get(f"{table.name}.{column.name}", filler(column)) for column in table.columns}


def test_every_column_takes_its_longest_value_on_postgres(laid_out_url, monkeypatch):
    values = widest(monkeypatch)
    limited = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, String) and not isinstance(column.type, Text)
    }
    assert limited == set(values), "a column with a limit needs its longest value here"
    database = Database(laid_out_url, 5)
    with database.engine.connect() as connection:
        connection.execute(text("SET session_replication_role = replica"))  # rows without those that they point to
        for table in metadata.sorted_tables:
            connection.execute(text(f"DELETE FROM {table.name}"))
            connection.execute(insert(table).values(**row_of(table, values)))
        connection.rollback()
    database.dispose()


async def test_a_process_says_that_it_runs(store, tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    active_policy = ActivePolicy(tmp_path / "rules.yaml")
    heartbeat = Heartbeat("gate", active_policy, Mode(OBSERVE), store)
    await heartbeat.tell()
    (process,) = store.call(lambda connection: modes.list_processes(connection, 0.0))
    assert (process.mode, process.directory) == (OBSERVE, active_policy.current.directory.digest)


def test_what_the_gate_observes_is_what_its_command_says(database_url, tmp_path):
    with Gate(f"maildir:{tmp_path}/out", flags=["--mode", "observe"], database=database_url) as gate:
        # a gate takes mail in before it has said that it runs
        wait_for(lambda: gate.ask("mode")["processes"], gate.log)
        said = gate.ask("mode")
        assert said["mode"] == "observe" and len(said["processes"]) == 1
        assert "waiting for the database" not in gate.log()


def test_a_fault_of_the_database_is_logged_when_it_begins_and_when_it_ends(caplog):
    caplog.set_level(logging.INFO)
    outage = OutageLog(logging.getLogger("gatekeeper.test"), "reminders")
    for problem in ("locked", "locked", "gone", None, None, "locked"):
        with outage.survived():
            if problem:
                raise StoreError(f"database: {problem}")
        assert outage.lasts == bool(problem)
    assert [record.message for record in caplog.records] == [
        "reminders: waiting for the database: database: locked",
        "reminders: waiting for the database: database: gone",
        "reminders: the database answers again",
        "reminders: waiting for the database: database: locked",
    ]


async def test_a_process_that_cannot_say_so_says_that(tmp_path, caplog):
    (tmp_path / "rules.yaml").write_text(RULES)
    store = Store(Database(f"sqlite:///{tmp_path}/gate.db", 5))
    store.open()
    heartbeat = Heartbeat("gate", ActivePolicy(tmp_path / "rules.yaml"), Mode(), store)
    (tmp_path / "gate.db").unlink()
    for _ in range(3):
        await heartbeat.tell()
    store.close()
    assert caplog.text.count("the list of running processes: waiting for the database") == 1
