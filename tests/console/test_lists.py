"""Lists and what belongs to a mailing by HTTP: filters, parts, bulk decisions, recipients, delivery, files, cases."""

from __future__ import annotations

import csv
import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import event, select, update

from gatekeeper.console.desk import Desk
from gatekeeper.ledger.signins import Signins
from gatekeeper.lifecycle import RecipientState
from gatekeeper.store import jobs, removal
from gatekeeper.store.db.schema import batches
from gatekeeper.store.db.schema import jobs as job_rows
from tests.console.test_pages import AUDITOR, CIO, DEPUTY, HEAD, NOBODY, SENDER, SMALL, URL, browser, form_of, hold
from tests.ledger.scene import TODAY, Scene, people
from tests.ledger.test_lists import add_mailings

OWNER = "hr@example.gov"
MESSAGE = (
    b"Dear colleagues,\n"
    b"--b\nContent-Type: text/html\n\n"
    b'<p>See <a href="http://evil.example.com/x">https://benefits.example.gov/plan</a> and '
    b'<a href="https://www.doa.example.gov/">our page</a></p>\n'
    b'--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename="pl\xc3\xa4n.pdf.exe"\n\n'
    b"run me\n--b--\n"
)


@pytest.fixture
def scene(store, tmp_path):
    owner = f"people:\n  {OWNER}: {{roles: [owner], of: [registrar]}}\n"
    return Scene(store, tmp_path, SMALL.replace("people:\n", owner, 1))


@pytest.fixture
def desk(scene):
    return Desk(lambda: scene.service, Signins(scene.store, clock=scene.clock), URL)


def rows(page):
    """The ids of things that a list has, in its order."""
    return re.findall(r'<span class="tag">([MR]-\d+)</span>', page.text)


async def hold_with_file(scene):
    head = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    message = scene.message(people(30), subject="With a file", text=b"x")
    before, _, _ = message.content.partition(b"\r\n\r\n")
    content = before + b"\r\n" + head + b"\r\n" + MESSAGE.replace(b"\n", b"\r\n").split(b"\r\n", 1)[1]
    return await scene.pipeline.receive(replace(message, content=content), scene.hop)


@contextmanager
def statements(scene):
    """What the database is asked in the meantime."""
    found = []

    def note(connection, cursor, statement, *_):
        found.append(statement)

    event.listen(scene.store.database.engine, "before_cursor_execute", note)
    yield found
    event.remove(scene.store.database.engine, "before_cursor_execute", note)


async def test_a_page_asks_the_database_as_often_however_much_it_shows(scene, desk):
    client, asked = browser(desk, CIO), {}
    for number in range(2):
        for each in range(1 + 4 * number):
            await hold(scene, subject=f"Letter {number} {each}")
        for place in ("/waiting", "/mailings", "/mailings/M-1", "/mailings/M-1/delivery"):
            client.get(place)  # the states that it shows are stored now
            with statements(scene) as found:
                assert client.get(place).status_code == 200
            asked.setdefault(place, []).append(len(found))
    assert all(few == many for few, many in asked.values()), asked
    assert asked["/mailings/M-1"][0] <= 30 and asked["/waiting"][0] <= 20, asked


# -- lists -------------------------------------------------------------------------------------------------------


async def test_a_list_goes_on_behind_its_last_row_and_keeps_its_filters(scene, desk):
    add_mailings(scene, 60)
    client = browser(desk, CIO)
    first = client.get("/mailings", params={"agency": "DOA", "q": "park"})
    assert len(rows(first)) == 50 and "60 rows" in first.text
    (next,) = re.findall(r'<a rel="next" href="([^"]+)"', first.text)
    place = next.replace("&amp;", "&")
    assert "agency=DOA" in place and "q=park" in place and "after=M-11" in place
    second = client.get(place)
    assert rows(second) == [f"M-{number}" for number in range(10, 0, -1)] and 'rel="next"' not in second.text
    assert 'value="park"' in second.text and '<option value="DOA" selected>' in second.text


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("state=denied", 200, "No mailing that you may see is like what you look for."),
        ("state=whim", 404, "there is no such filter"),
        ("since=soon", 404, "since: expected a day"),
        ("after=nowhere", 404, "expected what the part before names"),
        ("q=%00%27%3B--", 200, "No mailing that you may see"),
        ("sender=nobody", 200, "No mailing that you may see"),
    ],
)
async def test_a_filter_that_finds_nothing_or_is_none_says_so(scene, desk, query, status, told):
    add_mailings(scene, 1)
    answer = browser(desk, CIO).get(f"/mailings?{query}")
    assert answer.status_code == status and told in answer.text


