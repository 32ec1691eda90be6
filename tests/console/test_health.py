"""Admins see how the gate is, and let it only observe for a while."""

from __future__ import annotations

from functools import partial

import pytest

from gatekeeper.lifecycle import RecipientState
from gatekeeper.store import jobs, modes, rulesets
from gatekeeper.store.modes import Process
from gatekeeper.store.rulesets import StoredRuleset
from tests.console.browsing import send, told
from tests.console.test_pages import AUDITOR, browser, hold
from tests.ledger.scene import CIO, DEPUTY, HEAD


@pytest.fixture
def running(scene):
    """A gate whose process reports the rules in force."""
    stored = StoredRuleset("d" * 64, "rules.yaml", "version: 1")
    scene.store.call(partial(rulesets.put_in_force, ruleset=stored, now=scene.now))
    process = Process("gate", scene.now - 90, scene.now - 5, "enforce", "d" * 64, "e" * 64)
    scene.store.call(partial(modes.report_process, process=process))
    return process


async def test_an_admin_sees_how_the_gate_is(scene, desk, running):
    await hold(scene)
    deputy = browser(desk, DEPUTY)
    page = deputy.get("/health").text
    assert "All is well." in page and ">gate<" in page and 'href="/mailings?state=held">1<' in page
    scene.now += 61
    page = deputy.get("/health").text
    assert "Something wants to be looked at." in page and "no mail is taken in" in page


async def test_it_tells_how_long_released_mail_took(scene, desk, running):
    deputy = browser(desk, DEPUTY)
    assert "Nothing that had been held was sent" in deputy.get("/health").text
    await hold(scene)
    scene.service.approve(1, CIO, "")
    found = scene.store.call(partial(jobs.lease, now=scene.now, seconds=60, limit=9))
    (job,) = [each for each in found if each.batch_id]
    sent = dict.fromkeys(range(30), (RecipientState.SENT, "250 ok"))
    scene.store.call(partial(jobs.record_answers, batch_id=job.batch_id, answers=sent, now=scene.now + 4))
    scene.store.call(partial(jobs.finish, job=job))
    page = deputy.get("/health").text
    assert "was with the next hop after 4.0 s." in page and "30 recipients a minute." in page


async def test_a_process_with_other_rules_is_told(scene, desk, running):
    other = Process("worker-2", scene.now, scene.now, "enforce", "f" * 64, "e" * 64)
    scene.store.call(partial(modes.report_process, process=other))
    page = browser(desk, DEPUTY).get("/health").text
    assert "Something wants to be looked at." in page and "<strong>others</strong>" in page


async def test_the_gate_observes_for_a_while_and_enforces_again(scene, desk, running):
    deputy = browser(desk, DEPUTY)
    for given, words in (
        ({"hours": "", "reason": "x"}, "Write for how many hours"),
        ({"hours": "999", "reason": "x"}, "Write for how many hours"),
        ({"hours": "2"}, "Say why"),
    ):
        answer = send(deputy, "/health", "/mode", **given)
        assert answer.status_code == 422 and words in answer.text
    assert told(deputy, send(deputy, "/health", "/mode", hours="2", reason="a storm")) == "The gate only observes now."
    changed = scene.store.call(modes.newest)
    assert (changed.mode, changed.by, changed.until) == ("observe", DEPUTY, scene.now + 7_200)
    assert "a storm" in deputy.get("/health").text
    answer = send(deputy, "/health", "/mode", reason="it is over")
    assert told(deputy, answer) == "The gate enforces the rules again."


@pytest.mark.parametrize(("who", "sees"), [(DEPUTY, 200), (CIO, 403), (HEAD, 403), (AUDITOR, 403)])
async def test_only_admins_look_at_the_gate_itself(desk, who, sees):
    client = browser(desk, who)
    answer = client.get("/health")
    assert answer.status_code == sees and ('href="/health"' in client.get("/mailings").text) is (sees == 200)
