"""Both listeners, one table of mail: the verdict, its reasons, the counts and all that the message says are equal.

Each mail goes to two gates with nothing in common but their rules; what they decided is compared. The milter is told
what an MTA tells it. Mail whose header is broken is left out: an MTA ends it where it likes before it tells anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gatekeeper.delivery import NextHop
from gatekeeper.pipeline.pipeline import Pipeline, TransactionRun
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.server.milter_server import MilterListener
from gatekeeper.server.smtp_listener import SmtpListener
from gatekeeper.server.smtp_server import MailAcceptance
from gatekeeper.server.sockets import open_sockets
from gatekeeper.settings import Settings, read_settings
from gatekeeper.store import Database, Store, views
from tests.peers.gate import RULES
from tests.peers.milter import Answer, MilterClient
from tests.peers.sink import Sink
from tests.postfix.mails import KINDS, Letter, odd
from tests.server.talking import PATIENCE, Client
from tests.store.arrivals import people
from tests.store.databases import lay_out

HEAD = "head@doa.example.gov"
MORE_RULES = """
  - id: automatic
    when: {mass: true, list_id: {missing: false}}
    then: warn
    say: Lists are watched.
  - id: suspicious
    when: {subject: {like: "*winner*"}}
    then: defer
    say: Not today.
