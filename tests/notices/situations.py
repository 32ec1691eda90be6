"""Every situation in which a gate writes to somebody, played on a gate of its own: its pipeline, office and people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from email.message import EmailMessage
from functools import partial
from pathlib import Path

from gatekeeper.background.monthly_reports import MonthlyReports
from gatekeeper.background.reminders import Reminders
from gatekeeper.ledger.cases import CaseWanted
from gatekeeper.ledger.preserves import PreserveWanted
from gatekeeper.ledger.service import Narrowed, Terms
from gatekeeper.lifecycle import RecipientState
from gatekeeper.outbox import letter_lists
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.outbox.to_admins import tell_undelivered
from gatekeeper.outbox.to_who_signs_in import LinkAsked, send_link
from gatekeeper.store import Connection, Database, Store, jobs
from tests.ledger.scene import TODAY, Scene
from tests.notices.queued import take_mails
from tests.notices.reading import read
from tests.store.arrivals import NOON, people
from tests.store.databases import lay_out

CIO, DEPUTY, ADMIN = "cio@example.gov", "deputy@example.gov", "admin@example.gov"
HEAD, NEWS, HR, CLERK = "head@doa.example.gov", "news@doa.example.gov", "hr@example.gov", "clerk@doa.example.gov"
URL = "https://gate.example.gov"
HOUR, DAY = 3_600.0, 86_400.0
RULES = f"""\
version: 1
title: Mass electronic mail
contact: servicedesk@example.gov, 406-555-0100
timezone: America/Denver
agencies:
  DOA: {{name: Department of Administration, domains: [doa.example.gov]}}
  DPHHS: {{name: Public Health and Human Services, domains: [dphhs.example.gov]}}
people:
  {CIO}: {{roles: [approver], final: true}}
  {DEPUTY}: {{roles: [approver]}}
  {ADMIN}: {{roles: [admin]}}
  {HR}: {{roles: [owner], of: [DPHHS], asked: when needed}}
  {HEAD}: {{roles: [requester], of: [DOA]}}
mailing: {{gather: off}}
requests: {{notice: 5 working days, calendar: US-MT}}
held: {{remind: 2 working days, escalate: {{after: 4 working days}}, expire: 10 working days}}
preflight: may-i@example.gov
mass: {{people: {{over: 200}}}}
rules:
  - id: approval
    cite: 1220.XS2 III.A
    when: {{users: {{over: 2000}}, agencies: {{over: 1}}}}
    then: hold
    ask: {{any: 2, of: [approver, owners]}}
    say: This mailing reaches {{users}} users in {{agencies}} agencies; over 2000 users in more than one agency needs approval.
  - id: attachments
    when: {{mass: true, attachments: {{over: 0}}}}
    then: warn
    say: Mass mail should not carry attachments; link to the file instead.
"""  # noqa: E501
ONE = RULES.replace("    ask: {any: 2, of: [approver, owners]}\n", "")
TEXT = b"""Dear colleagues,

open enrolment for health insurance begins on Monday. Please read what
changes for families, and choose a plan by 15 December:

https://benefits.example.gov/enrolment

Your benefits team
"""
FILE = b"""--b
Content-Type: text/plain

%s
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename="plan.pdf"

