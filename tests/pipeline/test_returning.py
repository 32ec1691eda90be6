"""Released mail that comes by again: it passes once, by its token; whatever else says so is judged like all mail."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gatekeeper.background.delivery_queue import Queue
from gatekeeper.delivery import NextHop
from gatekeeper.ledger.service import LedgerService
from gatekeeper.message.release_token import token_field, token_of
from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.rules import parse_ruleset
from gatekeeper.settings import Judging, NextHopSettings
from gatekeeper.smtp.replies import reply
from gatekeeper.store import Database, Store
from tests.peers.gate import RULES
from tests.peers.sink import Sink
from tests.store.arrivals import people

HEAD = "head@doa.example.gov"
EVERYONE = people(2400)
HIDDEN = b"Bcc: x@example.org\r\nReturn-Path: <y@example.org>\r\n"
CONTENT = b"From: head@doa.example.gov\r\nSubject: enrolment\r\nMessage-ID: <1@x>\r\n\r\nHello\r\n"


class World:
    """A gate whose released mail a test can bring back to it."""

    def __init__(self, folder: Path, sink: Sink) -> None:
        rules = folder / "rules.yaml"
        rules.write_text(RULES)
        self.sink = sink
        self.store = Store(Database(f"sqlite:///{folder}/gate.db", 5))
        self.store.open()
        self.pipeline = Pipeline(Judging(rules, "enforce", 0, "", "gate.example.gov"), ActivePolicy(rules), self.store)
        self.letterhead = Letterhead(parse_ruleset(RULES, "rules.yaml", folder), "gate.example.gov")
        self.next_hop = NextHop(NextHopSettings(f"smtp://127.0.0.1:{sink.port}", 2.0, 5.0, "gate.example.gov"))
        self.queue = Queue(self.store, self.next_hop, lambda: self.letterhead, lease=30.0, marks=True)

    async def take_in(self, transaction: Transaction) -> tuple[str, list[bytes]]:
        """Our reply, and what was passed on."""
        passed: list[bytes] = []

        async def relay(added: bytes) -> object:
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

    async def close(self) -> None:
        await self.queue.stop(1)
        await self.next_hop.close()
        self.store.close()


def transaction(recipients, content, listener="smtp", authenticated=True):
    trace = b"Received: from a by mx.example.gov; now\r\n" if listener == "milter" else b""
    people = tuple(Recipient(address) for address in recipients)
    client = Client("127.0.0.1", "gate.example.gov", "gate.example.gov")
    return Transaction(listener, client, HEAD, people, content, authenticated=authenticated, trace=trace)


@pytest.fixture
async def world(tmp_path):
    async with Sink() as sink:
        world = World(tmp_path, sink)
        yield world
        await world.close()


@pytest.mark.parametrize("listener", ["smtp", "milter"])
async def test_released_mail_passes_once(world, listener):
    released = await world.release(listener, CONTENT)
    tokens = [token_of(each.content) for each in released]
    assert len(set(tokens)) == len(released) == 5 and all(tokens)
    for each in released:
        answer, passed = await world.take_in(each)
        assert answer == "250 2.0.0 passed on" and len(passed) == 1
    before = world.store.call(lambda connection: connection.exec_driver_sql("SELECT count(*) FROM batches").scalar())
    answer, passed = await world.take_in(released[0])  # again: judged, and let pass by its permit, not as a resend
    assert passed and answer == "250 2.0.0 passed on"
    after = world.store.call(lambda connection: connection.exec_driver_sql("SELECT count(*) FROM batches").scalar())
    assert (before, after) == (1, 1)


async def test_nobody_else_can_use_its_token(world):
    one, *_ = await world.release("milter", CONTENT)
    token = token_of(one.content)
    others = replace(one, content=token_field(token) + CONTENT.replace(b"enrolment", b"dinner"))
    wide = replace(
        others, recipients=tuple(Recipient(address) for address in people(2400, "dphhs.example.gov", "doa.example.gov"))
    )
    answer, passed = await world.take_in(wide)
    assert "Held for approval as M-2" in answer and not passed
    stranger = replace(one, authenticated=False, recipients=wide.recipients)
    answer, passed = await world.take_in(stranger)
    assert not passed


async def test_a_made_up_token_opens_nothing(world):
    content = token_field("made-up") + CONTENT
    answer, passed = await world.take_in(transaction(EVERYONE, content))
    assert "Held for approval as M-1" in answer and not passed


async def test_what_a_milter_saw_is_released_behind_the_mtas_trace_without_hidden_fields(world):
    released = await world.release("milter", HIDDEN + CONTENT)
    for each in released:
        token = token_of(each.content)
        assert each.content == token_field(token) + b"Received: from a by mx.example.gov; now\r\n" + CONTENT


async def test_what_the_smtp_listener_took_is_released_as_it_came(world):
    released = await world.release("smtp", HIDDEN + CONTENT)
    assert all(each.content.endswith(HIDDEN + CONTENT) for each in released)
