"""What the gate writes down of each decision, and that this costs neither mail nor replies."""

from __future__ import annotations

import json
from functools import partial

import pytest
from sqlalchemy import text

from gatekeeper.audit.record import Frame, Record
from gatekeeper.audit.recorder import Auditor
from gatekeeper.audit.replay import Replayer
from gatekeeper.ops.metrics import Metrics
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.pipeline.transaction_report import Reporter
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from gatekeeper.store import Database, Store, audit_chain, audit_verify
from tests.peers.gate import RULES
from tests.pipeline.test_pipeline import TAKEN, NextHop, message
from tests.store.arrivals import people


class Scene:
    """A pipeline whose decisions are recorded; `write` does what the auditor's thread would."""

    def __init__(self, store, path, **settings):
        judging = {"rules": path, "mode": "enforce", "outage_allowance": 0, "public_url": "", "hostname": "gate"}
        self.store, self.metrics = store, Metrics()
        self.auditor = Auditor(store, "worker-1", self.metrics.audited)
        self.active_policy = ActivePolicy(path)
        report = Reporter(self.metrics, self.auditor).report
        self.pipeline = Pipeline(Judging(**judging | settings), self.active_policy, store, report)

    async def send(self, *arguments, **more):
        return await self.pipeline.receive(message(*arguments, **more), NextHop())

    def lines(self):
        blocks = self.store.call(partial(audit_chain.blocks_between, since=0, until=1e12))
        own = [block for block in blocks if block.chain > 1]
        return [line for block in own for line in self.store.call(partial(audit_chain.lines_of, block=block))]

    def records(self):
        self.auditor.flush()
        return [Record(*json.loads(line)) for line in self.lines() if line.startswith(b"[")]

    def frames(self):
        return {name: Frame.read(text) for name, text in self.store.call(audit_chain.read_frames).items()}

    def metric(self, result):
        return self.metrics.registry.get_sample_value("gatekeeper_audit_records_total", {"result": result}) or 0


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture
def scene(store, rules):
    return Scene(store, rules)


async def test_every_transaction_has_a_record_with_what_was_seen_and_said(scene):
    await scene.send(people(1))
    await scene.send(people(300), subject="")
    await scene.send(people(2400), subject="enrolment")
    ordinary, refused, held = scene.records()
    assert [(each.verdict, each.done, each.mass) for each in (ordinary, refused, held)] == [
        ("relay", "relay", False),
        ("reject", "reject", True),
        ("hold", "hold", True),
    ]
    assert (ordinary.mailing, refused.mailing, held.mailing) == (None, None, "M-1")
    assert refused.reasons[0][:2] == ["subject", "reject"] and "enrolment" in held.values
    assert ordinary.source == refused.source and len(ordinary.source) == 16


async def test_what_was_recorded_is_judged_the_same_again(scene):
    """Through the real line: cut up, held, and joined again."""
    for number in (1, 300, 1500):
        await scene.send(people(number), subject=f"s{number}")
    for start in (0, 900, 1800, 2700):
        await scene.send(people(900, start=start), subject="enrolment")
    again, frames = Replayer(scene.active_policy.current.ruleset), scene.frames
    records = scene.records()
    assert [record.verdict for record in records[3:]] == ["relay", "relay", "hold", "hold"]
    for record in records:
        replayed = again.replay(record, frames()[record.frame])
        assert (replayed.action.value, list(replayed.rules)) == (record.verdict, [row[0] for row in record.reasons])


async def test_no_body_and_of_ordinary_mail_no_address_and_no_subject(scene):
    """Clause D4."""
    await scene.send(
        ["friend@example.org"], sender="jo@doa.example.gov", subject="bowling", rest=b"\r\nsecret words\r\n"
    )
    await scene.send(people(300), subject="enrolment", rest=b"\r\nsecret words\r\n")
    scene.records()
    ordinary, mass = scene.lines()
    for word in (b"friend", b"jo@", b"bowling", b"secret", b"127.0.0.1"):
        assert word not in ordinary
    assert b"enrolment" in mass and b"clerk@doa.example.gov" in mass and b"secret" not in mass


async def test_a_resend_is_recorded_as_one(scene):
    for _ in range(2):
        await scene.send(people(2400), subject="enrolment")
    first, second = scene.records()
    assert (first.moment, second.moment, second.judged, second.mailing) == ("arrived", "resent", False, "M-1")


async def test_chains_verify(scene):
    await scene.send(people(1))
    scene.records()
    await scene.send(people(2))
    scene.records()
    assert [(each.records, each.problem) for each in scene.store.call(audit_verify.verify)[0]] == [(2, ""), (2, "")]


# -- and when it cannot be written -------------------------------------------------------------------------------


