"""A requester asks for a mailing on the console, is asked for changes, asks again, and is approved."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from gatekeeper.lifecycle import RequestState
from tests.console.browsing import resend, send, told
from tests.console.test_pages import AUDITOR, NOBODY, OTHER, browser
from tests.ledger.scene import CIO, DEPUTY, HEAD, SENDER, TEXT, people

PLANNED = "2026-12-04"
MESSAGE = b"From: news@doa.example.gov\nSubject: Open enrolment\nMIME-Version: 1.0\nContent-Type: text/plain\n\n" + TEXT


def ask(client, **more):
    """The steps of a request, with these answers in place of the usual ones; the last answer."""
    whom = {"agency": "DOA", "audience": ["DOA", "DPHHS"], "users": "240"}
    what = {"subject": "Open enrolment", "purpose": "benefits", "senders": SENDER}
    when = {"planned": PLANNED}
    for place, usual in (("", whom), ("/what", what), ("/when", when)):
        answers = {name: more.get(name, value) for name, value in usual.items()}
        files = {"file": more["message"]} if place == "/what" and "message" in more else None
        answer = send(client, f"/requests/new{place}", files=files, **answers)
        if answer.status_code != 303:
            return answer
    return send(client, "/requests/new/check", reason=more.get("reason", ""))


async def test_a_requester_asks_is_asked_for_changes_and_asks_again(scene, desk):
    head, cio = browser(desk, HEAD), browser(desk, CIO)
    assert "Ask for a mailing" in head.get("/requests").text
    answer = ask(head, reason="once a year")
    assert answer.headers["location"] == "/requests/R-1"
    assert "R-1 is submitted. Who must agree: cio@example.gov or deputy@example.gov" in told(head, answer)
    own = head.get("/requests/R-1").text
    assert 'name="decision"' not in own and "It is yours" in own and "Submit it again" not in own

    assert "Open enrolment" in cio.get("/requests").text
    answer = send(cio, "/requests/R-1", "/decision", decision="changes", reason="whom does it help?")
    assert told(cio, answer) == "R-1 is sent back for changes."

    page = head.get("/requests/R-1")
    assert "cio@example.gov asks for changes: whom does it help?" in " ".join(page.text.split())
    answer = resend(head, page, "/again")
    assert answer.headers["location"] == "/requests/new/check"
    check = head.get("/requests/new/check").text
    assert "R-1, again" in check and "What was asked of you: whom does it help?" in check and "as it was" not in check
    assert send(head, "/requests/new/what", purpose="families").headers["location"] == "/requests/new/when"
    assert "R-1 is submitted" in told(head, send(head, "/requests/new/check"))
    assert scene.service.show_request(1).request.draft.purpose == "families"

    answer = send(cio, "/requests/R-1", "/decision", decision="approve", max_users="200")
    assert told(cio, answer) == "R-1 is approved. Its permit is P-1."
    assert "at most" in cio.get("/permits/P-1").text.lower() and "200 users" in cio.get("/permits/P-1").text


async def test_what_cannot_be_counted_is_said_where_somebody_only_counts(scene, desk):
    answer = send(browser(desk, HEAD), "/requests/new", agency="DOA", audience="DOA", users="240", then="count")
    assert answer.status_code == 422 and "This cannot be counted here" in answer.text
    assert "<title>Problem: " in answer.text


async def test_a_mailing_that_was_approved_passes(scene, desk):
    scene.now -= 7 * 86_400
    head, cio = browser(desk, HEAD), browser(desk, CIO)
    assert "R-1 is submitted" in told(head, ask(head, planned="2026-11-23"))
    send(cio, "/requests/R-1", "/decision", decision="approve")
    scene.now += 7 * 86_400
    assert "Held" not in (await scene.send(people(240))).text
    page = browser(desk, HEAD).get("/requests/R-1").text
    assert "Used" in page and 'class="reached">Sent' in page


# -- the steps ---------------------------------------------------------------------------------------------------


async def test_addresses_are_counted_and_not_kept(scene, desk):
    head = browser(desk, HEAD)
    text = "\n".join([*people(30), "Someone <guest@elsewhere.example>", "not an address"])
    answer = send(head, "/requests/new", agency="DOA", addresses=text, then="count")
    assert answer.headers["location"] == "/requests/new"
    page = head.get("/requests/new").text
    assert "30 users in 2 agencies" in page and "1 person outside the organisation" in page
    begun = scene.service.begun(HEAD)
    assert begun.values["users"] == 30 and "guest@elsewhere.example" not in repr(begun.values) + page


async def test_a_file_of_addresses_counts_as_well(scene, desk):
    table = "name,address\n" + "".join(f'"A, B",{each}\n' for each in people(12))
    send(browser(desk, HEAD), "/requests/new", files={"file": table.encode()}, agency="DOA")
    assert scene.service.begun(HEAD).values["reached"] == {
        "users": 12,
        "agencies": {"DOA": 6, "DPHHS": 6},
        "external": 0,
        "unknown": 0,
        "given": 12,
        "lately": 0,
    }


async def test_what_the_same_people_get_about_the_planned_day_is_shown(scene, desk):
    await scene.send(people(25, start=100), subject="Parking is closed")
    scene.service.approve(1, CIO, "")
    scene.ask(subject="Survey of all", planned=date(2026, 12, 1))
    head = browser(desk, HEAD)
    send(head, "/requests/new", agency="DOA", addresses="\n".join(people(10, start=95)), then="count")
    assert "5 of them were reached by others this week" in head.get("/requests/new").text
    send(head, "/requests/new", agency="DOA", audience="DOA", users="240")
    send(head, "/requests/new/what", subject="Survey", senders=SENDER)
    answer = send(head, "/requests/new/when", planned="2026-12-02", then="look")
    assert answer.headers["location"] == "/requests/new/when"
    for place in ("/requests/new/when", "/requests/new/rules"):
        card = head.get(place).text.partition('id="beside">')[2].partition("</section>")[0]
        assert "Survey of all" in card and "like this one" in card and "planned for Tue 1 Dec 2026" in card, place


@pytest.mark.parametrize(
    ("place", "given", "words"),
    [
        ("", {"audience": [], "users": "240"}, "Say whom it reaches"),
        ("", {"audience": ["DOA"], "users": ""}, "Write how many users it reaches at most"),
        ("", {"audience": ["DOA"], "users": "many"}, "Write the number of users in digits"),
        ("", {"audience": ["ELSEWHERE"], "users": "240"}, "ELSEWHERE is none of these"),
        ("", {"agency": "DPHHS", "audience": ["DOA"], "users": "2"}, "Choose the agency that asks"),
        ("/what", {"subject": ""}, "Write the subject line of the mailing"),
        ("/what", {"subject": "Parking", "senders": " "}, "Write who sends it"),
        ("/when", {"planned": ""}, "Say on which day it is to be sent"),
        ("/when", {"planned": "soon"}, "Write the day as year, month and day"),
    ],
)
async def test_a_wrong_step_says_what_to_write_and_keeps_the_rest(scene, desk, place, given, words):
    head = browser(desk, HEAD)
    answer = send(head, f"/requests/new{place}", **given)
    assert answer.status_code == 422 and words in answer.text and "There is a problem" in answer.text
    for value in given.values():
        assert isinstance(value, list) or value.strip() in answer.text
    assert scene.service.begun(HEAD) is None


async def test_a_message_is_judged_before_it_is_asked_for_and_bound(scene, desk):
    head = browser(desk, HEAD)
    ask(head, message=MESSAGE)
    page, cio = head.get("/requests/R-1").text, browser(desk, CIO)
    assert "/requests/R-1/message" in page and "benefits.example.gov" in page
    assert "enrolment for health insurance" in cio.get("/requests/R-1/message").text
    assert [event.act for event in scene.service.show_request(1).events][-1] == "read"
    assert "Content-Security-Policy" not in cio.get("/requests/R-1").text
    answer = send(head, "/requests/new/what", files={"file": b"%PDF-1.4 no message"}, subject="x", senders=SENDER)
    assert answer.status_code == 422 and "This file is no message" in answer.text


async def test_what_is_begun_is_there_at_the_next_sign_in_and_goes_when_thrown_away(scene, desk):
    send(browser(desk, HEAD), "/requests/new", agency="DOA", audience=["DOA"], users="40")
    later = browser(desk, HEAD)
    page = later.get("/requests")
    assert "Go on with what you began" in page.text and 'value="40"' in later.get("/requests/new").text
    resend(later, page, "/drop")
    assert "Go on with what you began" not in later.get("/requests").text and scene.service.begun(HEAD) is None


async def test_submitting_twice_is_one_request(scene, desk):
    head = browser(desk, HEAD)
    send(head, "/requests/new", agency="DOA", audience=["DOA"], users="240")
    send(head, "/requests/new/what", subject="Parking", senders=SENDER)
    send(head, "/requests/new/when", planned=PLANNED)
    page = head.get("/requests/new/check")
    answers = [resend(head, page, "/check") for _ in range(2)]
    assert {each.headers["location"] for each in answers} == {"/requests/R-1"}
    assert len(scene.service.requests().rows) == 1


async def test_an_answer_that_the_ledger_refuses_is_said_at_the_end(scene, desk):
    head = browser(desk, HEAD)
    answer = ask(head, planned="2026-11-20")
    assert answer.status_code == 422 and "which has passed" in answer.text


# -- deciding ----------------------------------------------------------------------------------------------------


async def test_a_decision_needs_what_it_needs_and_is_stale_where_it_changed(scene, desk):
    scene.ask(planned=None, exception=True, subject="")
    cio = browser(desk, CIO)
    assert send(cio, "/requests/R-1", "/decision", decision="deny", reason="no").status_code == 422
    page = cio.get("/requests/R-1")
    scene.service.ask_changes_of_request(1, DEPUTY, "whom?")
    scene.service.submit_again(1, scene.nothing_new(users=400), HEAD)
    answer = resend(cio, page, "/decision", decision="approve", until="2027-01-29")
    assert answer.status_code == 409 and "It has changed since you opened it" in answer.text
    assert "I have looked at what changed" in answer.text
    assert scene.service.show_request(1).request.state is RequestState.SUBMITTED


async def test_what_the_requester_answers_stands_where_it_is_decided(scene, desk):
    scene.ask()
    assert "says:" not in browser(desk, CIO).get("/requests/R-1").text
    scene.service.ask_changes_of_request(1, DEPUTY, "whom?")
    scene.service.submit_again(1, scene.nothing_new(users=200), HEAD, "only those who are enrolled")
    page = browser(desk, CIO).get("/requests/R-1").text
    card = page.partition('id="decide">')[2].partition('id="agrees">')[0]
    assert f"{HEAD} says: only those who are enrolled" in card.replace("</p>", "")


async def test_a_denial_is_appealed_once(scene, desk):
    scene.ask()
    deputy, head = browser(desk, DEPUTY), browser(desk, HEAD)
    send(deputy, "/requests/R-1", "/decision", decision="deny", reason="not now", category="timing")
    page = head.get("/requests/R-1")
    resend(head, page, "/again", appeal="yes")
    assert send(head, "/requests/new/check").status_code == 422  # an appeal needs a reason
    assert "R-1 is submitted" in told(head, send(head, "/requests/new/check", reason="it is the law"))
    assert 'name="decision"' not in deputy.get("/requests/R-1").text  # another decides
    assert 'name="decision"' in browser(desk, CIO).get("/requests/R-1").text


async def test_a_requester_withdraws_and_an_approver_revokes(scene, desk):
    scene.ask()
    scene.ask()
    head = browser(desk, HEAD)
    assert told(head, send(head, "/requests/R-1", "/withdraw")) == "R-1 is withdrawn."
    scene.service.approve_request(2, CIO)
    cio = browser(desk, CIO)
    answer = send(cio, "/requests/R-2", "/revoke")
    assert answer.status_code == 422, answer.headers["location"]
    answer = send(cio, "/requests/R-2", "/revoke", reason="a mistake")
    assert told(cio, answer) == "R-2 is revoked. Sent to 0 recipients, stopped for 0."


@pytest.mark.parametrize(
    ("who", "sees", "asks"),
    [(CIO, True, False), (DEPUTY, True, False), (HEAD, True, True), (OTHER, False, True), (AUDITOR, True, False),
     (SENDER, True, False), (NOBODY, False, False)],
)  # fmt: skip
async def test_who_sees_a_request_and_who_may_ask(scene, desk, who, sees, asks):
    scene.ask()
    client = browser(desk, who)
    assert client.get("/requests/R-1").status_code == (200 if sees else 404)
    assert ("/requests/R-1" in client.get("/requests").text) is sees
    assert client.get("/requests/new").status_code == (200 if asks else 403)
    assert client.get("/requests/R-9").status_code == 404


# -- may I? ------------------------------------------------------------------------------------------------------


async def test_anybody_asks_whether_a_message_may_be_sent_and_nothing_is_kept(scene, desk):
    client = browser(desk, NOBODY)
    ordinary = send(client, "/check", sender=NOBODY, addresses="a@doa.example.gov", subject="Lunch")
    assert "You may send this" in ordinary.text
    many = "\n".join(people(30))
    held = send(client, "/check", sender=NOBODY, addresses=many, subject="Open enrolment")
    assert "This needs approval" in held.text and "30 users" in held.text and many in held.text
    uploaded = send(client, "/check", files={"file": MESSAGE, "people": many.encode()}, sender=SENDER)
    assert "This needs approval" in uploaded.text
    assert scene.service.mailings().rows == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sender": "me", "addresses": "a@doa.example.gov"}, "Write the address that sends it"),
        ({"sender": NOBODY, "addresses": "nobody here"}, "Say whom it reaches"),
    ],
)
async def test_what_cannot_be_checked_says_what_is_missing(desk, given, words):
    answer = send(browser(desk, NOBODY), "/check", **given)
    assert answer.status_code == 422 and words in answer.text


async def test_a_file_that_is_too_large_is_told_so(desk):
    small = replace(desk, most_upload=10_000)
    answer = send(browser(small, NOBODY), "/check", files={"file": b"x" * 20_000}, sender=NOBODY)
    assert answer.status_code == 413 and "at most 10,000 octets" in answer.text


async def test_a_step_that_was_left_out_comes_first(desk):
    head = browser(desk, HEAD)
    for place, answers in (
        ("", {"agency": "DOA", "audience": ["DOA", "DPHHS"], "users": "240"}),
        ("/what", {"subject": "Parking", "senders": SENDER}),
        ("/when", {"planned": PLANNED}),
    ):
        for later in ("/rules", "/check"):
            assert head.get(f"/requests/new{later}").headers["location"] == f"/requests/new{place}"
        send(head, f"/requests/new{place}", **answers)
    page = head.get("/requests/new/rules").text
    assert "This mailing reaches 240 users and needs approval." in page and "1220.XS2 III.A" in page
    assert "cio@example.gov or deputy@example.gov" in page


@pytest.mark.parametrize("place", ["/check", "/requests/new", "/requests/new/what"])
async def test_files_of_strangers_are_not_kept_for_a_moment(desk, monkeypatch, place):
    async def kept(*_arguments):
        raise AssertionError("a file of a stranger")

    monkeypatch.setattr("gatekeeper.console.app.read_form", kept)
    client = browser(desk)
    answer = client.post(place, files={"file": b"x" * 100_000})
    assert answer.status_code == 303 and answer.headers["location"] == "/signin"
    assert browser(replace(desk, most_upload=10_000)).post(place, files={"file": b"x" * 20_000}).status_code == 413


async def test_without_memory_somebody_is_told_to_try_again(desk, monkeypatch, caplog):
    client = browser(desk, HEAD)

    def full(*_arguments, **_more):
        raise MemoryError

    monkeypatch.setattr("gatekeeper.console.pages.may_i.explain_message", full)
    answer = send(client, "/check", addresses=SENDER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10") and "--console-memory" in caplog.text
    monkeypatch.setattr("gatekeeper.console.app.read_form", full)
    assert client.post("/check").status_code == 503