"""


# -- the two ways in ---------------------------------------------------------------------------------------------


@dataclass
class Gate:
    """Both listeners before one pipeline with a database of its own."""

    smtp: SmtpListener
    milter: MilterListener
    store: Store
    passages: list[TransactionRun] = field(default_factory=list)

    async def by_smtp(self, letter: Letter, login: str = "") -> str:
        """The reply to the message."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.smtp.port))
        await client.reply()
        if login:
            await client.ask(f"XCLIENT LOGIN={login}")
        await client.ask("EHLO client.example.gov")
        commands = [" ".join([f"MAIL FROM:<{letter.sender}>", *letter.parameters])]
        commands += [" ".join([f"RCPT TO:<{address}>", *letter.each]) for address in letter.recipients]
        client.say("".join(f"{command}\r\n" for command in commands))
        assert {reply[:3] for reply in await client.replies(len(commands))} == {"250"}
        assert (await client.ask("DATA"))[:3] == "354"
        content = letter.content if letter.content.endswith(b"\r\n") else letter.content + b"\r\n"
        client.say((b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
        reply = await client.reply()
        client.leave()
        return reply

    async def by_milter(self, letter: Letter, login: str = "") -> Answer:
        def send() -> Answer:
            with MilterClient.tcp(self.milter.port) as mta:
                recipients = [(address, *letter.each) for address in letter.recipients]
                macros = {"auth_authen": login} if login else {}
                return mta.message(letter.sender, recipients, letter.content, parameters=letter.parameters, **macros)

        return await asyncio.to_thread(send)

    def mailings(self) -> list[Any]:
        return self.store.call(partial(views.list_mailings))


def settings_of(folder: Path, sink: Sink, rules: str = RULES + MORE_RULES) -> Settings:
    folder.mkdir(exist_ok=True)
    (folder / "rules.yaml").write_text(rules)
    given = {"listen": "127.0.0.1:0", "milter": "127.0.0.1:0", "xclient": "127.0.0.0/8", "hostname": "gate.example.gov"}
    given |= {"next_hop": f"smtp://127.0.0.1:{sink.port}", "rules": str(folder / "rules.yaml")}
    return read_settings(given, {})


@asynccontextmanager
async def open_gate(folder: Path, sink: Sink, rules: str = RULES + MORE_RULES) -> AsyncIterator[Gate]:
    settings = settings_of(folder, sink, rules)
    store = Store(Database(lay_out(folder / "gate.db"), 5))
    store.open()
    next_hop = NextHop(settings.next_hop)
    pipeline = Pipeline(settings.judging, ActivePolicy(settings.judging.rules), store)
    smtp = SmtpListener(settings.listening, next_hop, pipeline, MailAcceptance(lambda sender, client: True))
    gate = Gate(smtp, MilterListener(settings.listening, pipeline, lambda: None), store)
    pipeline.report = gate.passages.append
    await gate.smtp.start()
    assert settings.listening.milter
    await gate.milter.start(open_sockets(settings.listening.milter))
    try:
        yield gate
    finally:
        await asyncio.gather(gate.smtp.stop(PATIENCE), gate.milter.stop(PATIENCE))
        await next_hop.close()
        store.close()


@asynccontextmanager
async def open_gates(tmp_path: Path) -> AsyncIterator[tuple[Gate, Gate]]:
    async with Sink() as sink, open_gate(tmp_path / "a", sink) as one, open_gate(tmp_path / "b", sink) as other:
        yield one, other


def decided(run: TransactionRun) -> dict[str, Any]:
    """What the listeners must agree on. Sizes may differ by an empty line at the end, and Received is not told yet."""
    assert run.arrival and run.outcome, run.failure
    arrival, outcome, transaction = run.arrival, run.outcome, run.transaction
    return {
        "verdict": outcome.verdict,
        "counts": outcome.counts,
        "mailing": outcome.mailing,
        "kept": outcome.batch is not None,
        "facts": replace(arrival.facts, size=0),
        "source": arrival.source,
        "keys": arrival.keys,
        "identity": arrival.identity(),
        "notify": arrival.notify,
        "envelope": (transaction.sender, transaction.recipients, transaction.parameters, transaction.login),
    }


# -- the table ---------------------------------------------------------------------------------------------------


def mail(
    *readers: str, subject: str | None = "Open enrolment", extra: str = "", body: str = "Hello\r\n", sender: str = HEAD
) -> Letter:
    head = f"From: {sender or HEAD}\r\nMessage-ID: <1@doa.example.gov>\r\n"
    head += f"Subject: {subject}\r\n" if subject else ""
    return Letter("", sender, readers or ("one@example.org",), f"{head}{extra}\r\n{body}".encode())


PDF = 'MIME-Version: 1.0\r\nContent-Type: application/pdf; name="a.pdf"\r\n'
TABLE = {
    "ordinary": mail(),
    "over the limit": mail(*people(2600)),
    "at the limit": mail(*people(2000)),
    "one agency": mail(*people(2600, "doa.example.gov")),
    "without a subject": mail(*people(300), subject=None),
    "visible": mail(*people(300), extra=f"To: {', '.join(people(30))}\r\n"),
    "two reasons": mail(*people(300), subject=None, extra=f"Cc: {', '.join(people(30))}\r\n"),
    "an attachment": mail(*people(300), extra=PDF),
    "an attachment to few": mail(extra=PDF),
    "deferred": mail(subject="A winner"),
    "a list": mail(*people(300), extra="List-Id: <staff.example.gov>\r\n"),
    "externals": mail(*people(300, "example.org")),
    "the same user twice": mail("a@doa.example.gov", "A@DOA.example.gov", "a+x@doa.example.gov"),
    "null sender": mail(*people(300), sender=""),
    "VERP": mail(sender="news-bounces+one=example.org@doa.example.gov"),
    "folded": mail(subject="Open\r\n enrolment\r\n\tbegins", extra="To: a@example.org,\r\n b@example.org\r\n"),
    "encoded": mail(subject="=?utf-8?q?Er=C3=B6ffnung?=", extra="X-Empty:\r\nX-Wide:    x  \r\nX-Close:y\r\n"),
    "blind copies named": mail(extra="Bcc: hidden@example.org\r\nReturn-Path: <x@example.org>\r\n"),
}
BROKEN_HEADER = {"broken fields"}


ODD = [letter for letter in odd(Random(7), len(KINDS)) if letter.kind not in BROKEN_HEADER]


async def assert_parity(tmp_path: Path, letter: Letter, login: str = "") -> tuple[str, Answer]:
    async with open_gates(tmp_path) as (one, other):
        reply, answer = await one.by_smtp(letter, login), await other.by_milter(letter, login)
        assert decided(one.passages[0]) == decided(other.passages[0])
        assert one.mailings() == [replace(each, **times(one)) for each in other.mailings()]
        return reply, answer


def times(gate: Gate) -> dict[str, Any]:
    names = ("key", "started_at", "changed_at", "held_at", "gather_until")
    return {name: getattr(gate.mailings()[0], name) for name in names}


@pytest.mark.parametrize("name", TABLE)
async def test_the_listeners_agree(tmp_path: Path, name: str) -> None:  # T9, D6
    reply, answer = await assert_parity(tmp_path, TABLE[name])
    expected = {"accept": "250 2.0.0 ", "discard": "250 2.0.0 Held for approval as M-1"}
    assert reply.startswith(expected.get(answer.verdict, answer.verdict))


@pytest.mark.parametrize("letter", ODD, ids=lambda letter: letter.kind)
async def test_the_listeners_agree_on_odd_mail(tmp_path: Path, letter: Letter) -> None:
    await assert_parity(tmp_path, letter)


async def test_the_listeners_agree_on_who_is_logged_in(tmp_path: Path) -> None:
    await assert_parity(tmp_path, mail(), login="clerk@doa.example.gov")


async def test_the_listeners_agree_on_what_is_gathered(tmp_path: Path) -> None:
    reply, answer = await assert_parity(tmp_path, mail(*people(50)))
    assert reply.startswith("250 2.0.0 M-1 not sent yet: counting recipients") and answer.verdict == "discard"


# -- a mailing half by each --------------------------------------------------------------------------------------


async def test_a_mailing_half_by_each_is_one(tmp_path: Path) -> None:  # T1, T9
    readers = people(2600)
    async with Sink() as sink, open_gate(tmp_path / "a", sink) as gate:
        assert (await gate.by_smtp(mail(*readers[:1300])))[:3] == "250"
        assert (await gate.by_milter(mail(*readers[1300:]))).verdict == "discard"
        assert (await gate.by_milter(mail(*readers[:1300]))).verdict == "discard"
        (mailing,) = gate.mailings()
        assert (mailing.counts.users, mailing.state) == (2600, "held")


async def test_a_resend_by_the_other_listener_is_no_second_copy(tmp_path: Path) -> None:
    letter = mail(*people(2600))
    async with Sink() as sink, open_gate(tmp_path / "a", sink) as gate:
        assert (await gate.by_milter(letter)).verdict == "discard"
        assert "Held for approval as M-1" in await gate.by_smtp(letter)
        assert gate.passages[1].outcome and gate.passages[1].outcome.repeated
        assert gate.mailings()[0].batches == 1