async def test_losing_the_audit_loses_no_mail_and_delays_no_reply(scene, store):
    """The table is gone: mail is judged, held and relayed as ever."""
    store.call(lambda connection: connection.execute(text("ALTER TABLE audit_blocks RENAME TO away")))
    assert await scene.send(people(1)) is TAKEN
    assert "Held" in (await scene.send(people(2400), subject="enrolment")).text
    scene.auditor.flush()
    assert scene.metric("written") == 0
    store.call(lambda connection: connection.execute(text("ALTER TABLE away RENAME TO audit_blocks")))
    assert len(scene.records()) == 2, "what waited is written once it can be"


async def test_a_database_that_is_away_keeps_decisions_waiting(scene, store):
    scene.auditor.store = Store(Database("sqlite:////nowhere/gate.db", 0.1))
    await scene.send(people(1))
    scene.auditor.flush()
    scene.auditor.store = store
    assert len(scene.records()) == 1


async def test_what_waits_too_long_is_dropped_and_counted(scene, monkeypatch):
    monkeypatch.setattr("gatekeeper.audit.recorder._MOST", 2)
    for number in range(5):
        await scene.send(people(1), subject=str(number))
    assert len(scene.records()) == 2
    assert json.loads(scene.lines()[-1])["records"] == 3 and (scene.metric("written"), scene.metric("lost")) == (3, 3)


async def test_a_fault_of_the_recorder_costs_a_record_and_no_reply(scene, monkeypatch, caplog):
    def broken(ruleset):
        raise ZeroDivisionError

    monkeypatch.setattr("gatekeeper.audit.recorder.Recorder", broken)
    await scene.send(people(1))
    assert "a decision was not recorded" in caplog.text
    monkeypatch.undo()
    await scene.send(people(2), subject="two")
    assert len(scene.records()) == 1 and scene.metric("lost") == 1


async def test_a_backup_that_was_put_back_begins_a_new_chain(scene, store):
    await scene.send(people(1))
    scene.records()
    store.call(lambda connection: connection.execute(text("UPDATE audit_chains SET records = 7 WHERE name <> 'acts'")))
    await scene.send(people(2))
    scene.auditor.flush()
    assert len(scene.records()) == 2
    assert [bool(each.problem) for each in store.call(audit_verify.verify)[0]] == [False, True, False]


# -- observing ---------------------------------------------------------------------------------------------------


async def test_observing_records_what_was_said_and_what_was_done(store, rules):
    scene = Scene(store, rules, mode="observe")
    await scene.send(people(2400), subject="enrolment")
    await scene.send(people(300), subject="")
    assert [(each.verdict, each.done) for each in scene.records()] == [("hold", "relay"), ("reject", "relay")]
    observed = {
        verdict: scene.metrics.registry.get_sample_value("gatekeeper_observed_total", {"verdict": verdict})
        for verdict in ("hold", "reject")
    }
    assert observed == {"hold": 1, "reject": 1}


async def test_rules_act_on_the_agencies_that_are_enforced_and_watch_the_others(store, rules):
    rules.write_text(RULES + "enforce: [DPHHS]\n")
    scene = Scene(store, rules)
    assert await scene.send(people(2400), subject="enrolment") is TAKEN
    answer = await scene.send(people(2400), sender="clerk@dphhs.example.gov", subject="benefits", rest=b"\r\nX\r\n")
    assert "Held" in answer.text
    assert [(each.verdict, each.done) for each in scene.records()] == [("hold", "relay"), ("hold", "hold")]


async def test_one_rule_that_is_only_observed_is_recorded_counted_and_logged(store, rules):
    rules.write_text(RULES.replace("  - id: subject\n", "  - id: subject\n    mode: observe\n"))
    scene = Scene(store, rules)
    assert await scene.send(people(300), subject="") is TAKEN
    (record,) = scene.records()
    assert (record.verdict, record.watched) == ("relay", ["subject"])
    hits = scene.metrics.registry.get_sample_value(
        "gatekeeper_rule_hits_total", {"rule": "subject", "action": "observe"}
    )
    assert hits == 1


async def test_nothing_of_a_message_waits_with_its_record(scene):
    await scene.send(people(2), sender="clerk@doa.example.gov", subject="a picnic")
    waiting = repr(scene.auditor._waiting)
    assert "DPHHS" in waiting and "picnic" not in waiting and "user1@" not in waiting
    (record,) = scene.records()
    assert record.source != "" and len(record.source) == 16


async def test_a_record_that_cannot_be_made_costs_no_reply(scene, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("gatekeeper.audit.record.Recorder.record", lambda *given: 1 / 0)
        assert await scene.send(people(1)) is TAKEN
    await scene.send(people(1), subject="another")
    assert len(scene.records()) == 1
    assert json.loads(scene.lines()[-1])["records"] == 1 and scene.metric("lost") == 1
