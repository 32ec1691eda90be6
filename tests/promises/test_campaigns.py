"""Campaigns against the limit, on a running gate: who writes a little otherwise each time gets no further (M1, T9).

`make test` runs each at a limit of 20, two thirds by the proxy on SQLite, the others by the milter on Postgres with two
workers; `make soak` each by each way in on each database with each number of workers, and at 2,000.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice

import pytest

from tests.peers import free_port
from tests.peers.gate import Gate
from tests.peers.milter import MilterClient
from tests.peers.sink import Sink
from tests.promises.campaigns import CAMPAIGNS, Campaign, Copy, Material, Reach, table
from tests.promises.campaigns.names import OUTSIDE
from tests.server.talking import Client

LANES = 2  # messages of a campaign that are sent at once
TOGETHER = 12  # campaigns that run at once: most of the time one waits for a disk
RULES = """\
version: 1
title: Mass electronic mail
contact: servicedesk@example.gov
timezone: UTC
agencies:
  DOA: {{name: Administration, domains: [doa.example.gov, "*.doa.example.gov"]}}
  DPHHS: {{name: Health, domains: [dphhs.example.gov]}}
  MUS: {{name: University system, domains: [mus.example.edu]}}
scope: {{except: [MUS]}}
people:
  cio@example.gov: {{roles: [approver], final: true}}
mailing: {{source: sender, within: 24h, separate: [noreply@doa.example.gov]}}
mass: {{people: {{over: {mass}}}}}
rules:
  - id: approval
    when: {{users: {{over: {limit}}}, agencies: {{over: 1}}}}
    then: hold
    say: This mailing reaches {{users}} users in {{agencies}} agencies and needs approval.
  - id: all-day
    when: {{sender_users: {{over: {limit}, within: 24h}}}}
    mode: observe
    then: hold
    say: Your mail reaches many.
