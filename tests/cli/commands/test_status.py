"""`gatekeeper status`: one page, and an exit code for monitoring."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gatekeeper.ledger.health import Health
from gatekeeper.service.status import RulesOnDisk, Status
from gatekeeper.store.modes import Process
from gatekeeper.store.sources import SourceState
from gatekeeper.store.views import LedgerCounts
from tests.peers import free_port, wait_for
from tests.peers.gate import RULES, Gate
from tests.store.arrivals import people

DIRECTORY = "directory:\n  - csv: people.csv\n"
PEOPLE = "address,agency\n" + "".join(f"{each},DOA\n" for each in people(20))


def asked(gate, *words):
    """Exit code, and the document."""
    done = gate.cli("status", "--json", *words, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def gate():
    with Gate("maildir:out", rules=RULES + DIRECTORY, files={"people.csv": PEOPLE}) as running:
        yield running


def test_a_gate_that_is_well_has_nothing_to_do(gate):
    code, found = asked(gate)
    assert (code, found["to_do"], found["mode"], found["next_hop_answers"]) == (0, [], "enforce", True)
    assert found["rules_in_force"] == found["rules_on_disk"]["digest"] != ""
    assert [each["rules"] for each in found["processes"]] == [found["rules_in_force"]]
    assert found["directory"] == [{"source": "people.csv", "state": "fresh", "entries": 20}]
    assert found["audit_lost"] == 0 and found["keep_limit"] > 0
    shown = gate.cli("status").stdout
    assert "mode            enforce\n" in shown and shown.endswith("\nnothing to do\n")


def test_what_is_held_is_told_and_is_no_fault(gate):
    everyone = [*people(1200), *(f"p{number}@dphhs.example.gov" for number in range(1200))]
    assert gate.send("head@doa.example.gov", everyone, b"Subject: News\r\n\r\nHello\r\n")[0] == 250
    code, found = asked(gate)
    assert (code, found["mailings"]["held"], found["failed"]) == (0, 1, 0) and found["held_since"] is not None
    assert found["kept"] > 0


def test_rules_that_cannot_be_used_are_told_until_they_are_mended(gate):
    good = (gate.home / "rules.yaml").read_text()
    gate.write("rules.yaml", good.replace("agencies:", "agenciez:", 1))
    code, found = asked(gate)
    assert code == 1 and found["rules_on_disk"]["digest"] == ""
    told = found["to_do"][0]
    assert told.startswith("the rules on disk cannot be used, those of before are in force: ")
    assert "unknown key 'agenciez' (did you mean agencies?)" in told
    gate.write("rules.yaml", good + "# a remark\n")
    wait_for(lambda: asked(gate)[0] == 0, lambda: str(asked(gate)))  # the gate has read them by itself


def test_without_a_directory_or_a_next_hop_there_is_something_to_do():
    with Gate(f"smtp://127.0.0.1:{free_port()}") as gate:
        code, found = asked(gate, "--ops", "off")
    assert (code, found["next_hop_answers"], found["audit_lost"]) == (1, False, None)
    assert [told.partition(":")[0] for told in found["to_do"]] == [
        "the rules name no directory",
        "the next hop takes no connection",
    ]


def process(name, rules):
    return Process(name, 0.0, 1000.0, "enforce", rules, "")


def job(queued_at):
    return {"id": 1, "attempts": 1, "queued_at": queued_at}


WELL = Status(
    health=Health(
        observing=None,
        processes=[process("gate", "ab")],
        rules="ab",
        counts=LedgerCounts({}, None, {}, [SourceState("people.csv", "fresh", 20, 0, 20, 0)], 10),
        waiting=[],
        failed=[],
        now=10_000.0,
    ),
    rules=RulesOnDisk("rules.yaml", "ab"),
    suspended=0,
    queued_since=9_000.0,
    next_hop_answers=None,
    disk_is_short=False,
    keep_limit=100,
    audit_lost=0,
)


def with_health(**changed):
    return replace(WELL, health=replace(WELL.health, **changed))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (WELL, None),
        (replace(WELL, suspended=3, audit_lost=None, keep_limit=None, next_hop_answers=True), None),
        (with_health(processes=[]), "no process of the gate was there"),
        (with_health(processes=[process("a", "ab"), process("b", "cd")]), "processes judge by different rules"),
        (
            with_health(processes=[replace(process("a", "ab"), problem="r:1: no")]),
            "the rules on the disk of a process cannot be used",
        ),
        (replace(WELL, rules=RulesOnDisk("rules.yaml", "cd")), "rules.yaml is not what is in force"),
        (
            with_health(counts=replace(WELL.health.counts, sources=[SourceState("p.csv", "shrunk", 20, 0, 3, 0)])),
            "directory source p.csv is shrunk: `gatekeeper directory accept p.csv`",
        ),
        (
            with_health(counts=replace(WELL.health.counts, sources=[SourceState("p.csv", "expired", 20, 0, 3, 0)])),
            "directory source p.csv is expired",
        ),
        (replace(WELL, queued_since=6_000.0), "mail waits since 1970-01-01T01:40:00Z"),
        (with_health(failed=[job(1.0)]), "1 mail given up"),
        (replace(WELL, disk_is_short=True), "the database's disk is nearly full"),
        (with_health(counts=replace(WELL.health.counts, kept=91)), "91 octets of mail are kept, of 100"),
        (replace(WELL, audit_lost=2), "2 decisions could not be recorded"),
    ],
)
def test_each_thing_that_somebody_has_to_do_is_one_sentence(found, told):
    assert len(found.to_do) == (told is not None)
    assert told is None or found.to_do[0].startswith(told)
