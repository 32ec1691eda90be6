"""Mail that the next hop brings back: known as our own by its token, once; all else is judged like any mail."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gatekeeper.background.delivery_queue import Queue
from gatekeeper.delivery import NextHop
from gatekeeper.ledger.service import LedgerService
from gatekeeper.message.own_token import token_field, token_of
from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.rules import parse_ruleset
from gatekeeper.settings import Judging, NextHopSettings
from gatekeeper.smtp.replies import reply
from gatekeeper.store import Database, Store, StoreError, views
from tests.peers.gate import RULES
from tests.peers.sink import Sink
from tests.store.arrivals import people
from tests.store.databases import lay_out

HEAD = "head@doa.example.gov"
EVERYONE = people(2400)
HIDDEN = b"Bcc: x@example.org\r\nReturn-Path: <y@example.org>\r\n"
CONTENT = b"From: head@doa.example.gov\r\nSubject: enrolment\r\nMessage-ID: <1@x>\r\n\r\nHello\r\n"
LOOP = "554 5.4.6 Not sent: the mail gate has sent this on twice, the message goes round in a loop"


class World:
    """A gate whose mail a test can bring back to it."""

    def __init__(self, folder: Path, sink: Sink) -> None:
        rules = folder / "rules.yaml"
        rules.write_text(RULES)
        self.sink = sink
        self.store = Store(Database(lay_out(Path(folder) / "gate.db"), 5))
        self.store.open()
        self.now = self.store.now()
        judging, clock = Judging(rules, "enforce", 0, "", "gate.example.gov"), lambda: self.now
        self.pipeline = Pipeline(judging, ActivePolicy(rules), self.store, clock=clock, marks=True)
        self.letterhead = Letterhead(parse_ruleset(RULES, "rules.yaml", folder), "gate.example.gov")
        self.next_hop = NextHop(NextHopSettings(f"smtp://127.0.0.1:{sink.port}", 2.0, 5.0, "gate.example.gov"))
        self.queue = Queue(self.store, self.next_hop, lambda: self.letterhead, lease=30.0, marks=True)

    async def take_in(self, transaction: Transaction) -> tuple[str, list[bytes]]:
        """Our reply, and what was put before what was passed on."""
        passed: list[bytes] = []

        async def relay(added: bytes, *, blind: bool = False) -> object:
            passed.append(added)
            return reply(250, "passed on", "2.0.0")

        return str(await self.pipeline.receive(transaction, relay)), passed

    async def release(self, listener: str, content: bytes) -> list[Transaction]:
        """Hold it, approve it, send it: what came to the next hop."""
        answer, _ = await self.take_in(transaction(EVERYONE, content, listener=listener))
        assert "Held for approval as M-1" in answer
        LedgerService(self.store, self.letterhead).approve(1, "cio@example.gov")
        self.queue.start()
        async with asyncio.timeout(30):
            while sum(len(mail.addresses) for mail in self.released()) < len(EVERYONE):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return [transaction(mail.addresses, mail.content, listener=listener) for mail in self.released()]

    def released(self) -> list[object]:
        return [mail for mail in self.sink.mails if mail.sender]

    def counted(self) -> list[tuple[str, int]]:
        return [(mailing.id, mailing.counts.users) for mailing in self.store.call(views.list_mailings)]

    async def close(self) -> None:
        await self.queue.stop(1)
        await self.next_hop.close()
        self.store.close()


def transaction(recipients, content, listener="smtp", authenticated=False):
    trace = b"Received: from a by mx.example.gov; now\r\n" if listener == "milter" else b""
    people = tuple(Recipient(address) for address in recipients)
    client = Client("192.0.2.7", "tenant.example.org", "tenant.example.org")
    return Transaction(listener, client, HEAD, people, content, authenticated=authenticated, trace=trace)


@pytest.fixture
async def world(tmp_path):
    async with Sink() as sink:
        world = World(tmp_path, sink)
        yield world
        await world.close()


def returned(passed: list[bytes], content: bytes, **more) -> bytes:
    """The message as it was passed on."""
    (added,) = passed
    return added + content


@pytest.mark.parametrize("listener", ["smtp", "milter"])
async def test_released_mail_passes_once_and_is_a_loop_then(world, listener):
    released = await world.release(listener, CONTENT)
    tokens = [token_of(each.content) for each in released]
    assert len(set(tokens)) == len(released) == 5 and all(tokens)
    for each in released:
        answer, passed = await world.take_in(each)
        assert answer == "250 2.0.0 passed on" and len(passed) == 1
        again = replace(each, content=returned(passed, each.content))
        assert token_of(again.content) not in tokens
        assert await world.take_in(again) == (LOOP, [])
    assert world.counted() == [("M-1", 2400)]


@pytest.mark.parametrize("listener", ["smtp", "milter"])
async def test_relayed_mail_is_counted_once_and_turns_once(world, listener):
    recipients = people(300)
    answer, passed = await world.take_in(transaction(recipients, CONTENT, listener))
    content = returned(passed, CONTENT)
    assert answer == "250 2.0.0 passed on" and token_of(content)
    before = world.counted()
    answer, passed = await world.take_in(transaction(recipients[:100], b"Received: x\r\n" + content, listener))
    assert answer == "250 2.0.0 passed on" and world.counted() == before == [("M-1", 300)]
    again = returned(passed, content)
    assert await world.take_in(transaction(recipients[:100], again, listener)) == (LOOP, [])
    _, passed = await world.take_in(transaction(recipients[100:], content, listener))
    assert passed, "the other part of it has come back once only"


@pytest.mark.parametrize("listener", ["smtp", "milter"])
async def test_nobody_else_can_use_its_token(world, listener):
    one, *_ = await world.release(listener, CONTENT)
    token = token_field(token_of(one.content))
    wide = tuple(Recipient(address) for address in people(2400, "dphhs.example.gov", "doa.example.gov"))
    other = CONTENT.replace(b"enrolment", b"dinner")
    answer, passed = await world.take_in(replace(one, content=token + other, recipients=wide))
    assert "Held for approval as M-2" in answer and not passed
    more = (*one.recipients, *(Recipient(address) for address in people(3000, start=5000)))
    answer, passed = await world.take_in(replace(one, recipients=more))
    assert "Held for approval as M-1" in answer and not passed, "more than was approved"


async def test_who_has_the_mail_cannot_send_it_by_its_token_again(world):
    one, other, *_ = await world.release("smtp", CONTENT)
    assert (await world.take_in(one))[0] == "250 2.0.0 passed on"
    for some in (one.recipients, one.recipients[:100]):
        answer, passed = await world.take_in(replace(one, recipients=some))
        assert "Held for approval as M-1" in answer and not passed, "judged and counted as any mail"
    assert (await world.take_in(other))[0] == "250 2.0.0 passed on"


async def test_each_turn_is_logged_under_the_id_of_its_transaction(world, monkeypatch):
    one, *_ = await world.release("smtp", CONTENT)
    lines, runs = [], []
    monkeypatch.setattr(
        "gatekeeper.pipeline.pipeline.event", lambda subject, fields, *_: lines.append((subject, fields["id"]))
    )
    world.pipeline.report = runs.append
    for _ in range(2):
        await world.take_in(one)
    first, second = runs
    back = "our own mail came back"
    assert lines == [(back, first.id), (back, second.id), ("a token came again", second.id)]
    assert first.outcome.repeated and first.outcome.mailing == "M-1" and not second.came_back


async def test_two_copies_at_once_are_one(world):
    one, *_ = await world.release("smtp", CONTENT)
    answers = [answer for answer, _ in await asyncio.gather(*(world.take_in(one) for _ in range(5)))]
    assert answers.count("250 2.0.0 passed on") == 1


async def test_mail_that_the_next_hop_did_not_take_comes_again(world):
    one, *_ = await world.release("smtp", CONTENT)

    async def refuse(added: bytes, *, blind: bool = False) -> object:
        return reply(451, "later", "4.3.0")

    for _ in range(2):
        assert str(await world.pipeline.receive(one, refuse)) == "451 4.3.0 later"
    assert (await world.take_in(one))[0] == "250 2.0.0 passed on"


async def test_without_the_database_it_waits(world, monkeypatch):
    one, *_ = await world.release("smtp", CONTENT)

    async def away(work: object) -> None:
        raise StoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(world.store, "run", away)
        answer, passed = await world.take_in(one)
    assert answer.startswith("451 4.3.0") and not passed
    assert (await world.take_in(one))[0] == "250 2.0.0 passed on"


async def test_a_list_that_has_grown_is_another(world, tmp_path):
    (tmp_path / "club.txt").write_text("\n".join(people(3)))
    text = RULES.replace("people:\n", "lists: {club@doa.example.gov: {file: club.txt}}\npeople:\n", 1)
    (tmp_path / "rules.yaml").write_text(text)
    world.pipeline.active_policy = ActivePolicy(tmp_path / "rules.yaml")
    one = transaction(["club@doa.example.gov", *people(2)], CONTENT)
    _, passed = await world.take_in(one)
    again = replace(one, content=returned(passed, CONTENT))
    (tmp_path / "club.txt").write_text("\n".join(EVERYONE))
    world.pipeline.active_policy = ActivePolicy(tmp_path / "rules.yaml")
    answer, passed = await world.take_in(again)
    assert "Held for approval as M-1" in answer and not passed
    (tmp_path / "club.txt").write_text("\n".join(people(3)))
    world.pipeline.active_policy = ActivePolicy(tmp_path / "rules.yaml")
    assert (await world.take_in(again))[0] == "250 2.0.0 passed on"


async def test_a_token_has_its_time(world):
    one, *_ = await world.release("smtp", CONTENT)
    world.now += 3 * 86_400
    answer, passed = await world.take_in(one)
    assert "M-2 not sent yet: counting" in answer and not passed, "judged and counted as any mail"


async def test_a_made_up_token_opens_nothing(world):
    content = token_field("made-up") + CONTENT
    answer, passed = await world.take_in(transaction(EVERYONE, content))
    assert "Held for approval as M-1" in answer and not passed


async def test_a_gate_on_the_same_database_knows_it(world, tmp_path):
    _, passed = await world.take_in(transaction(people(3), CONTENT))
    other = World(tmp_path, world.sink)
    again = transaction(people(3), returned(passed, CONTENT))
    _, passed = await other.take_in(again)
    assert (await world.take_in(replace(again, content=returned(passed, again.content))))[0] == LOOP
    await other.close()


async def test_where_a_list_is_hidden_what_is_shown_counts(world, tmp_path):
    text = RULES.replace("then: reject\n    say: Move", "then: warn\n    repair: blind\n    say: Move")
    (tmp_path / "rules.yaml").write_text(text)
    world.pipeline.active_policy = ActivePolicy(tmp_path / "rules.yaml")
    visible = b"To: " + ", ".join(people(300)).encode() + b"\r\n"
    _, passed = await world.take_in(transaction(people(300), visible + CONTENT))
    hidden = b"To: undisclosed-recipients:;\r\n" + CONTENT
    before = world.counted()
    answer, _ = await world.take_in(transaction(people(300), returned(passed, hidden)))
    assert answer == "250 2.0.0 passed on" and world.counted() == before


async def test_without_a_way_back_mail_has_no_token(world):
    world.pipeline.marks = False
    _, passed = await world.take_in(transaction(people(3), CONTENT))
    assert token_of(returned(passed, CONTENT)) is None


async def test_what_a_milter_saw_is_released_behind_the_mtas_trace_without_hidden_fields(world):
    released = await world.release("milter", HIDDEN + CONTENT)
    for each in released:
        token = token_of(each.content)
        assert each.content == token_field(token) + b"Received: from a by mx.example.gov; now\r\n" + CONTENT


async def test_what_the_smtp_listener_took_is_released_as_it_came(world):
    released = await world.release("smtp", HIDDEN + CONTENT)
    assert all(each.content.endswith(HIDDEN + CONTENT) for each in released)