async def test_the_queue_has_mailings_and_requests_what_ends_first_on_top(scene, desk):
    await hold(scene)
    scene.now += 60
    await hold(scene, subject="Parking", text=b"Parking behind the hall " * 20)
    scene.ask(users=240)
    client = browser(desk, CIO)
    page = client.get("/waiting")
    assert sorted(rows(page)) == ["M-1", "M-2", "R-1"] and rows(page).index("M-1") < rows(page).index("M-2")
    assert "3 things." in page.text and page.text.count("yours</span>") == 3
    assert rows(client.get("/waiting?kind=request")) == ["R-1"]
    assert rows(client.get("/waiting?q=parking")) == ["M-2"] and rows(client.get("/waiting?sender=x@y")) == []
    assert sorted(rows(browser(desk, SENDER).get("/waiting"))) == ["M-1", "M-2", "R-1"]
    assert "yours</span>" not in browser(desk, SENDER).get("/waiting").text
    assert "Nothing is held now" in browser(desk, NOBODY).get("/waiting").text


async def test_the_queue_goes_on_by_parts_whatever_happens_in_between(scene, desk, monkeypatch):
    monkeypatch.setattr("gatekeeper.console.pages.list_form.MOST_ROWS", 2)
    for subject in ("one thing", "another matter", "third topic"):
        await hold(scene, subject=subject, text=subject.encode() * 30)
    client = browser(desk, CIO)
    first = client.get("/waiting")
    (next,) = re.findall(r'<a rel="next" href="([^"]+)"', first.text)
    scene.service.deny(int(rows(first)[1][2:]), CIO, "no")
    assert rows(first) + rows(client.get(next)) == ["M-1", "M-2", "M-3"]


# -- several at once ---------------------------------------------------------------------------------------------


def picked(page, *ids):
    found = dict(re.findall(r'name="(pick\.[MR]-\d+)" value="(\w*)"', page.text))
    return form_of(page) | {f"pick.{id}": found[f"pick.{id}"] for id in ids}


async def test_several_are_decided_and_each_has_an_outcome(scene, desk):
    for subject in ("one thing", "another matter", "third topic"):
        await hold(scene, subject=subject, text=subject.encode() * 30)
    client = browser(desk, CIO)
    client.get("/mailings/M-1")
    given = picked(client.get("/waiting"), "M-1", "M-2") | {"act": "approve"}
    answer = client.post("/waiting", data=given)
    assert answer.status_code == 303
    shown = client.get(answer.headers["location"])
    assert "1 of 2 done." in shown.text and "Open it first" in shown.text and "It is released." in shown.text
    assert [scene.mailing(number).state for number in (1, 2, 3)] == ["released", "held", "held"]
    assert client.post("/waiting", data=given).status_code == 303  # the same form again does nothing
    given = picked(client.get("/waiting"), "M-2", "M-3") | {"act": "deny", "reason": "no", "category": "timing"}
    assert "2 of 2 done." in client.get(client.post("/waiting", data=given).headers["location"]).text
    assert browser(desk, DEPUTY).get(answer.headers["location"]).status_code == 404


