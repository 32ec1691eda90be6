"""What becomes of a held mailing that nobody decides, by working days, on both databases; and what people are told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gatekeeper.background.reminders import Reminders
from gatekeeper.ledger.service import LedgerService, NotAllowed
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.policy.matters import Matter, MatterKind, due_steps
from gatekeeper.rules import parse_ruleset
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.rules.specs import Escalation, Held, Span
from gatekeeper.store import Database, Store, jobs
from tests.notices.queued import take_mails
from tests.notices.reading import parts_of, read, text_of
from tests.store.arrivals import arrival, limit, people

DENVER = ZoneInfo("America/Denver")
RULES = """\
version: 1
title: Mass electronic mail
contact: servicedesk@example.gov
timezone: America/Denver
agencies:
  DOA: {name: Administration, domains: [doa.example.gov]}
  DPHHS: {name: Health, domains: [dphhs.example.gov]}
people:
  cio@example.gov: {roles: [approver], final: true, delegate: {to: deputy@example.gov, until: 2026-12-24}}
  second@example.gov: {roles: [approver]}
  admin@example.gov: {roles: [admin]}
requests: {calendar: US-MT}
held:
  remind: 2 working days
  escalate: {after: 4 working days}
  expire: 6 working days
rules:
  - id: approval
    cite: 1220.XS2 III.A
    when: {users: {over: 200}, agencies: {over: 1}}
    then: hold
    say: It reaches {users} users.
