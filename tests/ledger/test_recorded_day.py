"""A day with everything that a ledger knows, recorded through the real line, and judged again from its record alone."""

from __future__ import annotations

from datetime import date
from functools import partial

import pytest

from gatekeeper.audit.comparison import Comparison
from gatekeeper.audit.compliance import Compliance
from gatekeeper.audit.history import History
from gatekeeper.audit.recorder import Auditor
from gatekeeper.ops.metrics import Metrics
from gatekeeper.pipeline.transaction_report import Reporter
from gatekeeper.rules import parse_ruleset
from tests.ledger.scene import CIO, HEAD, RULES, Scene
from tests.store.arrivals import people

LETTERS = "letters@dphhs.example.gov"
OBSERVED = """\
  - {id: tried, mode: observe, when: {subject: {like: "*lunch*"}}, then: warn}
  - id: often
    when: {mass: true, earlier: {within: 7d, at_least: 1}}
    then: warn
"""


@pytest.fixture
def scene(store, tmp_path):
    made = Scene(store, tmp_path, RULES + OBSERVED)
    made.auditor = made.rechecks.auditor = Auditor(store)
    made.pipeline.report = Reporter(Metrics(), made.auditor).report
    return made


async def a_day(scene):
    """Ordinary mail, a mailing held and met by a permit, one that outgrows it, an emergency, somebody suspended."""
    send = scene.send
    for subject in ("lunch", "budget"):
        await send(people(3), subject=subject)
    await send(people(90))
    await send(people(90, start=90))
    await send(people(60, start=180))  # over both limits: held
    scene.ask()
    scene.service.approve_request(1, CIO)
    await scene.rechecks.run_due()  # the permit covers it
    await send(people(30))
    await send(people(5, start=240))  # more than the permit's
    scene.now += 60
    scene.service.declare_emergency("DOA", HEAD, "Flood", 4)
    await send(people(230), subject="Stay inside", text=b"The river rises")
    scene.service.suspend("sender", LETTERS, CIO, "Chain letters", date(2026, 12, 31))
    await send(people(30), sender=LETTERS)
    await send(people(2), sender=LETTERS)
    scene.auditor.flush()


def judged_again(scene, store, draft, into=Comparison):
    found = into(draft)
    for record, frame in History(store, 0, 1e12).records():
        found.take(record, frame)
    return found


async def test_a_recorded_day_under_the_same_rules_has_no_differences(scene, store):
    """What a verdict read is recorded, the looks at what was held among it."""
    await a_day(scene)
    found = judged_again(scene, store, scene.active_policy.current.ruleset)
    assert (found.changes, found.unrecorded_tests, found.not_asked, found.ledger_not_asked) == ({}, {}, {}, 0)
    assert found.judged == found.decisions == 11
    records = [record for record, _ in History(store, 0, 1e12).records()]
    assert {record.verdict for record in records} == {"relay", "hold", "reject", "warn"}
    met = [record for record in records if record.moment == "met"]
    assert [(record.mailing, record.verdict, record.done) for record in met] == [("M-1", "relay", "relay")]
    assert [record.standing[0] for record in met] == ["held"]
    assert [rule for record in records for rule in record.watched] == ["tried"]


async def test_a_draft_that_the_permit_does_not_answer_would_have_kept_it(scene, store):
    await a_day(scene)
    text = scene.active_policy.current.ruleset.text.replace("id: approval", "id: stricter")
    found = judged_again(scene, store, parse_ruleset(text, "draft.yaml", scene.active_policy.path.parent))
    for before, mailing in (("relay", "M-1"), ("warn", "M-2")):
        change = found.changes[before, "hold"]
        assert {example.record.mailing for example in change.examples} == {mailing}
        assert change.rules == {"stricter": change.decisions}


async def test_the_report_counts_a_mailing_that_was_looked_at_again_once(scene, store):
    await a_day(scene)
    of_ours = partial(Compliance, "DOA")
    found = judged_again(scene, store, None, lambda _: of_ours())
    assert sum(found.verdicts.values()) == 8
