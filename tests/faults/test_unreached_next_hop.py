"""Nothing is known of the next hop yet: a client is deferred whatever it asks for, as nobody has refused its mail.

All that the gate implements is offered, and MAIL is answered 451.
"""

from __future__ import annotations

import pytest

from tests.faults.scene import SENDER, Client, Downstream, asleep, message, people, send
from tests.peers import free_port, wait_for
from tests.peers.gate import Gate
from tests.peers.sink import OFFERS, Sink, delay
from tests.workers.scene import start

DOWN = "451 4.4.1 "
EVERYTHING = {"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"}
UTF8 = "ż@doa.example.gov"
MAILS = [
    f"MAIL FROM:<{SENDER}>",
    f"MAIL FROM:<{SENDER}> SIZE=1000",
    f"MAIL FROM:<{SENDER}> BODY=8BITMIME",
    f"MAIL FROM:<{SENDER}> RET=HDRS ENVID=QQ314159",
    f"MAIL FROM:<{UTF8}> SMTPUTF8 SIZE=10 BODY=8BITMIME",
    "MAIL FROM:<> SIZE=10 RET=FULL",
]
RCPT = "RCPT TO:<a@deq.example.gov> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@deq.example.gov"


def offered(client: Client) -> set[str]:
    """What EHLO offers, less what is not the next hop's business."""
    lines = client.ask("EHLO client.example.gov").split("|")[1:]
    return {line[4:].split()[0] for line in lines} - {"XFORWARD"}


def check_deferred(gate: Gate) -> None:
    with Client(gate.port) as client:
        client.reply()
        assert offered(client) == EVERYTHING
        for mail in MAILS:
            assert client.ask(mail).startswith(DOWN), mail
        client.say(f"{MAILS[-2]}\r\n{RCPT}\r\n{RCPT}\r\n")
        assert [client.reply()[:10] for _ in range(3)] == [DOWN] * 3
        client.say(f"{MAILS[0]}\r\nRCPT TO:<a@deq.example.gov>\r\nRCPT TO:<b@deq.example.gov>\r\nDATA\r\n")
        assert [client.reply()[:10] for _ in range(3)] == [DOWN] * 3
        assert client.reply().startswith("503 ")


def test_a_next_hop_that_is_down_at_the_start_defers_everything() -> None:
    port = free_port()
    with Gate(f"smtp://127.0.0.1:{port}") as gate:
        check_deferred(gate)
        with Downstream(Sink(port=port, offers=["PIPELINING", "8BITMIME"])):
            with Client(gate.port) as client:
                client.reply()
                wait_for(lambda: offered(client) == {"PIPELINING", "8BITMIME"}, gate.log)
            assert send(gate, people(2), message("lunch")).startswith("250")
        assert send(gate, people(2), message("supper")).startswith(DOWN)
        check_deferred(gate)


def test_every_new_worker_defers_everything() -> None:
    with asleep(f"smtp://127.0.0.1:{free_port()}", flags=["--workers", "2"]) as gate:
        start(gate)
        for _ in range(6):  # whichever worker takes it
            check_deferred(gate)


def test_a_slow_greeting_costs_nobody_an_extension() -> None:
    with Downstream() as downstream:
        downstream.sink.at("CONNECT", delay(60))
        with Gate(downstream.address, flags=["--next-hop-timeout", "2s"]) as gate:
            check_deferred(gate)
            downstream.sink.behave()
            with Client(gate.port) as client:
                client.reply()
                wait_for(lambda: client.ask(MAILS[0]).startswith("250") if offered(client) else False, gate.log)


def test_a_next_hop_that_comes_back_with_more_is_asked_again() -> None:
    with Downstream(Sink(offers=["PIPELINING"])) as downstream, Gate(downstream.address) as gate:
        with Client(gate.port) as client:
            client.reply()
            assert offered(client) == {"PIPELINING"}
        downstream.down()
        assert send(gate, people(2), message("while it is down")).startswith(DOWN)
        downstream.sink.offers = list(OFFERS)
        check_deferred(gate)
        downstream.up()
        with Client(gate.port) as client:
            client.reply()
            assert offered(client) == EVERYTHING
            assert client.ask(f"MAIL FROM:<{UTF8}> SMTPUTF8").startswith("250")


@pytest.mark.parametrize("octets", ["Subject: café\r\n\r\nx\r\n", "Subject: x\r\n\r\ncafé\r\n"])
def test_what_was_offered_is_deferred_by_a_next_hop_that_lacks_it(octets: str) -> None:
    """It came up between EHLO and MAIL; asked again, the client is told what there is."""
    port = free_port()
    with Gate(f"smtp://127.0.0.1:{port}") as gate, Client(gate.port) as client:
        client.reply()
        assert offered(client) == EVERYTHING
        with Downstream(Sink(port=port, offers=["PIPELINING"])) as downstream:
            assert client.ask(f"MAIL FROM:<{UTF8}> SMTPUTF8").startswith(DOWN)
            client.ask(f"MAIL FROM:<{SENDER}> SMTPUTF8 BODY=8BITMIME")
            assert client.ask(RCPT).startswith("250")
            assert client.ask("RCPT TO:<ż@deq.example.gov>").startswith(DOWN)
            assert client.ask("DATA").startswith("354")
            assert client.content(f"From: {SENDER}\r\n{octets}".encode()).startswith(DOWN)
            assert offered(client) == {"PIPELINING"} and not downstream.sink.mails


def test_a_second_next_hop_that_lacks_it_defers_what_the_first_took() -> None:
    second = free_port()
    with Downstream() as first, Gate(f"{first.address},127.0.0.1:{second}") as gate, Client(gate.port) as client:
        client.reply()
        assert offered(client) == EVERYTHING
        with Downstream(Sink(port=second, offers=["PIPELINING"])):
            first.down()
            assert client.ask(f"MAIL FROM:<{UTF8}> SMTPUTF8").startswith(DOWN)
            assert offered(client) == {"PIPELINING"}
        first.up()
        assert send(gate, people(2), message("lunch")).startswith("250")
        assert offered(client) == EVERYTHING
