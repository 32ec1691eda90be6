"""Permits, emergencies and suspensions on the console."""

from __future__ import annotations

import pytest

from tests.console.browsing import resend, send, told
from tests.console.test_pages import AUDITOR, NOBODY, OTHER, browser, hold
from tests.ledger.scene import CIO, DEPUTY, HEAD, SENDER, people


async def test_a_permit_is_narrowed_and_taken_back(scene, desk):
    scene.ask()
    scene.service.approve_request(1, CIO)
    cio = browser(desk, CIO)
    assert "/permits/P-1" in cio.get("/permits").text
    page = cio.get("/permits/P-1")
    answer = resend(cio, page, "/narrow", max_users="100", reason="half of them")
    assert told(cio, answer) == "P-1 is in force. Sent to 0 recipients, stopped for 0."
    assert scene.permit().ceiling == 100
    stale = resend(cio, page, "/narrow", max_users="90", reason="fewer", key="another")
    assert stale.status_code == 409 and "It has changed since you opened it" in stale.text
    answer = send(cio, "/permits/P-1", "/revoke", reason="a mistake")
    assert "P-1 is revoked." in told(cio, answer)
    assert "/revoke" not in cio.get("/permits/P-1").text


@pytest.mark.parametrize(
    ("act", "given", "words"),
    [
        ("/narrow", {"reason": "less"}, "Say what to lower"),
        ("/narrow", {"max_users": "many", "reason": "less"}, "Write the number of users in digits"),
        ("/narrow", {"max_users": "100"}, "Say why"),
        ("/narrow", {"until": "never", "reason": "less"}, "Write the day as year, month and day"),
        ("/revoke", {}, "Say why"),
    ],
)
async def test_a_form_of_a_permit_that_is_wrong_says_where(scene, desk, act, given, words):
    scene.ask()
    scene.service.approve_request(1, CIO)
    answer = send(browser(desk, CIO), "/permits/P-1", act, **given)
    assert answer.status_code == 422 and words in answer.text and "There is a problem" in answer.text
    assert all(value in answer.text for value in given.values())
    assert scene.permit().state == "in force"


async def test_narrowing_that_would_allow_more_is_refused(scene, desk):
    scene.ask()
    scene.service.approve_request(1, CIO)
    answer = send(browser(desk, CIO), "/permits/P-1", "/narrow", max_users="9999", reason="more")
    assert answer.status_code == 409 and "narrowing cannot allow more" in answer.text


async def test_an_emergency_is_declared_passes_mail_and_is_reviewed_by_another(scene, desk):
    head, cio = browser(desk, HEAD), browser(desk, CIO)
    given = {"agency": "DOA", "hours": "4", "reason": "the river rises"}
    assert "Say that you have understood" in send(head, "/emergency", **given).text
    answer = send(head, "/emergency", sure="yes", **given)
    assert "P-1 is in force: mail of DOA passes now." in told(head, answer)
    assert "Held" not in (await scene.send(people(30))).text
    assert "to be reviewed" in cio.get("/permits?review=open").text
    assert "1 emergency is to be reviewed" in cio.get("/waiting").text
    assert "/review" not in head.get("/permits/P-1").text
    empty = send(cio, "/permits/P-1", "/review")
    assert empty.status_code == 422 and "Say what you found" in empty.text
    answer = send(cio, "/permits/P-1", "/review", reason="it was one")
    assert told(cio, answer) == "P-1 is in force. Its review is closed."
    assert "P-1" not in cio.get("/permits?review=open").text.partition("<main")[2].partition("<table")[2]
    assert "to be reviewed" not in cio.get("/waiting").text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"agency": "", "hours": "4"}, "Choose the agency"),
        ({"hours": "0"}, "Write for how many hours"),
        ({"hours": "1000"}, "Write for how many hours"),
        ({"hours": "a few"}, "Write for how many hours"),
        ({"hours": "4", "reason": ""}, "Say what has happened"),
    ],
)
async def test_an_emergency_that_is_not_whole_is_none(scene, desk, given, words):
    answer = send(browser(desk, HEAD), "/emergency", **{"agency": "DOA", "reason": "x", "sure": "yes", **given})
    assert answer.status_code == 422 and words in answer.text and scene.service.permits().rows == []


async def test_an_approver_gives_an_exception(scene, desk):
    cio = browser(desk, CIO)
    answer = send(cio, "/permits/new", sender=SENDER, until="2026-12-31", reason="weekly list", max_users="400")
    assert told(cio, answer) == "P-1 is given."
    permit = scene.permit()
    assert (permit.kind, permit.ceiling, sorted(permit.scope.senders)) == ("exception", 400, [SENDER])
    assert "Held" not in (await scene.send(people(30))).text
    wrong = send(cio, "/permits/new", sender=SENDER, until="2020-01-01", reason="late")
    assert wrong.status_code == 422 and "has passed" in wrong.text and 'value="2020-01-01"' in wrong.text
    empty = send(cio, "/permits/new")
    assert all(words in empty.text for words in ("Say whose mail passes", "Say on which day it ends", "Say why"))


async def test_somebody_is_suspended_and_let_go(scene, desk):
    deputy = browser(desk, DEPUTY)
    answer = send(deputy, "/suspensions", kind="sender", name=SENDER, until="2026-12-31", reason="too many")
    assert told(deputy, answer) == f"S-1: sender {SENDER} is suspended."
    assert (await scene.send(people(30))).code == 550
    answer = send(deputy, "/suspensions", "/S-1/end")
    assert told(deputy, answer) == "S-1 has ended."
    await hold(scene)
    for given, words in (
        ({}, "Choose who is suspended"),
        ({"kind": "agency", "name": "NONE", "until": "2026-12-31", "reason": "x"}, "expected the id of an agency"),
        ({"kind": "sender", "name": "me", "until": "2026-12-31", "reason": "x"}, "expected an address"),
        ({"kind": "sender", "name": SENDER, "until": "x", "reason": "x"}, "Write the day as year, month and day"),
    ):
        answer = send(deputy, "/suspensions", "/suspensions", **given)
        assert answer.status_code == 422 and words in answer.text, given


@pytest.mark.parametrize(
    ("who", "exception", "emergency", "suspends"),
    [(CIO, 200, 200, 200), (DEPUTY, 200, 200, 200), (HEAD, 403, 200, 403), (OTHER, 403, 200, 403),
     (AUDITOR, 403, 403, 403), (NOBODY, 403, 403, 403)],
)  # fmt: skip
async def test_who_may_open_the_forms(desk, who, exception, emergency, suspends):
    client = browser(desk, who)
    pages = ("/permits/new", "/emergency", "/suspensions")
    assert tuple(client.get(place).status_code for place in pages) == (exception, emergency, suspends)
    shown = client.get("/permits").text
    assert ('href="/suspensions"' in shown) is (suspends == 200)
    given = {"csrf": shown.partition('name="csrf" value="')[2].partition('"')[0], "key": "k", "reason": "x"}
    for place, allowed in zip(pages, (exception, emergency, suspends), strict=True):
        assert client.post(place, data=given).status_code == (422 if allowed == 200 else 403), place


@pytest.mark.parametrize(("who", "sees"), [(CIO, True), (HEAD, True), (OTHER, False), (AUDITOR, True), (NOBODY, False)])
async def test_who_sees_a_permit(scene, desk, who, sees):
    scene.ask()
    scene.service.approve_request(1, CIO)
    client = browser(desk, who)
    assert client.get("/permits/P-1").status_code == (200 if sees else 404)
    assert ("/permits/P-1" in client.get("/permits").text) is sees
