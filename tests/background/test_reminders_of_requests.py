"""What people are told about requests, and what time does to them, on both databases (policies M3, M5)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from gatekeeper.background.reminders import Reminders
from gatekeeper.ledger.terms import Terms
from gatekeeper.policy.matters import last_day
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import jobs, permits
from tests.ledger.scene import CIO, DEPUTY, HEAD, RULES, SENDER, TODAY, Scene
from tests.notices.queued import take_mails
from tests.notices.reading import read, text_of

DAY = 86_400


class Told(Scene):
    """The scene, with who looks after requests."""

    def __init__(self, store, folder, rules=RULES):
        super().__init__(store, folder, rules)
        self.reminders = Reminders(store, self.letterhead, clock=self.clock)

    async def after(self, days=0.0):
        """Let time pass; what was mailed then, as recipient and message."""
        self.now += days * DAY + 3
        await self.reminders.attend()
        mails = take_mails(self.store, self.now + 1)
        return [(job.recipient, read(job.content)) for job in mails if job.kind == jobs.NOTICE]

    async def subjects(self, days=0.0):
        return sorted(f"{recipient}: {mail['Subject']}" for recipient, mail in await self.after(days))


@pytest.fixture
def scene(store, tmp_path):
    return Told(store, tmp_path)


async def test_a_request_is_told_to_who_asked_and_to_who_decides_once(scene):
    """That it was received does not mean that it is approved (policy M3)."""
    scene.ask(users=2400)
    mails = dict(await scene.after())
    assert set(mails) == {HEAD, CIO, DEPUTY}
    assert mails[HEAD]["Subject"] == "Received (R-1): Open enrolment" and "received is not approved" in text_of(
        mails[HEAD]
    )
    text = text_of(mails[CIO])
    for words in (
        "Request: R-1 of Administration, by head@doa.example.gov",
        f"Senders: {SENDER}",
        "Goes to: Administration, Health",
        "Users: at most 2,400",
        "Planned: Monday 23 November 2026",
        "Purpose: benefits",
        "Notice: the request came late; the earliest day would have been Monday 30 November 2026",
        "approval (1220.XS2 III.A)",
        f"Whose yes it needs: {CIO} or {DEPUTY} (approver)",
        "gatekeeper request show R-1",
    ):
        assert words in text, words
    assert mails[CIO]["Message-ID"] == mails[DEPUTY]["Message-ID"] != mails[HEAD]["Message-ID"]
    assert await scene.after() == []


async def test_each_change_is_told_to_the_requester_in_one_thread(scene):
    scene.ask()
    first = dict(await scene.after())[HEAD]
    scene.service.ask_changes_of_request(1, CIO, "a shorter text, please")
    mails = dict(await scene.after())  # M5
    assert set(mails) == {HEAD, DEPUTY}
    assert mails[HEAD]["Subject"] == "Changes are asked (R-1): Open enrolment"
    assert "They say: a shorter text, please" in text_of(mails[HEAD]) and f"by {CIO}" in text_of(mails[HEAD])
    assert mails[HEAD]["References"] == first["Message-ID"]
    assert mails[DEPUTY]["Subject"] == "Decided (R-1): Open enrolment"


async def test_who_was_asked_learns_who_decided(scene):
    scene.ask()
    await scene.after()
    scene.service.approve_request(1, CIO, "fine", Terms())
    mails = dict(await scene.after())
    assert set(mails) == {HEAD, DEPUTY} and "approved by cio@example.gov" in text_of(mails[DEPUTY])
    assert mails[HEAD]["Subject"] == "Approved (R-1): Open enrolment"


async def test_what_a_permit_releases_needs_nothing_more_of_who_was_asked(scene):
    await scene.send()
    assert {recipient for recipient, mail in await scene.after() if "(M-1)" in mail["Subject"]} == {CIO, DEPUTY, SENDER}
    scene.ask()
    scene.service.approve_request(1, CIO, "fine", Terms())
    await scene.rechecks.run_due()
    mails = [(recipient, mail) for recipient, mail in await scene.after() if "(M-1)" in mail["Subject"]]
    assert {mail["Subject"].partition(" (")[0] for _, mail in mails} == {"Decided", "Approved"}
    decided = [" ".join(text_of(mail).split()) for _, mail in mails if "Decided" in mail["Subject"]]
    assert decided and all(f"it was approved by {CIO} (permit P-1), and is on its way" in text for text in decided)


async def test_a_final_denial_says_so(scene):
    scene.ask()
    scene.service.deny_request(1, CIO, "not this year")  # S2
    mails = [mail for recipient, mail in await scene.after() if recipient == HEAD]
    assert [mail["Subject"].partition(" (")[0] for mail in mails] == ["Received", "Denied"]
    assert "the decision is final" in text_of(mails[1]) and "They say: not this year" in text_of(mails[1])


async def test_who_decides_is_reminded_and_it_lapses_after_its_days(scene):
    scene.ask(planned=TODAY + timedelta(days=2))
    await scene.after()
    assert f"{CIO}: Still waits for your decision (R-1): Open enrolment" in await scene.subjects(2)
    await scene.after(3)
    assert f"{HEAD}: Expired (R-1): Open enrolment" in await scene.subjects()
    assert scene.service.show_request(1).request.state == "expired"
    assert await scene.after(10) == []


async def test_it_waits_to_the_end_of_its_last_day(scene):
    scene.ask(planned=TODAY)
    ruleset = scene.letterhead().ruleset
    last = last_day(ruleset, scene.service.show_request(1).request)
    end = calendar_of(ruleset).end_of(last).timestamp()
    for now, state in ((end, "submitted"), (end + 1, "expired")):
        scene.now = now
        await scene.reminders.attend()
        assert scene.service.show_request(1).request.state == state


async def test_an_exception_without_a_planned_day_lapses_as_a_held_mailing_does(scene):
    """Asked for by M8; `held.expire` of the rules counts from when it was asked, and anew when it is sent back."""
    for subject in ("left lying", "sent back"):
        scene.ask(subject=subject, planned=None, exception=True)
    text = text_of(dict(await scene.after())[CIO])
    assert "it lapses after Monday 7 December 2026" in text  # ten working days
    scene.now += 8 * DAY
    scene.service.ask_changes_of_request(2, CIO, "until when?")
    await scene.after(6)
    assert [scene.service.show_request(number).request.state for number in (1, 2)] == ["submitted", "changes"]
    await scene.after(1)
    assert f"{HEAD}: Expired (R-1): left lying" in await scene.subjects()
    await scene.after(8)
    assert f"{HEAD}: Expired (R-2): sent back" in await scene.subjects()


async def test_where_nothing_held_expires_no_exception_that_is_asked_does(store, tmp_path):
    scene = Told(store, tmp_path, RULES + "held: {expire: none}\n")
    scene.ask(planned=None, exception=True)
    assert "it goes on waiting" in text_of(dict(await scene.after())[CIO])
    await scene.after(365)
    assert scene.service.show_request(1).request.state == "submitted"


async def test_a_request_that_was_used_and_one_that_never_was(scene):
    for subject in ("Open enrolment", "Never sent"):
        scene.ask(subject=subject)
    for number in (1, 2):
        scene.service.approve_request(number, CIO, "fine", Terms())
    await scene.send()
    assert f"{HEAD}: Used (R-1): Open enrolment" in await scene.subjects()
    scene.now += 5 * DAY
    scene.store.call(partial(permits.expire_permits, now=scene.now))
    assert await scene.subjects() == [f"{HEAD}: Expired (R-2): Never sent"]
    assert [scene.service.show_request(number).request.state for number in (1, 2)] == ["used", "expired"]


async def test_a_legal_notice_is_passed_on_before_it_is_needed(store, tmp_path):
    scene = Told(store, tmp_path)
    scene.ask(purpose="Legal notice", needed_by=TODAY + timedelta(days=2), users=2400)
    await scene.send()
    await scene.after()
    told = await scene.subjects(1)
    assert f"{DEPUTY}: Passed on (R-1): Open enrolment" in told
    assert f"{DEPUTY}: Passed on (M-1): Open enrolment" in told


async def test_processes_that_look_at_once_tell_once(scene):
    scene.ask()
    scene.now += 3
    await asyncio.gather(*(scene.reminders.attend() for _ in range(4)))
    assert len(take_mails(scene.store, scene.now + 1)) == 3