async def test_several_are_passed_to_an_owner_who_reads_why(scene, desk):
    await hold(scene)
    await hold(scene, subject="Parking", text=b"the lot behind the annex closes on Monday while they dig for pipes\n")
    scene.ask(subject="Survey", planned=TODAY + timedelta(days=14))
    client = browser(desk, CIO)
    given = picked(client.get("/waiting"), "M-1", "M-2", "R-1") | {"act": "pass", "reason": "is it for students?"}
    assert "Choose whom to pass them to." in client.post("/waiting", data=given).text
    assert "Say why: whoever is asked reads it." in client.post("/waiting", data=given | {"reason": ""}).text
    assert "may be asked" in client.post("/waiting", data=given | {"whom": SENDER}).text
    answer = client.post("/waiting", data=given | {"whom": OWNER})
    shown = client.get(answer.headers["location"]).text
    assert "3 of 3 done." in shown and f"Passed to {OWNER}, who must agree too." in shown
    assert f"asked</strong> by {CIO}: {OWNER} (is it for students?)" in client.get("/mailings/M-1").text
    assert scene.mailing().state == "held" and "M-1" in browser(desk, OWNER).get("/waiting").text
    of_owner = select(job_rows.c.content).where(job_rows.c.recipient == OWNER)
    letters = scene.store.call(lambda connection: list(connection.execute(of_owner).scalars()))
    assert len(letters) == 3 and all(b"is it for students?" in each for each in letters)


async def test_of_several_one_that_has_changed_since_is_left(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    client.get("/mailings/M-1")
    given = picked(client.get("/waiting"), "M-1") | {"act": "approve"}
    await scene.send(people(10, start=100), text=b"Something else altogether.\n" * 5)
    answer = client.post("/waiting", data=given)
    assert "It has changed since: open it again." in client.get(answer.headers["location"]).text
    assert scene.mailing().state == "held"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"act": "deny", "reason": "no", "category": "timing"}, "Choose at least one row."),
        ({"pick.M-1": "x"}, "Choose what to do"),
        ({"pick.M-1": "x", "act": "changes"}, "Say why"),
        ({"pick.M-1": "x", "act": "deny", "reason": "no"}, "Choose a category"),
    ],
)
async def test_a_form_for_several_that_is_wrong_says_where(scene, desk, given, told):
    await hold(scene)
    client = browser(desk, CIO)
    answer = client.post("/waiting", data=form_of(client.get("/waiting")) | given)
    assert answer.status_code == 422 and told in answer.text and "There is a problem" in answer.text
    assert scene.mailing().state == "held"


async def test_who_may_not_decide_decides_nothing_by_many_either(scene, desk):
    await hold(scene)
    client = browser(desk, HEAD)
    given = form_of(client.get("/account")) | {"key": "k", "pick.M-1": "x", "pick.M-1; x": "", "pick.R-7": ""}
    given |= {"act": "deny", "reason": "no", "category": "timing"}
    shown = client.get(client.post("/waiting", data=given).headers["location"])
    assert "0 of 3 done." in shown.text and "may not decide it" in shown.text and "no such request" in shown.text
    client = browser(desk, NOBODY)  # who may not see it is not told that it is there, nor who decides
    given = form_of(client.get("/account")) | {"key": "k", "pick.M-1": "x", "act": "deny"}
    given |= {"reason": "no", "category": "timing"}
    shown = client.get(client.post("/waiting", data=given).headers["location"]).text
    assert "no such mailing" in shown and CIO not in shown
    assert scene.mailing().state == "held"


# -- recipients and delivery -------------------------------------------------------------------------------------


async def test_recipients_are_content_and_the_timeline_says_who_looked(scene, desk, monkeypatch):
    monkeypatch.setattr("gatekeeper.console.pages.deliveries._ROWS", 20)
    await hold(scene)
    client = browser(desk, CIO)
    first = client.get("/mailings/M-1/recipients")
    (next,) = re.findall(r'<a rel="next" href="([^"]+)"', first.text)
    second = client.get(next)
    found = re.findall(r"user\d+@\w+\.example\.gov", first.text + second.text)
    assert sorted(found) == sorted(people(30)) and "30 rows" in first.text
    assert client.get("/mailings/M-1/recipients?agency=DOA").text.count("@doa.example.gov</td>") == 15
    assert "No recipient of it" in client.get("/mailings/M-1/recipients?state=sent").text
    assert client.get("/mailings/M-1/recipients?state=whim").status_code == 404
    assert client.get("/mailings/M-1/recipients?after=x").status_code == 404
    for who in (AUDITOR, HEAD, NOBODY):
        assert browser(desk, who).get("/mailings/M-1/recipients").status_code == 404
        assert browser(desk, who).get("/mailings/M-1/recipients.csv").status_code == 404
    took = client.get("/mailings/M-1/recipients.csv?agency=DOA")
    assert took.headers["content-disposition"] == 'attachment; filename="M-1-recipients.csv"'
    assert len(list(csv.reader(took.text.splitlines()))) == 16
    events = [(event.act, event.by, event.text) for event in scene.service.show(1).events if event.act != "held"]
    assert events == [("read", CIO, "recipients"), ("downloaded", CIO, "recipients")]