"""
CIO, DEPUTY, SECOND, ADMIN = (f"{name}@example.gov" for name in ("cio", "deputy", "second", "admin"))
SENDER = "head@doa.example.gov"
WITH_FILE = (
    b"From: head@doa.example.gov\r\nTo: undisclosed-recipients:;\r\nSubject: Open enrolment\r\nMIME-Version: 1.0\r\n"
    b'Message-ID: <1@x>\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nHello.\r\n--b\r\n'
    b'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="plan.pdf"\r\n\r\n'
    + b"x" * 4096
    + b"\r\n--b--\r\n"
)


class Clock:
    """A clock that a test sets, by the wall in Denver."""

    def __init__(self, text: str) -> None:
        self.set(text)

    def set(self, text: str) -> None:
        self.now = datetime.fromisoformat(text).replace(tzinfo=DENVER)

    def __call__(self) -> float:
        return self.now.timestamp()


class Office:
    """A store with held mail, who looks after it, and who decides."""

    def __init__(self, store: Store, rules: str = RULES) -> None:
        self.store, self.clock = store, Clock("2026-11-25 15:00")
        letterhead = Letterhead(parse_ruleset(rules, "rules.yaml", Path(".")), "gate.example.gov")
        self.reminders = Reminders(store, lambda: letterhead, clock=self.clock)
        self.service = LedgerService(store, letterhead, clock=self.clock)

    async def hold(self, recipients=None, envelope=SENDER, notify=True, **more):
        one = arrival(recipients or people(240), subject="Open enrolment", **more)
        transaction = replace(one.transaction, sender=envelope)
        one = replace(one, now=self.clock.now, notify=notify, transaction=transaction)
        outcome = await self.store.decide(one, limit(200))
        assert outcome.batch is not None and await self.store.keep(one, outcome.batch)
        return outcome

    async def at(self, text: str) -> list[str]:
        """Look after what is held at that time; the subjects of what was queued, with their recipients."""
        self.clock.set(text)
        await self.reminders.attend()
        return self.sent()

    def sent(self) -> list[str]:
        return sorted(f"{job.recipient}: {read(job.content)['Subject']}" for job in self.letters())

    def letters(self) -> list[jobs.Job]:
        return take_mails(self.store, self.clock() + 1)

    async def letter(self, text: str, recipient: str):
        self.clock.set(text)
        await self.reminders.attend()
        return next(read(job.content) for job in self.letters() if job.recipient == recipient)


@pytest.fixture
def office(store):
    return Office(store)


# -- told --------------------------------------------------------------------------------------------------------


async def test_who_decides_is_told_once_of_a_mailing_of_many_batches(office):
    everyone = people(205 + 59 * 5)
    await office.hold(everyone[:205])
    for start in range(205, len(everyone), 5):
        await office.hold(everyone[start : start + 5])
    assert await office.at("2026-11-25 15:00:01") == []  # more of it may come
    told = [f"{each}: Waits for your decision (M-1): Open enrolment" for each in (CIO, DEPUTY, SECOND)]
    assert await office.at("2026-11-25 15:00:03") == told
    assert await office.at("2026-11-25 15:10") == []


async def test_the_notice_says_all_that_a_decision_needs(office):
    await office.hold(body=WITH_FILE)
    mail = await office.letter("2026-11-25 15:05", CIO)
    assert mail["To"] == f"{CIO}, {DEPUTY}, {SECOND}" and mail["Auto-Submitted"] == "auto-generated"
    text = text_of(mail)
    for words in (
        "Mailing: M-1",
        "Subject: Open enrolment",
        f"Sender: {SENDER}",
        "Reaches: 240 users in 2 agencies (Administration 120, Health 120)",
        "Files: plan.pdf (4 kB)",
        "over the limit (1220.XS2 III.A)",
        "From: <head@doa.example.gov>",
        "Links to: nothing",
        f"Whose yes it needs: {CIO}, {DEPUTY} (for {CIO}) or {SECOND} (approver)",
        "these are the sender's words, not ours): | Hello.",
        "If nobody decides: what is held of it goes back to its sender on Friday 4 December 2026, 15:00 MST",
        "gatekeeper mailing show M-1",
        "Ask servicedesk@example.gov",
    ):
        assert words in text, words
    assert len(mail.get_content().splitlines()) <= 37


async def test_the_notices_say_how_many_have_it_already(office):
    """A mailing that passed until it was too large: to say that nothing of it was sent would be false."""
    passed = arrival(people(150), subject="Open enrolment", message_id="0@x")
    assert (await office.store.decide(replace(passed, now=office.clock.now), limit(200))).verdict.action == "relay"
    await office.hold(people(90, start=150))
    waiting = text_of(await office.letter("2026-11-25 15:05", CIO))
    assert "waits for your decision. 150 people have it already." in waiting and "Nothing of it" not in waiting
    reminder = text_of(await office.letter("2026-11-30 15:05", CIO))
    assert "150 people have it already." in " ".join(reminder.split()) and "Nothing of it" not in reminder
    office.letters()
    office.clock.set("2026-12-02 15:05")
    await office.reminders.attend()
    letters = {job.recipient: " ".join(text_of(read(job.content)).split()) for job in office.letters()}
    assert all("150 people have it already." in letters[each] for each in (ADMIN, SENDER))
    assert not any("Nothing of it" in each for each in letters.values())


async def test_the_notices_tell_what_is_still_on_its_way_of_what_was_approved_before(office):
    await office.hold()
    office.service.approve(1, CIO)
    await office.hold(people(10, start=240), message_id="2@x")
    text = " ".join(text_of(await office.letter("2026-11-25 15:05", CIO)).split())
    assert "It is on its way to 240 recipients." in text and "Nothing of it" not in text and "already" not in text


async def test_files_are_told_of_every_message_of_it_and_nothing_is_said_where_nobody_has_looked(office):
    await office.hold()
    await office.hold(people(10, start=240), body=WITH_FILE, message_id="2@x", digest="f11e")
    text = text_of(await office.letter("2026-11-25 15:05", CIO))
    assert "Files: plan.pdf (4 kB)" in " ".join(text.split())
    office.letters()
    office.service.deny(1, CIO, "no")
    told = [text_of(read(job.content)) for job in office.letters() if job.recipient == SECOND]
    assert len(told) == 1 and "Files" not in told[0]


async def test_of_very_many_messages_the_notice_says_how_many_were_searched_for_files(office):
    for number in range(25):
        first = people(240) if not number else people(1, start=240 + number)
        await office.hold(
            first, message_id=f"{number}@x", digest=f"{number:04x}", body=b"Subject: %d\r\n\r\nHi" % number
        )
    text = " ".join(text_of(await office.letter("2026-11-25 15:05", CIO)).split())
    assert "Files: none (in the first 20 of 25 different messages)" in text


async def test_all_mails_about_a_mailing_are_one_thread(office):
    await office.hold()
    first = await office.letter("2026-11-25 15:05", SECOND)
    again = await office.letter("2026-11-30 15:05", SECOND)
    office.service.approve(1, CIO)
    root = first["Message-ID"]
    assert again["References"] == again["In-Reply-To"] == root and again["Message-ID"] != root
    assert "References" not in first


# -- reminded, passed on, expired (policy M5) --------------------------------------------------------------------


async def test_reminders_by_working_days_over_thanksgiving(office):
    await office.hold()
    await office.at("2026-11-25 15:05")
    assert await office.at("2026-11-30 14:59") == []  # the 26th is a holiday
    assert await office.at("2026-11-30 15:00") == [
        f"{CIO}: Still waits for your decision (M-1): Open enrolment",
        f"{DEPUTY}: Still waits for your decision (M-1): Open enrolment",
        f"{SENDER}: Still waiting (M-1): Open enrolment",
        f"{SECOND}: Still waits for your decision (M-1): Open enrolment",
    ]
    assert await office.at("2026-11-30 15:10") == []


async def test_passed_on_to_the_next_role_who_may_decide_then(office):
    await office.hold()
    await office.at("2026-11-25 15:05")
    await office.at("2026-11-30 15:00")
    with pytest.raises(NotAllowed, match="may not decide it"):
        office.service.approve(1, ADMIN)
    told = await office.at("2026-12-02 15:00")
    assert f"{ADMIN}: Passed on (M-1): Open enrolment" in told
    assert f"{SENDER}: Still waiting (M-1): Open enrolment" in told
    assert office.service.approve(1, ADMIN).mailing.state == "released"


async def test_it_expires_to_its_sender_and_those_who_were_asked_know(office):
    """How it stands is told at each change (policy M5)."""
    await office.hold()
    await office.at("2026-11-25 15:05")
    assert office.service.show(1).mailing.state == "held"
    office.clock.set("2026-12-04 15:00")
    await office.reminders.attend()
    letters = {job.recipient: read(job.content) for job in office.letters()}
    report = letters[SENDER]
    assert report["Subject"] == "Not sent, not decided in time (M-1): Open enrolment" and len(parts_of(report)) == 3
    assert set(letters) == {SENDER, CIO, DEPUTY, SECOND}
    assert "not decided in time, and went back to its sender" in text_of(letters[CIO])
    case = office.service.show(1)
    assert (case.mailing.state, case.batches[0].state) == ("expired", "returned")
    assert [(event.act, event.by) for event in case.events][-1] == ("expired", None)
    assert (await office.hold(message_id="2@x")).mailing == "M-2"  # and what comes next is another mailing


@pytest.mark.parametrize(
    ("verb", "by", "said"),
    [
        ("approve", CIO, f"it was approved by {CIO}, and is on its way."),
        ("deny", CIO, f"it was denied by {CIO}, and what was held of it is not sent."),
        ("ask_changes", CIO, f"it was sent back with changes asked by {CIO}, and what was held of it is not sent."),
        ("withdraw", ADMIN, f"it was withdrawn by {ADMIN}, and what was held of it is not sent."),
    ],
)
async def test_who_decided_is_named_beside_what_they_did(office, verb, by, said):
    await office.hold()
    await office.at("2026-11-25 15:05")
    getattr(office.service, verb)(1, by, "so it is")
    (text,) = [text_of(read(job.content)) for job in office.letters() if job.recipient == SECOND]
    assert said in " ".join(text.split())


async def test_all_who_agreed_are_named_to_those_who_were_asked(store):
    office = Office(store, RULES + "    ask: {any: 2, of: [approver]}\n")
    await office.hold()
    await office.at("2026-11-25 15:05")
    office.service.approve(1, SECOND)
    office.service.approve(1, CIO)
    texts = {job.recipient: text_of(read(job.content)) for job in office.letters() if job.content}
    assert f"approved by {SECOND} and {CIO}, and is on its way" in " ".join(texts[SECOND].split())
    assert CIO not in texts


async def test_who_has_agreed_already_is_not_reminded(store):
    office = Office(store, RULES + "    ask: {any: 2, of: [approver]}\n")
    await office.hold()
    await office.at("2026-11-25 15:05")
    office.service.approve(1, SECOND)
    assert [each for each in await office.at("2026-11-30 15:00") if each.startswith(SECOND)] == []


async def test_an_owner_asked_only_when_needed_is_asked_by_an_approver(store):
    """Staff mail goes by human resources when necessary (policy T7)."""
    hr = "hr@example.gov"
    rules = RULES.replace("  admin@", f"  {hr}: {{roles: [owner], of: [DPHHS], asked: when needed}}\n  admin@")
    office = Office(store, rules + "    ask: [approver, owners]\n")
    await office.hold()
    assert hr not in "".join(await office.at("2026-11-25 15:05"))
    with pytest.raises(NotAllowed, match="does not stand under people"):
        office.service.ask(1, CIO, "nobody@example.gov")
    with pytest.raises(NotAllowed, match="may not decide it"):
        office.service.ask(1, ADMIN, hr)
    assert hr in office.service.ask(1, CIO, hr).missing
    assert office.sent() == [f"{hr}: Waits for your decision (M-1): Open enrolment"]
    assert office.service.approve(1, CIO).missing == (hr,)
    assert office.service.approve(1, hr).mailing.state == "released"


async def test_held_again_after_a_release_is_told_again(office):
    await office.hold()
    await office.at("2026-11-25 15:05")
    office.service.approve(1, CIO)
    office.letters()
    office.clock.set("2026-11-25 16:00")
    await office.hold(people(250), message_id="2@x")
    told = await office.at("2026-11-25 16:00:05")
    assert [each for each in told if each.startswith(SECOND)] == [
        f"{SECOND}: Waits for your decision (M-1): Open enrolment"
    ]


async def test_nobody_is_told_where_nobody_could_decide_and_the_gate_goes_on(store):
    office = Office(store, RULES.replace("roles: [approver]", "roles: [auditor]").replace("[admin]", "[auditor]"))
    await office.hold()
    assert await office.at("2026-11-25 15:05") == [] and await office.at("2026-11-25 15:10") == []


async def test_a_sender_who_wants_no_mail_gets_none(office):
    await office.hold(notify=False)
    await office.at("2026-11-25 15:05")
    assert SENDER not in "".join(await office.at("2026-11-30 15:00"))


async def test_a_notice_of_the_gates_own_that_is_held_is_told_of_by_no_other(office):
    await office.hold(envelope="", message_id="waiting.1@gate.example.gov")
    assert await office.at("2026-11-25 15:05") == [] and await office.at("2026-11-30 15:05") == []


async def test_processes_that_look_at_once_do_each_step_once(office, database_url):
    await office.hold()
    others = [Store(Database(database_url, timeout=10)) for _ in range(3)]
    try:
        for store in others:
            store.open()
        office.clock.set("2026-11-25 15:05")
        letterhead = office.reminders.letterhead
        looking = [Reminders(store, letterhead, clock=office.clock) for store in others]
        for moment, expected in (("2026-11-25 15:05", 3), ("2026-11-30 15:00", 4), ("2026-12-04 15:00", 4)):
            office.clock.set(moment)
            await asyncio.gather(*(each.attend() for each in (office.reminders, *looking)))
            assert len(office.letters()) == expected
    finally:
        for store in others:
            store.close()


# -- what is due, and when ---------------------------------------------------------------------------------------

HELD = Held(Span(working_days=2), Escalation(Span(working_days=4)), Span(working_days=6))
CALENDAR = calendar_of(parse_ruleset(RULES, "rules.yaml", Path(".")))
SINCE = Clock("2026-11-25 15:00").now


def step(now, held=HELD, needed_by=None, **done):
    times = {name: Clock(text).now for name, text in done.items()}
    matter = Matter(MatterKind.MAILING, 1, SINCE, needed_by=needed_by, **times)
    return next(iter(due_steps(matter, held, CALENDAR, Clock(now).now)), None)


def test_a_legal_notice_is_passed_on_before_it_is_needed():
    needed = datetime(2026, 11, 30).date()
    assert step("2026-11-26 23:59", needed_by=needed, notified="2026-11-25 15:01") is None
    assert step("2026-11-27 00:00", needed_by=needed, notified="2026-11-25 15:01") == "passed on"


def test_it_is_told_before_it_is_passed_on_however_late_it_is():
    assert step("2026-12-03 15:00") == "told"
    assert step("2026-12-03 15:00", notified="2026-12-03 15:00") == "passed on"


def test_none_is_never():
    never = Held(Span(), Escalation(), Span())
    assert step("2030-01-01 12:00", never, notified="2026-11-25 15:01") is None
    assert step("2030-01-01 12:00", never) == "told"