"""
Lane = Callable[[Copy, list[str]], object]


@dataclass(frozen=True)
class Way:
    """How a campaign comes in."""

    listener: str
    database: str
    workers: int

    def __str__(self) -> str:
        return f"{self.listener}-{self.database}-{self.workers}"


WAYS = [Way(*way) for way in [("smtp", "sqlite", 1), ("milter", "postgres", 2)]]
ALL_WAYS = [Way(a, b, c) for a in ("smtp", "milter") for b in ("sqlite", "postgres") for c in (1, 2)]


@dataclass
class Stand:
    """A running gate, and the next hop behind it."""

    gate: Gate
    sink: Sink
    milter: int
    way: Way

    async def send(self, campaign: Campaign, limit: int, number: int) -> set[str]:
        """Send a campaign to that many users of two agencies; return those whom it reached."""
        material = Material(f"{campaign.name} {limit}")
        tag = material.slug[:30]
        users = [f"{tag}-{each}@{('doa', 'dphhs')[each % 2]}.example.gov" for each in range(number)]
        transactions = enumerate(users[at : at + campaign.each] for at in range(0, number, campaign.each))
        reached: set[str] = set()

        async def lane() -> None:
            async with self._client() as say:
                for place, people in transactions:
                    if await say(campaign.make(material, place), list(people)):
                        reached.update(people)

        async with asyncio.TaskGroup() as group:
            for _ in range(LANES):
                group.create_task(lane())
        return reached

    def _client(self):
        return self._by_smtp() if self.way.listener == "smtp" else self._by_milter()

    @asynccontextmanager
    async def _by_smtp(self) -> AsyncIterator[Lane]:
        """Each message on a connection that says who is logged in, and then goes on without a login."""
        client = await self._connect()
        names: tuple[str, str] | None = None

        async def say(copy: Copy, people: list[str]) -> bool:
            nonlocal names
            if names != (copy.client, copy.login):
                names = copy.client, copy.login
                await client.ask(f"XCLIENT ADDR={copy.client} LOGIN={copy.login or '[UNAVAILABLE]'}")
                await client.ask("EHLO client.example.gov")
            commands = [f"MAIL FROM:<{copy.sender}>", *(f"RCPT TO:<{each}>" for each in people), "DATA"]
            client.say("".join(f"{command}\r\n" for command in commands))
            replies = await client.replies(len(commands))
            assert replies[-1].startswith("354"), (copy, replies)
            before = len(self.sink.mails)
            client.say((b"\r\n" + copy.content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
            reply = await client.reply()
            assert re.match(r"250|5", reply), reply
            passed = reply.startswith("250") and "Held" not in reply
            assert not passed or len(self.sink.mails) > before, "it says that it relayed, and the next hop has nothing"
            return passed

        yield say
        client.leave()

    async def _connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.gate.port))
        await client.reply()
        return client

    @asynccontextmanager
    async def _by_milter(self) -> AsyncIterator[Lane]:
        def send(copy: Copy, people: list[str]) -> str:
            macros = {"auth_authen": copy.login} if copy.login else {}
            with MilterClient.tcp(self.milter) as mta:
                mta.connect(address=copy.client)
                return mta.message(copy.sender, people, copy.content, connect=False, **macros).verdict

        async def say(copy: Copy, people: list[str]) -> bool:
            verdict = await asyncio.to_thread(send, copy, people)
            assert verdict in ("accept", "discard") or verdict.startswith("5"), verdict
            return verdict == "accept"

        yield say


@asynccontextmanager
async def open_stand(way: Way, database: str | None, limit: int) -> AsyncIterator[Stand]:
    port = free_port()
    flags = ["--milter", f"127.0.0.1:{port}", "--workers", str(way.workers), "--xclient", "127.0.0.0/8"]
    flags += ["--clients", "0.0.0.0/0", "--authenticated", "127.0.0.0/8"]
    flags += ["--sender-domains", ",".join(["doa.example.gov", "dphhs.example.gov", "mus.example.edu", *OUTSIDE])]
    rules = RULES.format(limit=limit, mass=limit // 4)
    async with (
        Sink() as sink,
        Gate(f"smtp://127.0.0.1:{sink.port}", rules=rules, database=database, flags=flags) as gate,
    ):
        yield Stand(gate, sink, port, way)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    way: Way = request.getfixturevalue("way")
    yield request.getfixturevalue("laid_out_url") if way.database == "postgres" else None


async def reached_by_all(stand: Stand, chosen: list[Campaign], limit: int, number: int) -> dict[str, int]:
    reached = {}
    waiting = iter(chosen)

    async def some() -> None:
        for each in waiting:
            reached[each.name] = len(await stand.send(each, limit, number))

    async with asyncio.TaskGroup() as group:
        for _ in range(TOGETHER):
            group.create_task(some())
    return reached


def wrong(reached: dict[str, int], limit: int, number: int) -> dict[str, int]:
    """Those that did not reach what is said of them."""
    return {name: users for name, users in reached.items() if not _is_right(CAMPAIGNS[name], users, limit, number)}


def _is_right(campaign: Campaign, users: int, limit: int, number: int) -> bool:
    return limit - campaign.each < users <= limit if campaign.reach is Reach.LIMIT else users == number


@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_a_campaign_reaches_no_more_than_the_limit(way: Way, database: str | None) -> None:
    places = (0,) if way.listener == "milter" else (1, 2)  # it takes three times as long by the milter
    chosen = [each for place, each in enumerate(CAMPAIGNS.values()) if place % 3 in places]
    async with open_stand(way, database, 20) as stand:
        reached = await reached_by_all(stand, chosen, 20, 23)
        seen = await asyncio.to_thread(
            stand.gate.metric, "gatekeeper_rule_hits_total", rule="all-day", action="observe"
        )
    assert not wrong(reached, 20, 23)
    assert seen >= 3 * sum(each.why.endswith("`sender_users`") for each in chosen) > 0


@pytest.mark.soak
@pytest.mark.parametrize("way", ALL_WAYS, ids=str)
async def test_at_two_thousand_by_every_way(way: Way, database: str | None) -> None:
    """Each campaign at 2,000 by one of the ways, and all at 20 by each."""
    place = ALL_WAYS.index(way)
    async with open_stand(way, database, 20) as stand:
        assert not wrong(await reached_by_all(stand, list(CAMPAIGNS.values()), 20, 24), 20, 24)
    async with open_stand(way, database, 2000) as stand:
        chosen = list(islice(CAMPAIGNS.values(), place, None, len(ALL_WAYS)))
        reached = await reached_by_all(stand, chosen, 2000, 2300)
    print("".join(f"{name}: {users}\n" for name, users in reached.items()))
    assert not wrong(reached, 2000, 2300)


def test_the_table_of_campaigns_is_what_is_tried() -> None:
    page = table.PAGE.read_text(encoding="utf-8")
    assert page == table.renewed(page), "stale: run python -m tests.promises.campaigns.table"