async def test_what_became_of_a_mailing_by_domain_and_answer(scene, desk):
    await hold(scene)
    scene.service.approve(1, CIO)
    sent = {position: (RecipientState.SENT, f"250 2.0.0 queued as {position}") for position in range(20)}
    refused = {20: (RecipientState.REFUSED, "550 5.1.1 <x@y>: no such user")}
    answers = partial(jobs.record_answers, batch_id=1, answers=sent | refused, now=scene.now)
    scene.store.call(answers)
    client = browser(desk, HEAD)  # facts
    page, cells = client.get("/mailings/M-1/delivery").text, counted(client)
    assert sorted(map(int, cells)) == [1, 4, 5, 10, 10] and "550 5.1.1" in page and "queued as" in page
    assert "20 a minute in the last hour" in page and "1 message." in page
    with statements(scene) as found:
        assert counted(client) == cells
    assert not any("min(batch_recipients.reply)" in each for each in found)  # nobody has answered since
    more = {21: (RecipientState.SENT, "250 ok")}
    scene.store.call(partial(jobs.record_answers, batch_id=1, answers=more, now=scene.now))
    assert counted(client) != cells
    assert browser(desk, NOBODY).get("/mailings/M-1/delivery").status_code == 404
    mailing = scene.mailing()
    assert (mailing.sent, mailing.refused) == (21, 1)


def counted(client):
    """The numbers of recipients by domain and answer."""
    page = client.get("/mailings/M-1/delivery").text
    return re.findall(r'<td data-name="Recipients" class="number">(\d+)</td>', page)


async def test_what_earlier_programs_stored_or_sent_is_counted(scene):
    await hold(scene)
    scene.service.approve(1, CIO)
    sent = dict.fromkeys(range(30), (RecipientState.SENT, "250 ok"))
    scene.store.call(partial(jobs.record_answers, batch_id=1, answers=sent, now=scene.now))
    unknown = update(batches).values(recipients=None, sent=None, refused=None, expired=None)
    scene.store.call(lambda connection: connection.execute(unknown))
    assert scene.mailing().sent == 30
    stale = update(batches).values(recipients=30, sent=0, refused=0, expired=0, state="sent")
    scene.store.call(lambda connection: connection.execute(stale))
    assert scene.mailing().sent == 30
    assert scene.service.show(1).batches[0].tally.sent == 30


# -- files, links, versions, cases -------------------------------------------------------------------------------


async def test_a_file_is_saved_never_shown_and_the_timeline_says_so(scene, desk):
    await hold_with_file(scene)
    client = browser(desk, CIO)
    page = client.get("/mailings/M-1").text
    assert "hides its real ending" in page and "a program" in page
    answer = client.get("/mailings/M-1/messages/1/parts/1")
    assert answer.content.strip() == b"run me" and answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/mailings/M-1/messages/1/parts/9").status_code == 404
    assert browser(desk, AUDITOR).get("/mailings/M-1/messages/1/parts/1").status_code == 404
    assert [each.text for each in scene.service.show(1).events if each.act == "downloaded"] == ["batch 1, file 1"]


async def test_a_link_that_leads_elsewhere_than_it_says_is_marked(scene, desk):
    await hold_with_file(scene)
    page = browser(desk, CIO).get("/mailings/M-1").text
    (row,) = re.findall(r"<tr>(?:(?!</tr>).)*evil\.example\.com/x.*?</tr>", page, re.DOTALL)
    assert "differs" in row and "benefits.example.gov/plan" in row
    assert page.count(">differs<") == 1


