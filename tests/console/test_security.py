"""What keeps strangers and hostile words out, of every route: headers, foreign forms, payloads, rates, bare HTTP."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Thread

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from gatekeeper.console.app import make_app
from gatekeeper.console.desk import Desk, Tries
from gatekeeper.console.guard import FRAME_POLICY
from gatekeeper.console.pages.common import ANYBODY
from gatekeeper.console.rates import Rates
from gatekeeper.console.routes import ROUTES
from gatekeeper.ledger.signins import Signins
from gatekeeper.lifecycle import RecipientState
from gatekeeper.store import Database, Store, jobs
from gatekeeper.store.db.schema import metadata
from tests.console.browsing import served
from tests.console.test_matrix import GIVEN, place_of, signed_in
from tests.console.test_matrix import RULES as WITH_DELEGATES
from tests.console.test_pages import SMALL, URL, Inline, browser, form_of, hold
from tests.ledger.scene import CIO, DEPUTY, HEAD, SENDER, TODAY, Scene
from tests.store.databases import lay_out, memory

EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script><svg/onload=alert(3)>{{7*7}}'
RULES = (
    SMALL.replace("title: Mass electronic mail", f"title: 'Mass {EVIL}'")
    .replace(
        "say: This mailing reaches {users} users and needs approval.",
        "say: '" + EVIL.replace("{", "{{").replace("}", "}}") + " {users} users.'",
    )
    .replace("{name: Administration,", f"{{name: '{EVIL}',", 1)
    .replace("roles: [approver, admin]", "roles: [approver, admin]")
)
PAGES = [route for route in ROUTES if route.method == "GET"]
FORMS = [route for route in ROUTES if route.method == "POST" and route.who is not ANYBODY]
# What looking writes: that somebody has read, and the chain of such acts; when they last clicked; what they were shown.
OF_LOOKING = {"events", "matter_people", "audit_blocks", "audit_chains", "console_sessions", "seen_states"}


def own_desk(scene, **more):
    """A desk at which many may sign in within a minute."""
    tries = Tries(networks=Rates(1_000), accounts=Rates(1_000))
    return Desk(lambda: scene.service, Signins(scene.store, clock=scene.clock), URL, tries=tries, **more)


@pytest.fixture
def store():
    """A store on SQLite: what is tried here is the console's, and the same on any database."""
    with TemporaryDirectory(dir=memory(), ignore_cleanup_errors=True) as folder:
        opened = Store(Database(lay_out(Path(folder) / "gate.db"), 5))
        opened.open()
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A scene in which every word that mail, rules and people write is a payload, and its desk."""
    with TemporaryDirectory(dir=memory(), ignore_cleanup_errors=True) as folder:
        store = Store(Database(lay_out(Path(folder) / "gate.db"), 5))
        store.open()
        scene = Scene(store, tmp_path_factory.mktemp("rules"), RULES)
        asyncio.run(fill(scene))
        yield scene, own_desk(scene, contents=Rates(10_000))
        store.close()


async def fill(scene):
    """Mailings that are held and sent, requests, permits, a suspension; of all of them the words are payloads."""
    service = scene.service
    await hold(scene, subject=EVIL, text=EVIL.encode() + b"\n")
    await hold(scene, subject=f"Another {EVIL}", text=b"the lot behind the annex closes while they dig for pipes\n")
    service.approve(2, CIO, EVIL)
    (job,) = [
        each for each in scene.store.call(partial(jobs.lease, now=scene.now, seconds=9, limit=9)) if each.batch_id
    ]
    answers = {0: (RecipientState.REFUSED, f"550 5.1.1 {EVIL}"), 1: (RecipientState.SENT, f"250 {EVIL}")}
    scene.store.call(partial(jobs.record_answers, batch_id=job.batch_id, answers=answers, now=scene.now))
    scene.store.call(partial(jobs.put_off, job=job, due=scene.now + 60, error=f"451 {EVIL}"))
    for number in (1, 2):
        scene.ask(subject=f"{EVIL} {number}", purpose=EVIL, reason=EVIL, planned=TODAY)
    service.approve_request(2, CIO, EVIL)
    service.declare_emergency("DOA", HEAD, EVIL, 4)
    service.suspend("group", EVIL, CIO, EVIL, TODAY.replace(year=2027))
    service.change_mode("observe", DEPUTY, EVIL, 3_600)


def tables(scene):
    """All rows of all tables, as text."""
    return scene.store.call(
        lambda connection: {
            table.name: sorted(map(repr, connection.execute(select(table)))) for table in metadata.sorted_tables
        }
    )


# -- headers -----------------------------------------------------------------------------------------------------

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def test_every_answer_of_every_route_has_the_headers_and_by_tls_one_more(hostile):
    _, desk = hostile
    secure = replace(desk, url="https://gate.example.gov")
    for each, address in ((desk, URL), (secure, "https://gate.example.gov")):
        client = TestClient(make_app(each), base_url=address, follow_redirects=False)
        for route in ROUTES:
            answer = client.request(route.method, place_of(route))
            assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS, route.path
            kept = "immutable" in answer.headers["cache-control"] or answer.headers["cache-control"] == "no-store"
            assert kept and (each is secure) == ("strict-transport-security" in answer.headers), route.path


# -- forms of other sites, and looking ---------------------------------------------------------------------------


@pytest.mark.parametrize("route", FORMS, ids=lambda route: route.path)
def test_no_form_is_taken_that_was_not_made_for_whoever_sends_it(hostile, route):
    _, desk = hostile
    client, csrf = signed_in(desk, DEPUTY)
    others = form_of(browser(desk, CIO).get("/account"))["csrf"]
    whole = {"key": "k", **GIVEN.get(route.path, {})}
    for given in ({}, {"csrf": ""}, {"csrf": others}, {"csrf": csrf[:-1]}):
        assert client.post(place_of(route), data=whole | given).status_code == 403, given
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
    ):
        answer = client.post(place_of(route), data=whole | {"csrf": csrf}, headers=headers)
        assert answer.status_code == 403 and "another site" in answer.text
    assert client.get("/account").status_code == 200  # no form has signed them out


def test_looking_at_every_page_changes_nothing_but_that_it_was_looked_at(hostile, monkeypatch):
    scene, desk = hostile
    clients = [browser(desk, who) for who in (CIO, DEPUTY, HEAD)]
    calls = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: calls.append(address))
    before = tables(scene)
    for client in clients:
        for route in PAGES:
            if route.path != "/events":
                client.get(place_of(route))
    for route in PAGES:
        clients[0].head(place_of(route))
    after = tables(scene)
    assert {name for name in before if before[name] != after[name]} <= OF_LOOKING
    fresh = set(after["events"]) - set(before["events"])
    assert fresh and all("'read'" in each or "'downloaded'" in each for each in fresh)
    assert calls == [], "the console calls nobody for a page"


# -- payloads ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [CIO, DEPUTY, HEAD, SENDER])
def test_no_payload_stands_in_any_page_as_it_came(hostile, who):
    _, desk = hostile
    client, shown = browser(desk, who), 0
    more = ("/mailings/M-2", "/mailings/M-2/delivery", "/mailings/M-1?view=text", "/requests/R-2", "/permits/P-2")
    for place in [*(place_of(route) for route in PAGES if route.path != "/events"), *more, f"/mailings?q={EVIL}"]:
        answer = client.get(place)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        if answer.headers["content-security-policy"] == FRAME_POLICY:
            assert "<script" not in answer.text and "<svg" not in answer.text and "<img src=x" not in answer.text
            continue
        assert Inline(answer.text).found == [], place
        assert "<img" not in answer.text and "<svg/" not in answer.text
        shown += "&lt;script&gt;alert(2)" in answer.text
    assert shown >= 3


def test_what_people_wrote_into_a_form_that_is_wrong_comes_back_as_text(hostile):
    _, desk = hostile
    client, csrf = signed_in(desk, CIO)
    for route in FORMS:
        names = ("reason", "subject", "sender", "name", "whom", "until", "planned", "address", "addresses", "max_users")
        answer = client.post(place_of(route), data={**dict.fromkeys(names, EVIL), "csrf": csrf})
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert Inline(answer.text).found == [] and "<img" not in answer.text, route.path
        if route.path == "/signout":
            client, csrf = signed_in(desk, CIO)


# -- sessions ----------------------------------------------------------------------------------------------------


async def test_a_cookie_that_somebody_planted_is_no_session_and_each_sign_in_makes_a_new_one(scene, desk):
    client, tokens = browser(desk), ["planted"]
    for _ in range(2):
        client.cookies.clear()
        client.cookies.set("gatekeeper", tokens[-1])
        answer = client.post(f"/signin/start/{desk.signins.make_link(CIO, 60)}")
        tokens.append(re.match("gatekeeper=([^;]+)", answer.headers["set-cookie"])[1])
    assert len(set(tokens)) == 3
    stranger = browser(desk)
    stranger.cookies.set("gatekeeper", "planted")
    assert stranger.get("/account").status_code == 303


# -- one's own, and two at once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [{"sender": CIO}, {"sender": SENDER, "login": CIO}], ids=["sender", "login"])
async def test_nobody_decides_their_own_by_whatever_name_they_sent_it(scene, desk, own):
    await hold(scene, **own)
    client = browser(desk, CIO)
    given = form_of(client.get("/account")) | {"key": "k", "seen": scene.mailing().version, "decision": "approve"}
    answer = client.post("/mailings/M-1/decision", data=given)
    assert answer.status_code == 403 and "nobody decides their own" in answer.text
    given = {name: value for name, value in given.items() if name != "decision"} | {"act": "deny", "reason": "r"}
    several = client.post("/waiting", data=given | {"category": "other", "pick.M-1": "v"})
    assert "0 of 1 done." in client.get(several.headers["location"]).text
    assert scene.mailing().state == "held"


async def test_nobody_decides_for_somebody_else_what_is_that_persons_own(store, tmp_path):
    scene = Scene(store, tmp_path, WITH_DELEGATES)
    desk = own_desk(scene)
    await hold(scene, sender=CIO)
    for who, status in (("stand.in@example.gov", 404), (DEPUTY, 303)):  # the delegate of an approver sees it not at all
        client, csrf = signed_in(desk, who)
        given = {"csrf": csrf, "key": "k", "seen": scene.mailing().version, "decision": "deny", "reason": "r"}
        answer = client.post("/mailings/M-1/decision", data=given | {"category": "other"})
        assert answer.status_code == status, who


async def test_of_two_who_decide_at_once_one_does(scene, desk):
    await hold(scene)
    forms = []
    for who, decision in ((CIO, "approve"), (DEPUTY, "deny")):
        client = browser(desk, who)
        given = form_of(client.get("/mailings/M-1")) | {"decision": decision, "reason": "r", "category": "other"}
        forms.append((client, given))
    answers, start = [], Barrier(2)

    def decide(client, given):
        start.wait()
        answers.append(client.post("/mailings/M-1/decision", data=given).status_code)

    threads = [Thread(target=decide, args=each) for each in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    acts = [event.act for event in scene.service.show(1).events]
    assert sorted(answers) == [303, 409] and acts.count("approved") + acts.count("denied") == 1
    assert len(scene.releases()) == acts.count("approved")


# -- rates, hosts, bare HTTP -------------------------------------------------------------------------------------


async def test_sixty_contents_a_minute_and_then_429(scene, desk):
    await hold(scene)
    assert desk.contents.most == 60
    desk = replace(desk, contents=Rates(6))
    client = browser(desk, CIO)
    places = (
        "/mailings/M-1/messages/1",
        "/mailings/M-1/recipients",
        "/mailings/M-1/recipients.csv",
        "/mailings/M-1?view=text",
    )
    for number in range(6):
        assert client.get(places[number % 4]).status_code == 200
    for place in places:
        answer = client.get(place)
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 60
    assert client.get("/mailings/M-1").status_code == 200 and browser(desk, DEPUTY).get(places[0]).status_code == 200


async def test_what_a_stranger_says_of_host_and_client_is_not_believed(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    forged = {"x-forwarded-host": "evil.example", "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https"}
    forged |= {"forwarded": "host=evil.example;for=127.0.0.1", "x-original-url": "/people", "x-rewrite-url": "/people"}
    for place in ("/", "/waiting", "/mailings/M-1", "/nowhere"):
        plain, answer = client.get(place), client.get(place, headers=forged)
        assert answer.status_code == plain.status_code and "evil.example" not in answer.text
        assert answer.headers.get("location") == plain.headers.get("location")


HOST = f"Host: {URL.removeprefix('http://')}\r\n"
BARE = {
    "two lengths": f"POST /check HTTP/1.1\r\n{HOST}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    "a length and chunks": (
        f"POST /check HTTP/1.1\r\n{HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "chunks that are none": f"POST /check HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "an odd coding": f"POST /check HTTP/1.1\r\n{HOST}Transfer-Encoding: xchunked\r\n\r\n",
    "a large header": f"GET /livez HTTP/1.1\r\n{HOST}X-Long: {'x' * 70_000}\r\n\r\n",
    "dots": f"GET /static/../../etc/passwd HTTP/1.1\r\n{HOST}\r\n",
    "dots in code": f"GET /static/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n{HOST}\r\n",
    "a NUL": f"GET /mailings/M-1%00 HTTP/1.1\r\n{HOST}\r\n",
    "a bare NUL": f"GET /mailings/\0 HTTP/1.1\r\n{HOST}\r\n",
    "a long query": f"GET /mailings?q={'a' * 50_000} HTTP/1.1\r\n{HOST}\r\n",
    "no host": "GET /livez HTTP/1.1\r\n\r\n",
    "two hosts": f"GET /livez HTTP/1.1\r\n{HOST}Host: evil.example\r\n\r\n",
    "a whole address": f"GET http://evil.example/livez HTTP/1.1\r\n{HOST}\r\n",
    "lines that fold": f"GET /livez HTTP/1.1\r\n{HOST}X-Fold: a\r\n b\r\n\r\n",
    "bare line ends": f"GET /livez HTTP/1.1\n{HOST}\n",
    "no HTTP": "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" * 20,
}


def test_bare_http_is_answered_and_is_no_fault(hostile):
    _, desk = hostile
    with served(desk) as own:
        host = own.host
        place = ("127.0.0.1", int(host.partition(":")[2]))
        for name, octets in BARE.items():
            answer = spoken(place, octets.replace(HOST, f"Host: {host}\r\n"))
            status = re.match(r"HTTP/1.1 (\d{3})", answer)
            assert (status is None and not answer) or int(status[1]) < 500, (name, answer[:200])
            assert "root:" not in answer, name
        slow = [socket.create_connection(place, timeout=10) for _ in range(20)]
        for each in slow:  # bodies that never come keep nobody else waiting
            each.sendall(f"POST /signin/password HTTP/1.1\r\nHost: {host}\r\nContent-Length: 60000\r\n\r\na".encode())
        assert "200 OK" in spoken(place, f"GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        for each in slow:
            each.close()


def spoken(place, octets):
    """What a server answers to octets, as far as the end of the header; "" where it only closes."""
    with socket.create_connection(place, timeout=5) as line:
        line.sendall(octets.encode("latin-1"))
        found = b""
        while b"\r\n\r\n" not in found and (more := line.recv(65_536)):
            found += more
    return found.decode("latin-1")


# -- the log, and who goes away ----------------------------------------------------------------------------------


async def test_no_secret_and_no_text_of_a_message_stands_in_the_log(scene, desk, caplog):
    caplog.set_level(logging.DEBUG)
    await hold(scene, text=b"Something that only the reader is to know: heliotrope.\n")
    client, csrf = signed_in(desk, CIO)
    for route in PAGES:
        if route.path != "/events":
            client.get(place_of(route))
    client.get("/mailings/M-1?view=text")
    client.post("/signin/password", data={"address": CIO, "password": "tourmaline-and-jade", "code": "123456"})
    client.post("/mailings/M-1/decision", data={"csrf": csrf, "key": "k"})
    for secret in (client.cookies["gatekeeper"], csrf, "heliotrope", "tourmaline", scene.store.secret.hex()):
        assert secret not in caplog.text


async def test_reading_is_noted_also_for_who_goes_away_at_the_first_byte(scene, desk):
    await hold(scene)
    token = browser(desk, CIO).cookies["gatekeeper"]
    for place, act in (("/mailings/M-1/messages/1", "read"), ("/mailings/M-1/recipients.csv", "downloaded")):
        with pytest.raises(ConnectionResetError):
            await gone_at_once(make_app(desk), place, token)
        assert (act, CIO) in [(event.act, event.by) for event in scene.service.show(1).events]


async def gone_at_once(app, place, token):
    """Ask for a page, and go away before its first byte."""
    host = URL.removeprefix("http://").encode()
    scope = {"type": "http", "method": "GET", "path": place, "raw_path": place.encode(), "query_string": b""}
    scope |= {"headers": [(b"host", host), (b"cookie", f"gatekeeper={token}".encode())], "http_version": "1.1"}
    scope |= {"client": ("192.0.2.1", 1), "server": ("gate.example.gov", 8025), "scheme": "http", "root_path": ""}

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        raise ConnectionResetError

    await app(scope, receive, send)
