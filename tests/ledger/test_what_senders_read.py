"""Each sender of a mailing reads who decides, until when, who has it already, and what came of it."""

from __future__ import annotations

import pytest

from gatekeeper.background.reminders import Reminders
from gatekeeper.ledger.service import LedgerError, Terms
from tests.ledger.scene import CIO, DEPUTY, SENDER, Scene
from tests.ledger.scene import RULES as ONE
from tests.ledger.test_common_mailing import COLLEAGUES, SMALL, send_all
from tests.notices.queued import take_mails
from tests.notices.reading import parts_of, read, text_of
from tests.store.arrivals import people

HELD = COLLEAGUES[2:]  # whose mail waits in the common mailing


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, ONE)


@pytest.fixture
def common(store, tmp_path):
    return Scene(store, tmp_path, SMALL)


def letters(scene):
    """What was queued since, as reader and mail."""
    return [(job.recipient, read(job.content)) for job in take_mails(scene.store, scene.now + 1)]


async def test_the_held_notice_says_who_decides_until_when_and_how_to_take_it_back(scene):
    await scene.send(people(50))
    await scene.send(people(190, start=50))
    ((reader, mail),) = letters(scene)
    text = text_of(mail)
    assert reader == SENDER and "50 people have your message already. To the others it has not been sent yet." in text
    assert f"Who decides: {CIO} or {DEPUTY} (approver)" in text
    assert "what is held of it goes back to you on Monday 7 December 2026, 05:00 MST, and is not sent" in text
    assert "To take it back, ask the contact below to withdraw M-1" in text


async def test_a_batch_more_is_no_second_notice_but_to_be_held_again_is(scene):
    await scene.send()
    await scene.send(people(10, start=240))
    assert len(letters(scene)) == 1
    scene.service.approve(1, CIO)
    assert [mail["Subject"] for _, mail in letters(scene)] == ["Approved (M-1): Open enrolment"]
    scene.now += 60
    await scene.send(people(10, start=250))
    ((_, mail),) = letters(scene)
    assert mail["Subject"] == "Held for approval (M-1): Open enrolment"
    assert "Your message is on its way to 250 recipients. To the others it has not been sent yet." in text_of(mail)


async def test_who_sends_learns_that_what_was_approved_is_stopped(scene):
    """Policy S5."""
    await scene.send()
    scene.service.approve(1, CIO)
    letters(scene)
    scene.now += 60
    scene.service.revoke(1, DEPUTY, "the form is wrong")
    ((reader, mail),) = letters(scene)
    assert reader == SENDER and mail["Subject"] == "Held for approval (M-1): Open enrolment"
    assert "P-1 was revoked: the form is wrong" in text_of(mail)


async def test_approved_is_not_said_to_be_sent(scene):
    """The next hop may be down: nothing is known of that when somebody approves."""
    await scene.send()
    letters(scene)
    scene.service.approve(1, CIO)
    ((_, mail),) = letters(scene)
    text = text_of(mail)
    assert "and sent" not in text and "being sent" not in text and "sent" not in mail["Subject"]
    assert f"approved by {CIO}. It goes to 240 recipients, as soon as the mail server takes it." in text


async def test_by_a_permit_all_who_agreed_to_it_are_named(store, tmp_path):
    scene = Scene(store, tmp_path, ONE + "    ask: {any: 2, of: [approver]}\n")
    await scene.send()
    letters(scene)
    scene.ask()
    scene.service.approve_request(1, DEPUTY, "", Terms())
    scene.service.approve_request(1, CIO, "", Terms())
    await scene.rechecks.run_due()
    (text,) = [text_of(mail) for reader, mail in letters(scene) if reader == SENDER]
    assert f"approved by {DEPUTY} and {CIO} (permit P-1). It goes to" in text


# -- sent back, denied -------------------------------------------------------------------------------------------


async def test_changes_are_no_refusal(scene):
    """Policy S2: changes are asked, and the message may be sent again."""
    await scene.send()
    letters(scene)
    decision = scene.service.ask_changes(1, CIO, "Name the people to call")
    assert decision.mailing.state == "returned"
    ((_, mail),) = letters(scene)
    text = text_of(mail)
    assert mail["Subject"] == "Not sent, changes are asked (M-1): Open enrolment"
    assert f"please change it as asked by {CIO}, then send it again" in text and "Name the people to call" in text
    assert "denied" not in text and "not approved" not in text and "What to do: change it, and send it again" in text
    assert [event.act for event in scene.service.show(1).events][-1] == "returned"
    assert "Held for approval as M-2" in (await scene.send(people(2400))).text


async def test_a_denial_has_a_category(store, tmp_path):
    """Policy C4: no personal advertisements or announcements."""
    scene = Scene(store, tmp_path, ONE + "denials: {personal: private matters, politics: political content}\n")
    await scene.send()
    letters(scene)
    with pytest.raises(LedgerError, match="category 'odd': expected one of the rules: official, audience"):
        scene.service.deny(1, CIO, "no raffles", category="odd")
    scene.service.deny(1, CIO, "no raffles", category="personal")
    ((_, mail),) = letters(scene)
    assert "private matters: no raffles" in text_of(mail)
    assert scene.service.show(1).events[-1].details == {"category": "personal"}
    await scene.send(people(2400, start=100))
    scene.service.deny(2, CIO, "not now")
    assert scene.service.show(2).events[-1].details == {"category": "other"}


def test_a_denial_of_a_request_has_one_too(scene):
    scene.ask()
    scene.service.deny_request(1, DEPUTY, "twice this week", category="duplicate")
    assert scene.service.show_request(1).events[-1].details == {"category": "duplicate"}


# -- several senders of one mailing ------------------------------------------------------------------------------


async def test_each_sender_is_told_that_it_is_held(common):
    await send_all(common)
    found = letters(common)
    assert sorted(reader for reader, _ in found) == sorted(HELD)
    texts = [text_of(mail) for _, mail in found]
    assert all("16 people have a message of this mailing already." in text for text in texts)


async def test_each_sender_is_told_that_it_is_approved_with_their_own_recipients(common):
    await send_all(common)
    letters(common)
    common.service.approve(1, CIO)
    found = dict(letters(common))
    assert set(found) == set(HELD)
    assert all("It goes to 8 recipients" in text_of(mail) for mail in found.values())


@pytest.mark.parametrize("verb", ["deny", "ask_changes"])
async def test_each_sender_gets_a_report_of_their_own_recipients(common, verb):
    await send_all(common)
    letters(common)
    getattr(common.service, verb)(1, CIO, "not now")
    found = dict(letters(common))
    assert set(found) == set(HELD)
    for reader, mail in found.items():
        status = parts_of(mail)[1].get_payload()
        assert len(status) == 1 + 8 and f"{CIO}" in text_of(mail), reader


async def test_each_sender_is_told_that_it_still_waits(common):
    await send_all(common)
    reminders = Reminders(common.store, common.letterhead, clock=common.clock)
    await reminders.attend()
    common.now += 3
    await reminders.attend()
    letters(common)
    common.now += 3 * 86_400
    await reminders.attend()
    told = [reader for reader, mail in letters(common) if mail["Subject"].startswith("Still waiting")]
    assert sorted(told) == sorted(HELD)