async def test_an_admin_or_auditor_reads_for_a_case(scene, desk):
    await hold(scene)
    client = browser(desk, AUDITOR)
    page = client.get("/mailings/M-1")
    assert "Read it for a case" in page.text and "<iframe" not in page.text
    assert client.get("/mailings/M-1/messages/1").status_code == 404
    assert client.post("/mailings/M-1/case", data=form_of(page) | {"case": " "}).status_code == 422
    assert client.post("/mailings/M-1/case", data=form_of(page) | {"case": "subpoena 7"}).status_code == 303
    assert "<iframe" in client.get("/mailings/M-1").text
    assert "Dear colleagues" in client.get("/mailings/M-1/messages/1").text
    assert client.get("/mailings/M-1/recipients").status_code == 200
    read = {(each.text, each.details.get("case")) for each in scene.service.show(1).events if each.act == "read"}
    assert read == {("batch 1", "subpoena 7"), ("recipients", "subpoena 7")}
    other = browser(desk, CIO)
    assert other.post("/mailings/M-1/case", data=form_of(other.get("/mailings/M-1")) | {"case": "x"}).status_code == 403


async def test_of_a_mailing_whose_content_was_destroyed_the_page_says_so(scene, desk):
    """Clause C7: the line of the mailing stays."""
    await hold(scene)
    scene.service.deny(1, CIO, "no")
    destroy = partial(removal.destroy_contents, disposal=3, now=scene.now + 100)
    (body,) = {batch.body for batch in scene.service.show(1).batches}
    scene.store.call(partial(destroy, listed={1: {body}}))
    page = browser(desk, CIO).get("/mailings/M-1")
    assert page.status_code == 200 and "destroyed by the schedule of records (D-3)" in page.text
    assert "<iframe" not in page.text and "Open enrolment" in page.text


async def test_two_versions_are_compared_by_words(scene, desk):
    await hold(scene)
    await scene.send(people(10, start=100), text=b"Dear colleagues, this year the enrolment opens late.\n" * 3)
    page = browser(desk, CIO).get("/mailings/M-1?batch=2&against=1").text
    assert "Changes against version 1" in page and "<ins>" in page and "<del>" in page


async def test_an_owner_is_asked_as_well(scene, desk):
    await hold(scene)
    client = browser(desk, CIO)
    page = client.get("/mailings/M-1")
    assert client.post("/mailings/M-1/ask", data=form_of(page) | {"whom": ""}).status_code == 422
    assert client.post("/mailings/M-1/ask", data=form_of(page) | {"whom": OWNER}).status_code == 303
    assert f"{OWNER} is asked as well." in client.get("/mailings/M-1").text
    assert client.post("/mailings/M-1/ask", data=form_of(page) | {"whom": OWNER}).status_code == 303  # the same form
    assert [event.act for event in scene.service.show(1).events].count("asked") == 1
    assert OWNER in client.get("/mailings/M-1").text and rows(browser(desk, OWNER).get("/waiting")) == ["M-1"]
    other = browser(desk, HEAD)
    given = form_of(other.get("/account")) | {"whom": OWNER, "key": "k"}
    assert other.post("/mailings/M-1/ask", data=given).status_code == 403


async def test_the_review_says_what_else_these_people_get_and_how_long_sending_takes(scene, desk):
    reached = {"agencies": {"DOA": 15}, "mass": True, "started_at": scene.now - 86_400}
    add_mailings(scene, 1, 7, subject="Open enrolment again", **reached)
    add_mailings(scene, 1, 8, subject="Parking", **reached)
    add_mailings(scene, 1, 9, subject="Long ago", **{**reached, "started_at": scene.now - 30 * 86_400})
    add_mailings(scene, 1, 10, state="denied", started_at=scene.now - 86_400)
    await scene.send(people(30))
    page = browser(desk, CIO).get("/mailings/M-1").text
    beside = page[page.index('id="beside"') : page.index('id="history"')]
    assert re.findall(r"M-\d+</span>", beside) == ["M-7</span>", "M-8</span>"] and "like this one" in beside
    assert "1 denied." in beside and "not known" in page


async def test_what_differs_from_a_permit_stands_by_itself(scene, desk):
    scene.ask(users=20)
    scene.service.approve_request(1, CIO)
    await scene.send(people(30))
    page = browser(desk, CIO).get("/mailings/M-1").text
    differs = page[page.index('id="differs"') :]
    assert ("P-1" in differs and "20 users" in differs[:600]) or "30 users" in differs[:600]
    assert "not covered by" not in page
