"""The console by HTTP: who gets in, who sees what, what a form does, what every answer has."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from gatekeeper.console.app import make_app
from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import FRAME_POLICY, POLICY
from gatekeeper.console.pages.common import ANYBODY
from gatekeeper.console.rendering import STATIC
from gatekeeper.console.routes import ROUTES
from gatekeeper.ledger.signins import Signins
from gatekeeper.store import StoreError
from gatekeeper.store import signins as stored
from tests.ledger.scene import CIO, DEPUTY, HEAD, RULES, SENDER, people

SMALL = RULES.replace("over: 2000", "over: 20").replace("over: 200}", "over: 10}").replace(
    "people:\n", "people:\n  other@dphhs.example.gov: {roles: [requester], of: [DPHHS]}\n"
    "  audit@example.gov: {roles: [auditor]}\n"
)  # fmt: skip
URL = "http://gate.example.gov:8025"
AUDITOR, OTHER, NOBODY = "audit@example.gov", "other@dphhs.example.gov", "somebody@doa.example.gov"
HOSTILE = b"<script>alert(1)</script><img src=x onerror=alert(2)>\n\nhello\n"


def browser(desk, address=None):
    """A browser; of somebody who is signed in, where named."""
    client = TestClient(make_app(desk), base_url=URL, follow_redirects=False)
    if address:
        place = f"/signin/start/{desk.signins.make_link(address, 60)}"
        assert client.post(place).status_code == 303
    return client


def form_of(page):
    """The hidden fields of the page's last form, as a browser would send them."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))


async def hold(scene, subject="Open enrolment", **more):
    assert "Held" in (await scene.send(people(30), subject=subject, **more)).text


# -- who gets in -------------------------------------------------------------------------------------------------


async def test_a_link_signs_in_once_and_looking_at_it_does_not(desk):
    place = f"/signin/start/{desk.signins.make_link(CIO, 60)}"
    first, second = browser(desk), browser(desk)
    for _ in range(3):
        assert CIO in first.get(place).text and first.head(place).status_code == 200
    answer = first.post(place)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and answer.headers["location"] == "/"
    assert second.post(place).status_code == 404 and second.get(place).status_code == 404
    assert first.get("/waiting").status_code == 200 and second.get("/waiting").status_code == 303


async def test_by_tls_the_cookie_is_one_that_only_this_host_sets(scene):
    desk = Desk(lambda: scene.service, Signins(scene.store, clock=scene.clock), "https://gate.example.gov")
    client = TestClient(make_app(desk), base_url="https://gate.example.gov", follow_redirects=False)
    answer = client.post(f"/signin/start/{desk.signins.make_link(CIO, 60)}")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-gatekeeper=") and "Secure" in cookie and "Path=/" in cookie
    assert "max-age" in answer.headers["strict-transport-security"]


async def test_a_session_ends_by_itself_at_once_when_ended_and_a_link_when_its_time_is_over(scene, desk):
    late = desk.signins.make_link(CIO, 60)
    scene.now += 61
    assert browser(desk).post(f"/signin/start/{late}").status_code == 404
    idle, busy = browser(desk, CIO), browser(desk, CIO)
    for _ in range(24):
        scene.now += 1_700
        assert busy.get("/account").status_code == 200
    assert idle.get("/account").status_code == 303  # unused for half an hour
    scene.now += 4_000
    assert busy.get("/account").status_code == 303  # twelve hours after it began


async def test_signing_out_ends_the_session_wherever_its_cookie_is(desk):
    client = browser(desk, CIO)
    kept = dict(client.cookies)
    page = client.get("/account")
    assert client.post("/signout", data={"csrf": "0" * 64}).status_code == 403
    assert client.post("/signout", data=form_of(page)).status_code == 303
    again = browser(desk)
    again.cookies.update(kept)
    assert again.get("/account").status_code == 303


async def test_one_ends_ones_own_sessions_and_nobody_elses(scene, desk):
    first, second, other = browser(desk, CIO), browser(desk, CIO), browser(desk, DEPUTY)
    foreign = scene.store.call(partial(stored.sessions_of, address=DEPUTY))[0].token.hex()
    page = first.get("/account")
    assert page.text.count("/end") == 2
    assert first.post(f"/account/sessions/{foreign}/end", data=form_of(page)).status_code == 404
    own = stored.hashed(first.cookies["gatekeeper"]).hex()
    places = re.findall(r'action="(/account/sessions/\w+/end)"', page.text)
    for place in sorted(places, key=lambda place: own in place):  # the one that is used here last
        first.post(place, data=form_of(page))
    assert [each.get("/account").status_code for each in (first, second, other)] == [303, 303, 200]


