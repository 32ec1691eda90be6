"""Kept connections are few, sound and said goodbye to."""

import asyncio

import pytest

from gatekeeper.delivery.pool import Pool
from gatekeeper.delivery.route_url import Host
from gatekeeper.delivery.smtp_client import Deadlines, connect
from gatekeeper.model import Client
from tests.peers.sink import Sink, say

DEADLINES = Deadlines().capped(2)


@pytest.fixture
async def sink():
    async with Sink(xclient=True) as sink:
        yield sink


async def connected(sink, count, client=None):
    host = Host("127.0.0.1", sink.port)
    return host, [await connect(host, "gate.example.gov", DEADLINES, client) for _ in range(count)]


async def test_no_more_are_kept_than_the_limit(sink):
    pool = Pool(30, most=2)
    host, connections = await connected(sink, 3)
    for connection in connections:
        pool.give(connection)
    assert len(pool) == 2
    await pool.close()
    assert sink.commands["QUIT"] == 3 and len(pool) == 0
    assert pool.take(host, None) is None


async def test_the_last_one_given_is_taken_first(sink):
    pool = Pool(30)
    host, connections = await connected(sink, 2)
    for connection in connections:
        pool.give(connection)
    assert [pool.take(host, None), pool.take(host, None)] == connections[::-1]
    assert pool.take(host, None) is None
    for connection in connections:
        await connection.quit()


async def test_one_that_was_spoken_to_while_idle_is_not_used(sink):
    pool = Pool(30)
    sink.at("RSET", say("250 2.0.0 ok\r\n421 4.4.2 idle for too long"))
    host, (connection,) = await connected(sink, 1)
    await connection.reset()
    await asyncio.sleep(0.01)
    pool.give(connection)
    assert pool.take(host, None) is None


async def test_a_connection_with_an_identity_is_its_clients_alone(sink):
    pool = Pool(30)
    alice, bob = Client("192.0.2.1"), Client("192.0.2.2")
    host, (hers,) = await connected(sink, 1, alice)
    pool.give(hers)
    assert pool.take(host, bob) is None and pool.take(host, None) is None
    assert pool.take(host, alice) is hers
    await hers.quit()


def test_no_deadline_is_above_the_setting_and_none_above_the_rfc():
    ours, capped = Deadlines(), Deadlines().capped(200)
    assert (ours.greeting, ours.mail, ours.rcpt, ours.data, ours.block, ours.dot) == (300, 300, 300, 120, 180, 600)
    assert (capped.greeting, capped.data, capped.block, capped.dot) == (200, 120, 180, 200)
