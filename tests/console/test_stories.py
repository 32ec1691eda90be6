"""Whole stories on the console, from the mail that is held to what its sender reads, without JavaScript."""

from __future__ import annotations

import pytest

from gatekeeper.console.desk import Desk
from gatekeeper.ledger.signins import Signins
from tests.console.browsing import resend, send, told
from tests.console.test_pages import SMALL, URL, browser
from tests.ledger.scene import CIO, DEPUTY, HEAD, Scene, people

HR, STAND_IN = "hr@example.gov", "assistant@example.gov"
THREE = SMALL.replace("    then: hold\n", "    then: hold\n    ask: {any: 2, of: [approver]}\n").replace(
    "people:\n", f"people:\n  {HR}: {{roles: [approver]}}\n"
)
DELEGATED = SMALL.replace(
    "cio@example.gov: {roles: [approver], final: true}",
    f"cio@example.gov: {{roles: [approver], delegate: {{to: {STAND_IN}, until: 2026-11-27}}}}",
)


def console_under(rules, store, folder):
    """A scene under these rules, and its desk."""
    scene = Scene(store, folder, rules)
    signins = Signins(scene.store, clock=scene.clock)
    return scene, Desk(lambda: scene.service, signins, URL, policy=lambda: scene.active_policy.current)


@pytest.fixture
def three(store, tmp_path):
    return console_under(THREE, store, tmp_path)


async def test_two_of_three_agree_and_in_between_more_people_are_added(three):
    scene, desk = three
    cio, deputy, hr = (browser(desk, who) for who in (CIO, DEPUTY, HR))
    assert "Held" in (await scene.send(people(30))).text
    assert "others must agree, too" in cio.get("/mailings/M-1").text
    first = send(cio, "/mailings/M-1", "/decision", decision="approve", reason="ok for staff")
    assert told(cio, first).startswith("Noted. Still to agree:") and scene.mailing().state == "held"
    assert "1 of 2" in deputy.get("/waiting").text and "0 of" not in deputy.get("/waiting").text

    page = deputy.get("/mailings/M-1")
    assert CIO in page.text and "30 users get it now" in page.text
    await scene.send(people(45)[30:])  # more of the same mailing comes in
    stale = resend(deputy, page, "/decision", decision="approve", reason="fine")
    assert stale.status_code == 409 and "It has changed since you opened it" in stale.text
    assert "I have looked at what changed" in stale.text and "fine" in stale.text
    assert "Agreed to an earlier state" in stale.text and scene.mailing().state == "held"

    unseen = resend(deputy, stale, "/decision", decision="approve")
    assert unseen.status_code == 422 and "Look at what has changed" in unseen.text
    second = resend(deputy, unseen, "/decision", decision="approve", looked="yes")
    assert told(deputy, second).startswith("Noted. Still to agree:")
    last = send(hr, "/mailings/M-1", "/decision", decision="approve")
    assert told(hr, last) == "M-1 is released." and scene.mailing().state == "released"


async def test_the_first_yes_in_a_double_click_counts_once(three):
    scene, desk = three
    await scene.send(people(30))
    cio = browser(desk, CIO)
    page = cio.get("/mailings/M-1")
    for _ in range(3):
        assert resend(cio, page, "/decision", decision="approve").status_code == 303
    agreed = [event for event in scene.service.show(1).events if event.act == "agreed"]
    assert len(agreed) == 1 and scene.mailing().state == "held"


async def test_a_delegate_decides_while_it_lasts_and_not_a_day_longer(store, tmp_path):
    scene, desk = console_under(DELEGATED, store, tmp_path)
    await scene.send(people(30))
    stand_in = browser(desk, STAND_IN)
    assert "M-1" in stand_in.get("/waiting").text
    scene.now += 5 * 86_400
    late = browser(desk, STAND_IN)
    assert late.get("/mailings/M-1").status_code == 404
    assert browser(desk, DEPUTY).get("/mailings/M-1").status_code == 200
    scene.now -= 5 * 86_400
    answer = send(browser(desk, STAND_IN), "/mailings/M-1", "/decision", decision="approve", reason="in their place")
    assert answer.status_code == 303 and scene.mailing().state == "released"


async def test_whoever_loses_their_role_is_out_at_the_next_click(store, tmp_path):
    scene, desk = console_under(SMALL, store, tmp_path)
    await scene.send(people(30))
    cio = browser(desk, CIO)
    page = cio.get("/mailings/M-1")
    (tmp_path / "rules.yaml").write_text(SMALL.replace("  cio@example.gov: {roles: [approver], final: true}\n", ""))
    assert scene.active_policy.reload()
    assert cio.get("/mailings/M-1").status_code in (303, 404)
    assert resend(cio, page, "/decision", decision="approve").status_code in (303, 403, 404)
    assert scene.mailing().state == "held"


async def test_a_sender_reads_why_it_was_sent_back_and_sends_it_again(three):
    scene, desk = three
    await scene.send(people(30))
    answer = send(browser(desk, HR), "/mailings/M-1", "/decision", decision="changes", reason="name a contact")
    assert answer.status_code == 303 and scene.mailing().state == "returned"
    sender = browser(desk, "news@doa.example.gov")
    page = sender.get("/mailings/M-1").text
    assert "name a contact" in page and 'name="decision"' not in page
    assert "Held" in (await scene.send(people(30), text=b"Call Jo at 5 with questions about the plan.\r\n")).text
    assert "/mailings/M-2" in sender.get("/mailings?mine=1").text


async def test_an_emergency_is_declared_on_the_way_used_and_reviewed(three):
    scene, desk = three
    head, cio = browser(desk, HEAD), browser(desk, CIO)
    send(head, "/emergency", agency="DOA", hours="2", reason="the river rises", sure="yes")
    assert "Held" not in (await scene.send(people(30))).text
    page = cio.get("/permits/P-1").text
    assert "/mailings/M-1" in page and "the river rises" in page
    send(cio, "/permits/P-1", "/review", reason="it was one")
    assert "closed" in repr(scene.permit().review)