async def test_the_database_has_no_token(scene, desk):
    client = browser(desk, CIO)
    (session,) = scene.store.call(partial(stored.sessions_of, address=CIO))
    assert client.cookies["gatekeeper"].encode() not in session.token and len(session.token) == 32


async def test_every_route_stands_in_the_docs_with_who_may_open_it():
    page = (Path(__file__).parents[2] / "docs" / "console-setup.md").read_text()
    for route in ROUTES:
        assert f"| `{route.path}` | {route.method} | {route.who} | {route.about} |" in page


# -- what every answer has ---------------------------------------------------------------------------------------


async def test_every_answer_has_the_headers_that_keep_other_sites_out(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    while desk.streams.begin(CIO):  # as many as there may be: a further one ends with 429
        pass
    for route in ROUTES:
        place = re.sub(r"{\w+:int}", "1", route.path)
        answer = client.request(route.method, re.sub(r"{\w+}", "x", place))
        policy = FRAME_POLICY if "/messages/" in place and answer.status_code == 200 else POLICY
        assert answer.headers["content-security-policy"] == policy, place
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.status_code < 500, place
        assert answer.headers["server-timing"].startswith("app;dur=") and answer.headers["x-request-id"], place
    assert client.get("/nowhere").status_code == 404 and client.post("/mailings").status_code == 405


async def test_another_host_and_another_site_get_nothing_done(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    given = form_of(client.get("/mailings/M-1")) | {"decision": "approve"}
    assert client.get("/waiting", headers={"host": "evil.example.com"}).status_code == 421
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
    ):
        assert client.post("/mailings/M-1/decision", data=given, headers=headers).status_code == 403
    for csrf in ({}, {"csrf": ""}, {"csrf": form_of(browser(desk, DEPUTY).get("/account"))["csrf"]}):
        answer = client.post("/mailings/M-1/decision", data={**given, "csrf": "", **csrf})
        assert answer.status_code == 403, csrf
    assert scene.mailing().state == "held"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://gate.example.gov:8025", "The console has to have an address that begins with https:"),
        ("http://10.0.0.1:8025", "The console has to have an address that begins with https:"),
        ("https://gate.example.gov", "another site asked for this"),
        ("http://127.0.0.1:8025", "another site asked for this"),
        ("http://localhost:8025", "another site asked for this"),
    ],
)
def test_by_plain_http_who_sends_a_form_is_told_why_it_is_refused(url, told):
    """There browsers say nothing of where a form comes from but the origin "null"; a link signs in by a form, too."""
    desk = Desk(None, None, url)
    client = TestClient(make_app(desk), base_url=url)
    answer = client.post("/signin/start/x", headers={"origin": "null"})
    assert answer.status_code == 403 and told in answer.text
    foreign = client.post("/signin/start/x", headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403 and "another site asked for this" in foreign.text


async def test_a_number_that_no_row_can_have_is_not_here(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    given = form_of(client.get("/account")) | {"key": "k", "seen": "s", "decision": "approve", "reason": "r"}
    for route in ROUTES:
        if ":int}" in route.path:
            place = re.sub(r"{\w+:int}", "9" * 20, route.path)
            assert client.request(route.method, place, data=given).status_code == 404, place


async def test_what_no_database_keeps_is_left_out_of_forms(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    given = form_of(client.get("/mailings/M-1")) | {"decision": "deny", "category": "other"}
    answer = client.post("/mailings/M-1/decision", data={**given, "seen": f"\0{given['seen']}", "reason": "no\0 \0"})
    assert answer.status_code == 303 and scene.mailing().state == "denied"
    halves = {"content-type": "multipart/form-data; boundary=b; charset=unicode_escape"}
    content = b'--b\r\nContent-Disposition: form-data; name="sender"\r\n\r\n\\ud800\\x00\r\n--b--\r\n'
    csrf = b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n' + given["csrf"].encode() + b"\r\n"
    answer = client.post("/check", content=csrf + content, headers=halves)
    assert answer.status_code == 422 and "Write the address that sends it" in answer.text


async def test_without_the_database_each_page_says_to_try_again(scene, desk, monkeypatch):
    await hold(scene)
    client = browser(desk, CIO)

    def gone(self, function):
        raise StoreError("database: gone")

    monkeypatch.setattr(type(scene.store.writer), "read", gone)
    monkeypatch.setattr(type(scene.store), "call", gone)
    for route in ROUTES:
        place = re.sub(r"{\w+(:int)?}", "1", route.path)
        answer = client.request(route.method, place)
        wants_none = route.path in ("/livez", "/signin", "/accessibility") or route.path.startswith("/static")
        assert wants_none or (answer.status_code, answer.headers["retry-after"]) == (503, "10"), place
    assert client.get("/livez").status_code == 200
    assert client.get("/nowhere").status_code == 503  # its page says who is signed in


async def test_a_page_is_made_under_one_ruleset(scene, desk):
    await hold(scene)
    read = []
    counting = replace(desk, service=lambda: read.append(1) or scene.service)
    client = browser(counting, CIO)
    for place in ("/waiting", "/mailings", "/mailings/M-1", "/account", "/nowhere", "/livez", *STATIC):
        read.clear()
        client.get(place)
        assert len(read) == (0 if place == "/livez" or place in STATIC else 1), place


class Inline(HTMLParser):
    """Scripts, styles and handlers that stand in a page itself."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found += [tag] * (tag == "style" or (tag == "script" and "src" not in dict(attributes)))
        self.found += [name for name, value in attributes if name == "style" or name.startswith("on")]
        self.found += [value for _, value in attributes if (value or "").startswith("javascript:")]


async def test_no_page_runs_or_loads_what_it_should_not(scene, desk):
    """Nothing inline: the policy would stop it, and so a page must not need it."""
    await hold(scene, subject="<script>alert(1)</script>", text=HOSTILE)
    client = browser(desk, CIO)
    for place in ("/waiting", "/mailings", "/mailings/M-1", "/mailings/M-1?view=text", "/account", "/accessibility"):
        assert Inline(client.get(place).text).found == [], place


# -- who sees what -----------------------------------------------------------------------------------------------

FACTS, CONTENT, NONE = "facts", "content", "none"
MATRIX = [  # who, what they see of a mailing of DOA that is held, whether they may decide it
    (None, NONE, False),
    (CIO, CONTENT, True),
    (DEPUTY, CONTENT, True),
    (HEAD, FACTS, False),
    (OTHER, NONE, False),
    (AUDITOR, FACTS, False),
    (SENDER, CONTENT, False),
    (NOBODY, NONE, False),
]


@pytest.mark.parametrize(("who", "sees", "may_decide"), MATRIX)
async def test_who_may_see_and_decide(scene, desk, who, sees, may_decide):
    await hold(scene)
    client = browser(desk, who)
    shown = client.get("/mailings/M-1")
    assert shown.status_code == (303 if who is None else 404 if sees == NONE else 200)
    assert client.get("/mailings/M-1/messages/1").status_code == (
        303 if who is None else 200 if sees == CONTENT else 404
    )
    assert ("Dear colleagues" in shown.text) is False  # it stands in the frame alone
    assert ('name="decision"' in shown.text) is may_decide
    assert ("/mailings/M-1" in client.get("/mailings").text) is (who is not None and sees != NONE)
    if who and not may_decide:
        seen = scene.service.show(1).mailing.version
        given = form_of(client.get("/account")) | {"decision": "approve", "key": "k", "seen": seen}
        answer = client.post("/mailings/M-1/decision", data=given)
        assert answer.status_code == (404 if sees == NONE else 403) and not (sees == NONE and CIO in answer.text)
    assert scene.mailing().state == "held"


@pytest.mark.parametrize("route", [each for each in ROUTES if each.who is not ANYBODY], ids=lambda each: each.path)
async def test_nobody_gets_past_the_door(desk, route):
    place = re.sub(r"{\w+:int}", "1", route.path)
    answer = browser(desk).request(route.method, re.sub(r"{\w+}", "x", place))
    assert answer.status_code == 303 and answer.headers["location"].partition("?")[0] == "/signin"


async def test_reading_is_noted_before_it_is_shown_and_once_a_session(scene, desk):
    await hold(scene)
    for _ in range(2):
        client = browser(desk, CIO)
        for place in ("/mailings/M-1", "/mailings/M-1/messages/1", "/mailings/M-1?view=text"):
            client.get(place)
    read = [event for event in scene.service.show(1).events if event.act == "read"]
    assert [event.by for event in read] == [CIO, CIO]
    browser(desk, AUDITOR).get("/mailings/M-1")
    assert len([event for event in scene.service.show(1).events if event.act == "read"]) == 2


# -- what the forms do -------------------------------------------------------------------------------------------


def decide(client, **given):
    page = client.get("/mailings/M-1")
    return client.post("/mailings/M-1/decision", data=form_of(page) | given)


async def test_an_approval_sends_it_and_says_so_once(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    assert "M-1" in client.get("/waiting").text and "30 users get it now" in client.get("/mailings/M-1").text
    answer = decide(client, decision="approve", reason="fine")
    assert answer.status_code == 303 and answer.headers["location"] == "/mailings/M-1"
    assert 'role="status">M-1 is released.' in client.get("/mailings/M-1").text
    assert "is released." not in client.get("/mailings/M-1").text
    assert scene.mailing().state == "released" and len(scene.releases()) == 1
    assert "Nothing waits for you." in client.get("/waiting").text


async def test_numbers_in_a_rules_sentence_are_written_as_all_others(scene, desk):
    await scene.send(people(2_400))
    assert "reaches 2400 users" in scene.mailing().reasons[0].text  # as replies have it
    page = browser(desk, CIO).get("/mailings/M-1").text
    assert "This mailing reaches 2,400 users" in page and "2400 users" not in page
    assert "Nothing is done before you confirm." in page  # above the buttons at a phone's foot


async def test_whom_the_request_did_not_declare_and_who_got_another_this_week(scene, desk):
    await hold(scene, subject="Parking is closed", text=b"the lot behind the annex closes while they dig for pipes\n")
    scene.service.approve(1, CIO, "")
    scene.ask(audiences=("DOA",), users=20, planned=date(2026, 11, 30))
    await scene.send(people(40, start=10))
    page = browser(desk, CIO).get("/mailings/M-2").text
    whom = re.sub(r"<[^>]+>", " ", page.partition('id="whom">')[2].partition("</table>")[0])
    assert re.search(r"Already reached by others this week +20\b", whom), whom
    assert re.search(r"Outside the declared audience +20 +R-1 *: +Health", whom), whom
    assert "/mailings/M-2/recipients?agency=DPHHS" in page


async def test_the_same_form_twice_is_one_act(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    given = form_of(client.get("/mailings/M-1")) | {"decision": "deny", "reason": "no", "category": "timing"}
    answers = [client.post("/mailings/M-1/decision", data=given) for _ in range(2)]
    assert [each.status_code for each in answers] == [303, 303]
    assert [event.act for event in scene.service.show(1).events].count("denied") == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "Choose what to do"),
        ({"decision": "deny", "category": "other"}, "Say why"),
        ({"decision": "deny", "reason": "no"}, "Choose a category"),
        ({"decision": "deny", "reason": "no", "category": "whim"}, "Choose a category"),
        ({"decision": "changes", "reason": "  "}, "Say why"),
        ({"decision": "deny", "reason": "x" * 2_001}, "Make the reason shorter"),
        ({"decision": "approve", "max_users": "many"}, "Write the number of users in digits"),
        ({"decision": "approve", "until": "soon"}, "Write the day as year, month and day"),
        ({"decision": "approve", "binding": "any"}, "Choose how the content may vary"),
    ],
)
async def test_a_form_that_is_wrong_says_where_and_keeps_what_was_typed(scene, desk, given, told):
    await hold(scene)
    answer = decide(browser(desk, CIO), **given)
    assert answer.status_code == 422 and told in answer.text and "There is a problem" in answer.text
    for value in given.values():
        assert value.strip() in answer.text or value.startswith("x") or value == "whim"  # a choice that is none
    assert scene.mailing().state == "held"


async def test_terms_bind_as_they_do_by_command(scene, desk):
    await hold(scene)
    decide(browser(desk, CIO), decision="approve", max_users="40", until="2026-12-01", uses="2", binding="template")
    permit = scene.permit()
    assert (permit.ceiling, permit.uses, permit.binding) == (40, 2, "template")
    assert date.fromtimestamp(permit.until) in (date(2026, 12, 1), date(2026, 12, 2))


async def test_what_changed_since_the_page_was_opened_is_told_and_has_to_be_looked_at(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    old = form_of(client.get("/mailings/M-1")) | {"decision": "approve"}
    await hold(scene, text=b"quite another text than the one that was there before, and it says much more\n")
    stale = client.post("/mailings/M-1/decision", data=old)
    assert stale.status_code == 409 and "It has changed since you opened it" in stale.text
    for _ in range(2):
        stale = client.post("/mailings/M-1/decision", data=form_of(stale) | {"decision": "approve"})
        assert stale.status_code == 422 and "Look at what has changed" in stale.text
    assert scene.mailing().state == "held"
    looked = form_of(stale) | {"decision": "approve", "looked": "yes"}
    assert client.post("/mailings/M-1/decision", data=looked).status_code == 303
    assert scene.mailing().state == "released"


async def test_what_comes_while_a_form_is_mended_is_told_as_well(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    old = form_of(client.get("/mailings/M-1")) | {"decision": "approve", "max_users": "many"}
    await hold(scene, text=b"quite another text than the one that was there before, and it says much more\n")
    wrong = client.post("/mailings/M-1/decision", data=old)
    assert wrong.status_code == 422
    mended = client.post("/mailings/M-1/decision", data=form_of(wrong) | {"decision": "approve"})
    assert mended.status_code == 409 and "It has changed since you opened it" in mended.text
    assert scene.mailing().state == "held"


@pytest.mark.parametrize("left_out", ["seen", "key"])
async def test_a_decision_says_what_was_looked_at(scene, desk, left_out):
    await hold(scene)
    client = browser(desk, CIO)
    given = form_of(client.get("/mailings/M-1")) | {"decision": "approve", left_out: ""}
    answer = client.post("/mailings/M-1/decision", data=given)
    assert answer.status_code == 422 and "open the page again" in answer.text
    assert scene.mailing().state == "held"


async def test_a_form_of_one_mailing_is_no_repetition_of_anothers(scene, desk):
    await hold(scene)
    await hold(scene, subject="Quite another", text=b"about something else altogether\n")
    client = browser(desk, CIO)
    for number in (1, 2):
        form = form_of(client.get(f"/mailings/M-{number}")) | {"decision": "approve", "key": "same"}
        assert client.post(f"/mailings/M-{number}/decision", data=form).status_code == 303
    assert [scene.service.show(number).mailing.state for number in (1, 2)] == ["released", "released"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"max_users": "9" * 40}, "Write the number of users in digits"),
        ({"uses": "9" * 9_000}, "Write the number of mailings in digits"),
        ({"until": "9999-12-31"}, ""),
        ({"reason": "\x00 a\x1b[2J"}, ""),
    ],
    ids=["users", "uses", "until", "reason"],
)
async def test_hostile_values_are_no_fault(scene, desk, given, told):
    await hold(scene)
    answer = decide(browser(desk, CIO), decision="approve", **given)
    assert answer.status_code < 500 and told in answer.text


async def test_a_form_that_is_too_large_is_told_so_and_another_kind_is_not_read(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    given = form_of(client.get("/mailings/M-1")) | {"decision": "deny", "category": "other"}
    answer = client.post("/mailings/M-1/decision", data={**given, "reason": "x" * 70_000})
    assert answer.status_code == 413 and "too large" in answer.text
    for headers, content in (({"content-type": "application/json"}, b'{"decision": "approve"}'), ({}, b"\xff&=&%zz")):
        assert client.post("/mailings/M-1/decision", content=content, headers=headers).status_code == 403
    assert client.post("/mailings/M-1/decision", files={"csrf": b"x"}).status_code == 403
    assert scene.mailing().state == "held"


async def test_a_sender_takes_back_ones_own(scene, desk):
    await hold(scene)
    client = browser(desk, SENDER)
    page = client.get("/mailings/M-1")
    assert client.post("/mailings/M-1/withdraw", data=form_of(page)).status_code == 303
    assert scene.mailing().state == "withdrawn"


async def test_whoever_loses_the_role_is_out_at_the_next_click(scene, desk):
    await hold(scene)
    client = browser(desk, DEPUTY)
    given = form_of(client.get("/mailings/M-1")) | {"decision": "approve"}
    rules = scene.active_policy.path
    rules.write_text(rules.read_text().replace("  deputy@example.gov: {roles: [approver, admin]}\n", ""))
    scene.active_policy.reload()
    assert client.post("/mailings/M-1/decision", data=given).status_code == 303
    assert client.get("/mailings/M-1").status_code == 303


async def test_each_sender_agreed_and_needed_are_shown(scene, desk):
    await hold(scene)
    text = browser(desk, CIO).get("/mailings/M-1").text
    for words in ("Why it is held", "Who gets it", "The message", "History", "If nobody decides", "1220.XS2 III.A"):
        assert words in text
    assert "Administration" in text and '<iframe sandbox=""' in text