%s
--b--
""" % (TEXT, b"x" * 40_960)


@dataclass(frozen=True)
class Letter:
    """What somebody got."""

    reader: str
    mail: EmailMessage

    @property
    def text(self) -> str:
        """What people read of it."""
        body = self.mail.get_body(("plain",))
        assert body is not None
        return str(body.get_content())


class Play(Scene):
    """A gate whose letters are read."""

    def __init__(self, folder: Path, rules: str = ONE) -> None:
        self.opened = Store(Database(lay_out(folder / "gate.db"), timeout=5))
        self.opened.open()
        super().__init__(self.opened, folder, rules)
        self.pipeline.settings = replace(self.pipeline.settings, public_url=URL)
        self.reminders = Reminders(self.store, self.letterhead, clock=self.clock)

    def letterhead(self) -> Letterhead:
        return Letterhead(self.active_policy.current.ruleset, "gate.example.gov", URL)

    async def mass(self, number: int = 2400, start: int = 0, sender: str = NEWS, **more: object):
        """Mail of that sender to so many people."""
        head = f'From: "Benefits" <{sender}>\r\nTo: undisclosed-recipients:;\r\nSubject: Open enrolment\r\n'
        head += f"Message-ID: <{self.sent + 1}@doa.example.gov>\r\nMIME-Version: 1.0\r\n"
        text = more.pop("text", None) or TEXT
        kind = 'multipart/mixed; boundary="b"' if more.pop("file", False) else "text/plain"
        content = f"{head}Content-Type: {kind}\r\n\r\n".encode() + text.replace(b"\n", b"\r\n")
        one = self.message(people(number, start=start), sender=sender, **more)
        return await self.pipeline.receive(replace(one, content=content), self.hop)

    async def after(self, seconds: float = 3.0) -> list[Letter]:
        """Let time pass; what was mailed by then."""
        self.now += seconds
        await self.reminders.attend()
        return self.letters()

    def letters(self) -> list[Letter]:
        """What waits to be mailed."""
        mails = take_mails(self.store, self.now + 1, self._compose)
        return [Letter(job.recipient, read(job.content)) for job in mails if job.content is not None]

    def _compose(self, connection, job):
        is_list = job.kind == jobs.NOTICE and job.content is None
        return letter_lists.compose(connection, self.letterhead(), job, self.now) if is_list else job.content


def to(letters: list[Letter], reader: str, subject: str = "") -> Letter:
    """The one letter to that reader whose subject begins so."""
    (found,) = [each for each in letters if each.reader == reader and str(each.mail["Subject"]).startswith(subject)]
    return found


@dataclass(frozen=True)
class Situation:
    """A situation in which somebody gets a letter: what happens, who reads, what they are told, where it is tested."""

    happens: str
    reader: str
    told: str
    tested: str  # a file below tests/
    play: Callable[[Path], Awaitable[Letter]]

    @property
    def heading(self) -> str:
        """The heading of its letter in docs/notices.md."""
        return f"{self.happens}: {self.reader}"


LETTERS: list[Situation] = []


def letter(happens: str, reader: str, told: str, tested: str):
    """Add a function that plays a situation to LETTERS."""

    def add(play: Callable[[Path], Awaitable[Letter]]) -> Callable[[Path], Awaitable[Letter]]:
        LETTERS.append(Situation(happens, reader, told, tested, play))
        return play

    return add


# -- mailings ----------------------------------------------------------------------------------------------------


@letter(
    "A mailing is held",
    "its sender, each where there are several",
    "who has it already, why it is held, who decides, until when, how to take it back",
    "ledger/test_what_senders_read.py",
)
async def held_to_sender(folder: Path) -> Letter:
    play = Play(folder)
    await play.mass(300, text=FILE[:4])
    await play.mass(2400, start=300)
    return to(await play.after(), NEWS, "Held")


@letter(
    "A mailing is held",
    "those who decide",
    "who writes what to whom, who has it, files, links, first lines, why, whose yes it needs, when it goes back",
    "background/test_what_deciders_see.py",
)
async def waiting(folder: Path) -> Letter:
    play = Play(folder, RULES)
    await play.mass(1500)
    await play.mass(900, start=1500, text=FILE, file=True)
    return to(await play.after(), CIO)


@letter(
    "A mailing is held, and one like it was denied before",
    "those who decide",
    "besides, who denied it before, when and why",
    "background/test_what_deciders_see.py",
)
async def waiting_again(folder: Path) -> Letter:
    play = await _held(folder)
    play.service.deny(1, DEPUTY, "The date is wrong")
    await play.after(2 * HOUR)
    await play.mass()
    return to(await play.after(), CIO)


@letter(
    "Nobody has decided for a while",
    "those who have not agreed",
    "since when it waits and why, whose yes is missing, when it goes back",
    "background/test_reminders_of_mailings.py",
)
async def reminder(folder: Path) -> Letter:
    play = await _waited(folder, 2)
    return to(play.letters(), CIO)


@letter(
    "Nobody has decided for a while",
    "each sender",
    "who was reminded, why it is held, whose yes is missing, when it goes back",
    "ledger/test_what_senders_read.py",
)
async def still_waiting(folder: Path) -> Letter:
    play = await _waited(folder, 2)
    return to(play.letters(), NEWS)


@letter(
    "A mailing is passed on",
    "those who may decide now, and those who were asked",
    "who may decide now, and all that those who were asked saw",
    "background/test_what_deciders_see.py",
)
async def passed_on(folder: Path) -> Letter:
    play = await _waited(folder, 7)
    return to(play.letters(), ADMIN)


async def _held(folder: Path, rules: str = ONE) -> Play:
    """A gate on which a mailing is held, of which those who decide were told."""
    play = Play(folder, rules)
    await play.mass()
    await play.after()
    return play


async def _waited(folder: Path, days: int) -> Play:
    play = await _held(folder)
    play.now += days * DAY
    await play.reminders.attend()
    return play


@letter(
    "A mailing is approved",
    "each sender",
    "all who agreed, to how many it goes; not that it has been sent",
    "ledger/test_what_senders_read.py",
)
async def approved_to_sender(folder: Path) -> Letter:
    play = await _held(folder, RULES)
    play.service.approve(1, DEPUTY)
    play.service.approve(1, CIO, "Please send it in the evening next time")
    return to(play.letters(), NEWS)


@letter(
    "A part of a mailing is approved",
    "each sender",
    "that it is a part, and that the rest is held",
    "ledger/test_seen.py",
)
async def approved_in_part(folder: Path) -> Letter:
    play = await _held(folder)
    seen = play.service.show(1).mailing.version
    await play.mass(400, start=2400, text=b"Another text that is not as the others were, and quite long too.\n")
    play.letters()
    play.service.approve(1, CIO, seen=seen, only_seen=True)
    return to(play.letters(), NEWS)


@letter(
    "A mailing is approved",
    "the others who were asked",
    "that nothing is left to do, and all who agreed",
    "background/test_reminders_of_mailings.py",
)
async def approved_to_others(folder: Path) -> Letter:
    play = await _held(folder, RULES)
    play.service.approve(1, DEPUTY)
    play.service.approve(1, CIO, "Agreed with HR")
    return to(play.letters(), DEPUTY)


@letter(
    "A mailing is denied",
    "each sender",
    "who denied it and why, who has it already, who gets nothing",
    "ledger/test_what_senders_read.py",
)
async def denied_to_sender(folder: Path) -> Letter:
    play = await _held(folder)
    play.service.deny(1, CIO, "A birthday is no official business")
    return to(play.letters(), NEWS)


@letter(
    "A mailing is denied",
    "the others who were asked",
    "that nothing is left to do, who denied it and why, who has it already",
    "background/test_reminders_of_mailings.py",
)
async def denied_to_others(folder: Path) -> Letter:
    play = await _held(folder)
    play.service.deny(1, CIO, "A birthday is no official business")
    return to(play.letters(), DEPUTY)


@letter(
    "A mailing is sent back with changes asked",
    "each sender",
    "what to change, by whom it is asked, and that it may be sent again",
    "ledger/test_what_senders_read.py",
)
async def returned_to_sender(folder: Path) -> Letter:
    play = await _held(folder)
    play.service.ask_changes(1, CIO, "Name the people to call about the plans")
    return to(play.letters(), NEWS)


@letter(
    "A mailing is withdrawn by somebody else",
    "each sender",
    "who withdrew it and why, who has it already",
    "ledger/test_what_senders_read.py",
)
async def withdrawn_to_sender(folder: Path) -> Letter:
    play = await _held(folder)
    play.service.withdraw(1, ADMIN, "Asked by telephone")
    return to(play.letters(), NEWS)


@letter(
    "A mailing is not decided in time",
    "each sender",
    "that it goes back, and why it was held",
    "background/test_reminders_of_mailings.py",
)
async def lapsed_to_sender(folder: Path) -> Letter:
    play = await _waited(folder, 20)
    return to(play.letters(), NEWS)


@letter(
    "A mailing breaks a rule that only warns",
    "its sender",
    "that it was sent, and what to do next time",
    "notices/test_notices.py",
)
async def warned(folder: Path) -> Letter:
    play = Play(folder)
    await play.mass(300, text=FILE, file=True)
    return to(play.letters(), NEWS)


@letter(
    "An approved mailing is refused by the next mail server, and so is the report to its sender",
    "every admin",
    "how many got it, that its sender does not know, where the answers are",
    "background/test_delivery_queue.py",
)
async def undelivered(folder: Path) -> Letter:
    play = Play(folder)
    await play.mass()
    play.service.approve(1, CIO)
    play.letters()
    play.store.call(partial(_refuse, play))
    return to(play.letters(), ADMIN)


def _refuse(play: Play, connection: Connection) -> None:
    answers = dict.fromkeys(range(2400), (RecipientState.REFUSED, "554 5.7.1 not here"))
    jobs.record_answers(connection, 1, answers, play.now)
    why = f"the report to {NEWS} was given up as well"
    tell_undelivered(connection, play.letterhead(), 1, why, play.now)


@letter(
    "Many mailings are held within an hour",
    "those who decide",
    "which wait, from whom, to how many, when each goes back; what has become of each",
    "background/test_letter_lists.py",
)
async def listed(folder: Path) -> Letter:
    play = Play(folder)
    for number in range(3):
        await play.mass(
            2400, start=number, text=TEXT.replace(b"Monday", b"Tuesday"), sender=f"news{number}@doa.example.gov"
        )
        await play.after()
    return to(await play.after(HOUR), CIO)


@letter(
    "Somebody asks whether they may",
    "who asks",
    "the verdict, whom it would reach, every reason",
    "pipeline/test_preflight.py",
)
async def may_i(folder: Path) -> Letter:
    play = Play(folder)
    one = play.message(["may-i@example.gov", *people(2400)], sender=CLERK)
    await play.pipeline.receive(one, play.hop)
    return to(play.letters(), CLERK)


# -- requests ----------------------------------------------------------------------------------------------------

PLANNED = TODAY + timedelta(days=9)


async def _requested(folder: Path, rules: str = ONE, **changes: object) -> Play:
    play = Play(folder, rules)
    play.ask("The plans change by law", **{"planned": PLANNED, "users": 2400, **changes})
    return play


@letter(
    "A request is received",
    "who asked",
    "that nothing may be sent yet, who decides, until when",
    "background/test_reminders_of_requests.py",
)
async def request_received(folder: Path) -> Letter:
    return to(await (await _requested(folder)).after(), HEAD)


@letter(
    "A request is received",
    "those who decide",
    "what is asked, what its requester says, whose yes is missing",
    "background/test_what_deciders_see.py",
)
async def request_waiting(folder: Path) -> Letter:
    return to(await (await _requested(folder)).after(), CIO)


@letter(
    "A request is approved",
    "who asked",
    "the permit: from when until when, how often, how many users, what content",
    "background/test_reminders_of_requests.py",
)
async def request_approved(folder: Path) -> Letter:
    play = await _requested(folder)
    await play.after()
    play.service.approve_request(1, CIO, "Good luck", Terms())
    return to(await play.after(), HEAD)


@letter("A request is not needed", "who asked", "that they may send it without asking", "background/test_terms.py")
async def request_unneeded(folder: Path) -> Letter:
    return to(await (await _requested(folder, users=150)).after(), HEAD)


@letter("A permit is narrowed", "who asked", "by whom and why, and what is permitted now", "background/test_terms.py")
async def permit_narrowed(folder: Path) -> Letter:
    play = await _requested(folder)
    play.service.approve_request(1, CIO, "", Terms())
    await play.after()
    play.service.narrow(1, CIO, "The hall holds fewer", Narrowed(max_users=2100))
    return to(await play.after(), HEAD)


@letter(
    "Changes are asked of a request",
    "who asked",
    "what to change, how to submit it again and until when",
    "background/test_reminders_of_requests.py",
)
async def request_changes(folder: Path) -> Letter:
    play = await _requested(folder)
    await play.after()
    play.service.ask_changes_of_request(1, CIO, "Please send it after the holiday")
    return to(await play.after(), HEAD)


@letter(
    "A request is denied",
    "who asked",
    "who denied it and why, whether and how it may be appealed",
    "background/test_reminders_of_requests.py",
)
async def request_denied(folder: Path) -> Letter:
    play = await _requested(folder)
    await play.after()
    play.service.deny_request(1, DEPUTY, "Not in the week of the election")
    return to(await play.after(), HEAD)


@letter(
    "A denial is appealed",
    "those who decide",
    "that it is an appeal, the denial before it, what its requester says",
    "background/test_what_deciders_see.py",
)
async def request_appealed(folder: Path) -> Letter:
    play = await _requested(folder)
    await play.after()
    play.service.deny_request(1, DEPUTY, "Not in the week of the election")
    await play.after()
    play.service.submit_again(1, play.nothing_new(), HEAD, "The law names the day", appeal=True)
    return to(await play.after(), CIO)


@letter(
    "A permit of a request is used",
    "who asked",
    "by which mailing, and that for another they must ask again",
    "background/test_reminders_of_requests.py",
)
async def request_used(folder: Path) -> Letter:
    play = await _requested(folder, planned=TODAY)
    await play.after()
    play.service.approve_request(1, CIO, "", Terms())
    await play.after()
    await play.mass()
    return to(await play.after(), HEAD)


@letter(
    "Somebody asks for a link to sign in",
    "who may sign in",
    "from where and by which browser it was asked for, what the link needs, until when",
    "console/test_signing_in.py",
)
async def link_asked(folder: Path) -> Letter:
    play = Play(folder)
    play.store.call(lambda connection: send_link(connection, play.letterhead(), ASKED, play.now))
    return to(play.letters(), CIO)


ASKED = LinkAsked(
    CIO,
    f"{URL}/signin/link/uX3f0c9Qk1",
    False,
    "192.0.2.7",
    "Mozilla/5.0 (Android 16; Mobile; rv:150.0) Gecko/150.0 Firefox/150.0",
    NOON.timestamp() + 900.0,
)


# -- emergencies -------------------------------------------------------------------------------------------------


EMERGENCIES = "background/test_emergencies.py"


async def _emergency(folder: Path) -> Play:
    play = Play(folder)
    play.service.declare_emergency("DOA", HEAD, "The water in the main building is not safe", 12)
    return play


@letter(
    "An emergency is declared",
    "every approver",
    "whose, by whom, why, until when, how to end it",
    EMERGENCIES,
)
async def emergency_declared(folder: Path) -> Letter:
    return to(await (await _emergency(folder)).after(), CIO)


@letter(
    "Nobody has reviewed an emergency",
    "every approver",
    "besides, what was sent under it",
    EMERGENCIES,
)
async def emergency_to_review(folder: Path) -> Letter:
    play = await _emergency(folder)
    await play.after()
    await play.mass()
    play.letters()
    return to(await play.after(2 * DAY), CIO)


@letter(
    "An emergency is reviewed",
    "who declared it, and the other approvers",
    "by whom, and what was found",
    EMERGENCIES,
)
async def emergency_reviewed(folder: Path) -> Letter:
    play = await _emergency(folder)
    await play.after()
    play.service.review_permit(1, CIO, "One message, to those in the building")
    return to(play.letters(), HEAD)


# -- the report of a month -----------------------------------------------------------------------------------------


@letter(
    "A month is over",
    "each address under `reports: monthly`",
    "where its compliance report is, and its SHA-256",
    "background/test_monthly_reports.py",
)
async def month_over(folder: Path) -> Letter:
    play = Play(folder, ONE.replace("rules:\n", f"reports: {{monthly: [{CIO}]}}\nrules:\n", 1))
    play.now += 8 * DAY
    duty = MonthlyReports(play.store, play.letterhead, lambda ruleset, period: "{}", lambda: None, play.clock)
    await duty.attend()
    return to(play.letters(), CIO)


# -- legal holds -------------------------------------------------------------------------------------------------

RECORDS = "records@example.gov"


async def _preserved(folder: Path) -> Play:
    play = Play(folder, RULES.replace("people:\n", f"people:\n  {RECORDS}: {{roles: [records]}}\n", 1))
    play.service.open_case(CaseWanted("Smith v. State", "litigation", "2026-17"), RECORDS)
    wanted = PreserveWanted(1, custodians=(NEWS,), subjects=("enrolment",), since=date(2026, 1, 1))
    play.service.preserve(wanted, RECORDS, "Smith v. State: how the enrolment of 2026 was announced")
    return play


@letter(
    "Mail is preserved for a lawsuit",
    "each custodian",
    "what not to destroy, since when, why, whom to ask, how to confirm it",
    "ledger/test_preserves.py",
)
async def custodian_told(folder: Path) -> Letter:
    return to((await _preserved(folder)).letters(), NEWS)


@letter(
    "A custodian has not confirmed a hold",
    "that custodian",
    "the same again",
    "ledger/test_preserves.py",
)
async def custodian_reminded(folder: Path) -> Letter:
    play = await _preserved(folder)
    play.letters()
    return to(await play.after(3 * DAY), NEWS)
