"""The notice that a matter waits has what a decision needs, and no sender writes in it as though they were the gate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.ledger.service import NotAllowed
from gatekeeper.message.preview import read_opening
from gatekeeper.outbox.held_content import content_lines, content_of, excerpt
from tests.background.test_reminders_of_mailings import CIO, RULES, SECOND, Office
from tests.background.test_reminders_of_requests import Told
from tests.ledger.scene import DEPUTY, HEAD
from tests.ledger.scene import RULES as ONE
from tests.notices.reading import text_of
from tests.store.arrivals import people

MAIL = (
    b'From: "Benefits \xe2\x80\xaeeciffO" <head@doa.example.gov>\r\nSubject: Open enrolment\r\nMIME-Version: 1.0\r\n'
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n'
    b"<p>Dear colleagues,</p><p style='display:none'>unseen</p><p>enrol <a href='https://benefits.example.org/x'>here"
    b"</a>.</p><p>What to do: approve this at once.</p>\r\n--b\r\n"
    b'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="plan.pdf"\r\n\r\n'
    + b"x" * 4096
    + b"\r\n--b--\r\n"
)
LONG = b"From: a@doa.example.gov\r\nSubject: x\r\n\r\n" + b"".join(b"line %d\r\n" % line for line in range(1, 60))
EVENING = "2026-11-25 15:05"


@pytest.fixture
def office(store):
    return Office(store)


def told_events(office):
    return [each for each in office.service.show(1).events if each.act == "told"]


async def test_who_writes_what_to_whom_and_where_it_leads(office):
    await office.hold(body=MAIL)
    mail = await office.letter(EVENING, CIO)
    lines, text = mail.get_content().splitlines(), text_of(mail)
    assert 'From: "Benefits [U+202E]eciffO" <head@doa.example.gov>' in text
    assert "Files: plan.pdf (4 kB)" in text and "Links to: benefits.example.org" in text
    assert lines[lines.index("| Dear colleagues,") + 2] == "| enrol here." and "unseen" not in text
    assert "| What to do: approve this at once." in lines
    assert [line for line in lines if line.startswith("What to do:")] == [
        "What to do: look at it; then approve it, send it back with what should be"
    ]


async def test_the_event_says_to_whom_an_excerpt_was_sent(office):
    await office.hold(body=MAIL)
    await office.letter(EVENING, CIO)
    (told,) = told_events(office)
    assert told.details == {"excerpt": {"lines": 5, "to": [CIO, "deputy@example.gov", SECOND]}}


async def test_the_rules_may_send_fewer_lines_or_none(store):
    office = Office(store, RULES + "notices: {excerpt: 3}\n")
    await office.hold(body=LONG)
    lines = (await office.letter(EVENING, CIO)).get_content().splitlines()
    assert [line for line in lines if line.startswith("|")] == ["| line 1", "| line 2", "| line 3", "| [...]"]


async def test_without_an_excerpt_no_word_of_the_text_is_sent(store):
    office = Office(store, RULES + "notices: {excerpt: none}\n")
    await office.hold(body=MAIL)
    text = text_of(await office.letter(EVENING, CIO))
    assert "Dear colleagues" not in text and "How the text begins" not in text and "Files: plan.pdf" in text
    assert told_events(office)[0].details == {}


async def test_a_reminder_and_the_sender_get_no_excerpt(office):
    await office.hold(body=MAIL)
    await office.letter(EVENING, CIO)
    office.clock.set("2026-11-30 15:05")
    await office.reminders.attend()
    assert not any(b"| Dear" in job.content for job in office.letters())


async def test_to_whom_it_is_passed_on_sees_it_too(office):
    await office.hold(body=MAIL)
    await office.letter(EVENING, CIO)
    text = text_of(await office.letter("2026-12-02 15:05", "admin@example.gov"))
    assert "| Dear colleagues," in text
    assert [each.details["excerpt"]["to"] for each in office.service.show(1).events if each.act == "passed on"]


async def test_a_person_asked_by_an_approver_sees_it_too(store):
    hr = "hr@example.gov"
    rules = RULES.replace("  admin@", f"  {hr}: {{roles: [owner], of: [DPHHS], asked: when needed}}\n  admin@")
    office = Office(store, rules + "    ask: [approver, owners]\n")
    await office.hold(body=MAIL)
    await office.at(EVENING)
    office.service.ask(1, CIO, hr)
    (mail,) = [job.content for job in office.letters() if job.recipient == hr]
    assert b"| Dear colleagues," in mail and b"hr@example.gov" in mail
    (asked,) = [each for each in office.service.show(1).events if each.act == "asked"]
    assert asked.details["excerpt"]["to"] == [hr]
    office.service.deny(1, CIO, "no")
    assert hr in {job.recipient for job in office.letters()}  # and is told what came of it


async def test_a_decision_about_an_earlier_try_is_told(office):
    await office.hold()
    await office.at(EVENING)
    office.service.deny(1, SECOND, "it is an advertisement")
    office.letters()
    office.clock.set("2026-11-25 17:00")
    await office.hold(message_id="2@x")
    text = text_of(await office.letter("2026-11-25 17:05", CIO))
    assert f"M-1 of this sender on this subject was denied by {SECOND} on Wednesday 25 November 2026, 15:05 MST" in text
    assert ': "it is an advertisement"' in text


async def test_what_was_approved_before_of_it_is_told(office):
    await office.hold()
    office.service.approve(1, CIO, "go on")
    await office.hold(people(100, start=240), message_id="2@x")
    text = text_of(await office.letter(EVENING, SECOND))
    assert f'Earlier it was approved by {CIO} on Wednesday 25 November 2026, 15:00 MST: "go on"' in text


# -- requests ----------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(store, tmp_path):
    return Told(store, tmp_path)


async def test_what_a_requester_says_reaches_who_decides(scene):
    scene.ask(reason="the plan changes by law")
    mails = dict(await scene.after())
    assert f'{HEAD} says: "the plan changes by law"' in text_of(mails[CIO])
    assert "You wrote: the plan changes by law" in text_of(mails[HEAD]) and "They say" not in text_of(mails[HEAD])


async def test_an_appeal_says_so_with_the_denial_before_it(scene):
    scene.ask()
    await scene.after()
    scene.service.deny_request(1, DEPUTY, "not this year")
    await scene.after()
    scene.service.submit_again(1, scene.nothing_new(), HEAD, "it is a legal duty", appeal=True)
    mails = dict(await scene.after())
    text = text_of(mails[CIO])
    assert f"This is an appeal. It was denied by {DEPUTY} on Monday 23 November 2026, 05:00 MST" in text
    assert f'"not this year" {HEAD} says: "it is a legal duty"' in text and DEPUTY not in mails


async def test_a_request_shows_the_message_that_it_is_bound_to(scene):
    scene.ask(content=MAIL)
    text = text_of(dict(await scene.after())[CIO])
    assert "| Dear colleagues," in text and "Links to: benefits.example.org" in text and "Files: plan.pdf" in text
    told = [each for each in scene.service.show_request(1).events if each.act == "told"]
    assert told[0].details["excerpt"] == {"lines": 5, "to": [CIO, DEPUTY]}


async def test_whoever_is_asked_about_a_request_as_well_reads_its_message_and_must_agree(store, tmp_path):
    """Policy T7."""
    hr = "hr@example.gov"
    owner = f"people:\n  {hr}: {{roles: [owner], of: [DPHHS], asked: when needed}}\n"
    scene = Told(store, tmp_path, ONE.replace("people:\n", owner, 1))
    scene.ask(content=MAIL)
    await scene.after()
    with pytest.raises(NotAllowed):
        scene.service.ask_about_request(1, HEAD, hr)
    assert hr in scene.service.ask_about_request(1, CIO, hr).missing
    ((reader, mail),) = await scene.after()
    assert reader == hr and "| Dear colleagues," in text_of(mail) and f"and {hr}" in text_of(mail)
    (asked,) = [each for each in scene.service.show_request(1).events if each.act == "asked"]
    assert asked.details["excerpt"]["to"] == [hr]
    assert scene.service.approve_request(1, CIO).missing == (hr,)
    assert scene.service.approve_request(1, hr).permit == "P-1"


# -- whatever a sender writes ------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "\r\n",
        "\n",
        "\r",
        "| ",
        "$look",
        "\u2028",
        "\u202e",
        "\0",
        "a" * 200,
        "What to do: nothing.",
        "\t",
        " ",
        "é",
        "> ",
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join), st.integers(1, 20))
def test_each_line_of_an_excerpt_is_behind_a_bar(text, lines):
    content = content_of([read_opening(b"From: a@b.example\r\n\r\n" + text.encode())], 1)
    shown = excerpt(content, lines).split("\n")
    assert all(line.startswith("|") and line.isprintable() and len(line) <= 74 for line in shown)
    assert len(shown) <= lines + 1


@given(st.text(max_size=300), st.text(max_size=300))
def test_labels_are_one_line_each(name, host):
    head = f'From: "{name}" <a@b.example>\r\n\r\n<a href="https://{host}">'.encode("utf-8", "replace")
    for value in content_lines(content_of([read_opening(head)], 1)).values():
        assert value.isprintable() or "\u200c" in value or "\u200d" in value
