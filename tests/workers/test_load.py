"""Several workers on one ledger, and many clients at once: a mailing is one, and the figures are whole."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from gatekeeper.cli import main
from tests.faults.scene import LIMIT, Downstream, message, people
from tests.peers import wait_for
from tests.peers.gate import Gate
from tests.workers.scene import gate_of, send_at_once

BATCH = 60


def judged(gate: Gate) -> dict[str, float]:
    verdicts = ("relay", "warn", "hold", "reject", "defer")
    return {each: gate.metric("gatekeeper_messages_total", listener="smtp", verdict=each) for each in verdicts}


def a_mailing_cut_over_workers(gate: Gate, downstream: Downstream, mailing: int, streams: int, batches: int) -> None:
    """One mailing in batches of distinct people, among ordinary mail: the limit holds, and every batch is somewhere."""
    sender = f"deputy{mailing}@doa.example.gov"
    content = message(f"mailing {mailing}", sender=sender)
    cut = [people(BATCH, start=BATCH * number) for number in range(batches)]
    before = judged(gate)
    replies = send_at_once(gate, [(each, content) for each in cut], streams, sender=sender)
    held = [reply for reply in replies if reply.startswith("250 2.0.0 Held for approval as")]
    relayed = [reply for reply in replies if reply == "250 2.0.0 taken"]
    assert len(held) + len(relayed) == batches, [reply for reply in replies if reply not in held + relayed]
    assert len({reply.split()[6] for reply in held}) == 1, "it is several mailings"
    assert downstream.copies(content).total() == len(relayed) * BATCH <= LIMIT
    found = next(each for each in gate.mailings("held") if each["sender"] == sender)
    assert (found["users"], found["batches"]) == (BATCH * batches, len(held))
    after = judged(gate)
    moved = {verdict: after[verdict] - before[verdict] for verdict in after if after[verdict] != before[verdict]}
    assert moved == {"relay": len(relayed), "hold": len(held)}


def ordinary_mail(gate: Gate, downstream: Downstream, streams: int, number: int) -> None:
    """All of it is relayed at once: no database was locked for long."""
    contents = [message(f"ordinary {each}", sender=f"user{each}@doa.example.gov") for each in range(number)]
    mails = [([f"friend{each}@example.org"], content) for each, content in enumerate(contents)]
    replies = send_at_once(gate, mails, streams)
    assert set(replies) == {"250 2.0.0 taken"}
    assert sum(downstream.copies(content).total() for content in contents) == number


def whole_load(gate: Gate, downstream: Downstream, streams: int, mailings: int, number: int) -> None:
    for mailing in range(mailings):
        a_mailing_cut_over_workers(gate, downstream, mailing, streams, 45)
    ordinary_mail(gate, downstream, streams, number)
    log = gate.log()
    assert "locked" not in log and " error " not in log
    assert gate.metric("gatekeeper_decision_seconds_count") == mailings * 45 + number
    assert gate.metric("gatekeeper_ruleset_reloads_total", result="ok") == 1
    each_worker_has_a_chain_of_its_own(gate, mailings * 45 + number)


def each_worker_has_a_chain_of_its_own(gate: Gate, decisions: int) -> None:
    """Every decision is recorded once, whoever took it, and nothing in the chains was changed."""
    wait_for(lambda: gate.metric("gatekeeper_audit_records_total", result="written") == decisions, gate.log)
    done = CliRunner().invoke(main, ["audit", "verify", "--json"], env=gate.environment, catch_exceptions=False)
    found = json.loads(done.stdout)
    assert found["whole"] and done.exit_code == 0, found
    written = {chain["name"]: chain["records"] for chain in found["chains"] if chain["name"] != "acts"}
    assert sum(written.values()) == decisions
    assert len(written) > 1 and {name.split()[0] for name in written} <= {f"worker-{each}" for each in range(1, 9)}


def test_four_workers_and_forty_sessions():
    with Downstream() as downstream, gate_of(4, downstream) as gate:
        whole_load(gate, downstream, streams=40, mailings=1, number=120)


@pytest.mark.soak
@pytest.mark.parametrize("workers", [2, 4])
def test_long_load(workers):
    with Downstream() as downstream, gate_of(workers, downstream) as gate:
        whole_load(gate, downstream, streams=40, mailings=20, number=5000)


def test_on_postgres(postgres_url):
    with Downstream() as downstream, gate_of(2, downstream, database=postgres_url) as gate:
        whole_load(gate, downstream, streams=12, mailings=1, number=24)
