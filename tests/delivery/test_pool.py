"""Kept connections are few, sound and said goodbye to."""

import asyncio

import pytest

from gatekeeper.delivery.hosts import Hosts
from gatekeeper.delivery.pool import Pool
from gatekeeper.delivery.route_url import Host
from gatekeeper.delivery.smtp_client import Deadlines, connect
from gatekeeper.model import Client
from tests.peers import free_port
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


async def ready(sink, *clients, first=None):
    """The hosts of a next hop with an idle connection for each of the clients, and these connections."""
    host = Host("127.0.0.1", sink.port)

    async def find():
        return [first or host]

    hosts = Hosts(find, "gate.example.gov", DEADLINES, 30, lambda kind: None, first=host)
    connections = [await connect(host, "gate.example.gov", DEADLINES, client) for client in clients]
    for connection in connections:
        hosts.give_back(connection)
    return hosts, connections


@pytest.mark.parametrize("xclient", [True, False])
async def test_what_is_kept_for_a_client_is_what_would_be_yielded_first(xclient):
    """Without asking the DNS; where XCLIENT is offered, a client gets its own connection or none."""
    one, other = Client("192.0.2.1"), Client("192.0.2.2")
    async with Sink(xclient=xclient) as sink:
        hosts, (anybodys,) = await ready(sink, None)
        assert hosts.kept(one) is (None if xclient else anybodys)
        if not xclient:
            hosts.give_back(anybodys)
        assert hosts.kept(None) is anybodys and hosts.kept(None) is None
        await hosts.close()
        if xclient:
            hosts, (own,) = await ready(sink, one)
            assert hosts.kept(other) is None and hosts.kept(None) is None and hosts.kept(one) is own
            hosts, (anybodys, own) = await ready(sink, None, one)
            assert hosts.kept(other) is None and hosts.kept(one) is own and hosts.kept(None) is anybodys


async def test_of_a_host_that_failed_lately_nothing_is_kept_and_of_another_it_is(sink):
    gone = Host("127.0.0.1", free_port())
    hosts, (connection,) = await ready(sink, None, first=gone)
    assert not await hosts.any_answers()
    assert hosts.kept(None) is connection, "another host failed"
    hosts, (connection,) = await ready(sink, None)
    sink.at("CONNECT", say("421 4.3.2 closing"))
    assert not await hosts.any_answers()
    assert hosts.kept(None) is None, "a fresh one is tried, to learn whether it is back"
