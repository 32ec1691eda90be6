"""Listening sockets that several share, and who takes a connection from them."""

from __future__ import annotations

import asyncio
import resource
import socket

import pytest

from gatekeeper.server.sockets import Acceptor, address_of, close_sockets, open_sockets
from gatekeeper.settings import Endpoint, read_endpoint


class ListenerConnection(asyncio.Protocol):
    """Says who has let it in."""

    def __init__(self, name: bytes) -> None:
        self.name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self.name)  # type: ignore[attr-defined]
        transport.close()


def port_of(sockets: list[socket.socket]) -> int:
    return sockets[0].getsockname()[1]


def waiting(port: int, number: int) -> list[socket.socket]:
    """Clients that wait to be let in."""
    return [socket.create_connection(("127.0.0.1", port), 5) for _ in range(number)]


async def greetings(clients: list[socket.socket]) -> list[bytes]:
    heard = await asyncio.gather(*(asyncio.to_thread(client.recv, 100) for client in clients))
    for client in clients:
        client.close()
    return heard


async def test_connections_that_wait_are_shared_out():
    """Both are as quick: none takes all that wait in one go, as asyncio's server would."""
    sockets = open_sockets(Endpoint("127.0.0.1", 0))
    clients = waiting(port_of(sockets), 40)
    doorkeepers = [
        Acceptor([each.dup() for each in sockets], lambda name=name: ListenerConnection(name)) for name in (b"1", b"2")
    ]
    heard = await greetings(clients)
    assert (heard.count(b"1"), heard.count(b"2")) == (20, 20)
    for each in doorkeepers:
        each.close()
    close_sockets(sockets)


async def test_what_waits_when_one_ends_is_let_in_by_another():
    sockets = open_sockets(Endpoint("127.0.0.1", 0))
    first = Acceptor([each.dup() for each in sockets], lambda: ListenerConnection(b"1"))
    clients = waiting(port_of(sockets), 5)  # the loop has not turned since: nobody was let in
    first.close()
    second = Acceptor(sockets, lambda: ListenerConnection(b"2"))
    assert await greetings(clients) == [b"2"] * 5
    second.close()


async def test_no_more_descriptors_is_waited_for(caplog):
    sockets = open_sockets(Endpoint("127.0.0.1", 0))
    (client,) = waiting(port_of(sockets), 1)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    doorkeeper = Acceptor(sockets, lambda: ListenerConnection(b"in"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    await asyncio.sleep(0.05)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "no connection can be taken in" in caplog.text and len(caplog.records) == 1
    assert await greetings([client]) == [b"in"]
    doorkeeper.close()


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:0"])
def test_every_address_of_a_host(text):
    sockets = open_sockets(read_endpoint(text))
    assert all(address_of(each).partition(":")[2] != "0" for each in sockets)
    close_sockets(sockets)


def test_an_address_that_is_taken():
    sockets = open_sockets(Endpoint("127.0.0.1", 0))
    with pytest.raises(OSError, match="in use"):
        open_sockets(Endpoint("127.0.0.1", port_of(sockets)))
    close_sockets(sockets)


def test_a_unix_socket_that_an_earlier_life_has_left(tmp_path):
    endpoint = Endpoint(path=str(tmp_path / "door"))
    close_sockets(open_sockets(endpoint))
    sockets = open_sockets(endpoint)
    assert address_of(sockets[0]) == f"unix:{tmp_path}/door"
    close_sockets(sockets)


def test_a_unix_socket_that_another_process_listens_on_stays_its_own(tmp_path):
    endpoint = Endpoint(path=str(tmp_path / "door"))
    sockets = open_sockets(endpoint)
    with pytest.raises(OSError, match="another process listens there"):
        open_sockets(endpoint)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(endpoint.path)
    close_sockets(sockets)


def test_a_file_in_the_way_of_a_unix_socket_stays(tmp_path):
    (tmp_path / "door").write_text("precious")
    with pytest.raises(OSError, match="in use"):
        open_sockets(Endpoint(path=str(tmp_path / "door")))
    assert (tmp_path / "door").read_text() == "precious"
