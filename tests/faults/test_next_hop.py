"""The next hop is down, hangs, is late, refuses, or goes at every step: the promised reply, and nothing twice.

What is lost before the dot is said again on another connection; after the dot nobody knows, and we say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.scene import (
    PATIENCE,
    SENDER,
    Client,
    Downstream,
    approve,
    held_as,
    insist,
    message,
    people,
    send,
    wait_queue_empty,
)
from tests.peers.gate import Gate
from tests.peers.sink import Sink, close, close_after, delay, drop, hang, reset, say

DOWN = "451 4.4.1 Not sent yet: the next mail server does not answer, try again later"
UNKNOWN = "451 4.4.2 The next mail server was lost before it answered; the message may have been sent"
TAKEN = "250 2.0.0 taken"
TWO = people(2)
SEND_BUFFER = int(Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2])  # the most that the kernel takes ahead
RECEIVE_BUFFER = 1 << 16
LARGE = SEND_BUFFER + (1 << 20)  # octets, of which some are not written yet while the next hop has read but the first


@pytest.fixture(scope="module")
def downstream() -> Iterator[Downstream]:
    with Downstream(Sink(receive_buffer=RECEIVE_BUFFER)) as running:
        yield running


@pytest.fixture(scope="module")
def hurried(downstream: Downstream) -> Iterator[Gate]:
    """A gate that does not wait long for the next hop."""
    with Gate(downstream.address, flags=["--next-hop-timeout", "1s"]) as gate:
        yield gate


@pytest.fixture
def gate(downstream: Downstream, hurried: Gate) -> Iterator[Gate]:
    """It, with a next hop that has seen nothing and has no connection open."""
    downstream.sink.behave()
    downstream.sink.refuse.clear()
    downstream.call(downstream.sink.close_kept())
    downstream.sink.mails.clear()
    yield hurried
    downstream.sink.behave()


def keep_a_connection(gate: Gate) -> None:
    assert insist(gate, TWO, message("keeps a connection")) == TAKEN


def copies_of(downstream: Downstream, name: str, octets: int = 0) -> list[int]:
    return sorted(downstream.copies(message(name, octets)).values())


def test_down_and_up_again(downstream, gate):
    keep_a_connection(gate)
    downstream.down()
    assert send(gate, TWO, message("small")) == DOWN
    assert send(gate, people(2400), message("mass")) == DOWN
    assert gate.mailings() == []
    downstream.up()
    assert insist(gate, TWO, message("small")) == TAKEN
    assert copies_of(downstream, "small") == [1, 1]


def test_goes_down_in_the_middle_of_a_transaction(downstream, gate):
    with Client(gate.port) as client:
        client.hello()
        assert client.envelope(TWO).startswith("354")
        downstream.down()
        assert client.content(message("middle")) == DOWN
    downstream.up()
    assert copies_of(downstream, "middle") == []


@pytest.mark.parametrize("step", ["MAIL", "DATA"])
def test_hangs_before_the_dot(downstream, gate, step):
    see_hang(downstream, gate, step)


@pytest.mark.soak
@pytest.mark.parametrize("step", ["CONNECT", "EHLO", "RCPT"])
@pytest.mark.parametrize("kept", [False, True])
def test_hangs_before_the_dot_at_every_step(downstream, gate, step, kept):
    if kept:
        keep_a_connection(gate)
        downstream.sink.at("MAIL", close(), times=1)  # so that a fresh one is wanted, and hangs
    see_hang(downstream, gate, step)


def see_hang(downstream: Downstream, gate: Gate, step: str) -> None:
    name = f"hangs at {step}"
    downstream.sink.at(step, hang())
    assert send(gate, TWO, message(name, LARGE)) == DOWN
    downstream.sink.behave()
    assert copies_of(downstream, name, LARGE) == []
    assert insist(gate, TWO, message(name, LARGE)) == TAKEN
    assert copies_of(downstream, name, LARGE) == [1, 1]


AFTER_THE_DOT = {
    "hangs": ("DOT", hang(), []),
    "hangs while it takes the message in": ("BLOCK", hang(), []),
    "closes": ("DOT", close(), []),
    "resets": ("DOT", reset(), []),
    "takes it and closes": ("DOT", drop(), [1, 1]),
}


@pytest.mark.parametrize("how", AFTER_THE_DOT)
def test_is_lost_after_the_dot(downstream, gate, how):
    """Nobody knows whether it was taken: 451 that says so, and the gate does not try again by itself."""
    step, act, copies = AFTER_THE_DOT[how]
    downstream.sink.at(step, act, times=1)
    assert send(gate, TWO, message(how)) == UNKNOWN
    assert copies_of(downstream, how) == copies
    assert "outcome unknown" in gate.log()


LOSSES = {
    "closes": close(),
    "resets": reset(),
    "closes after its answer": close_after(),
}


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "BLOCK"])
@pytest.mark.parametrize("how", LOSSES)
def test_a_kept_connection_is_lost(downstream, gate, step, how):
    """All is said again on a fresh one, and the client notices nothing."""
    name = f"{how} at {step}"
    keep_a_connection(gate)
    downstream.sink.at(step, LOSSES[how], times=1)
    assert send(gate, TWO, message(name, LARGE)) == TAKEN
    assert copies_of(downstream, name, LARGE) == [1, 1]


def test_says_421_while_it_takes_the_message_in(downstream, gate):
    """That is its answer to the message; a 421 of ours would say that it is we who close."""
    downstream.sink.at("BLOCK", say("421 4.3.2 shutting down"), times=1)  # a close may overtake its own words
    assert send(gate, TWO, message("421", LARGE)) == "451 4.3.2 shutting down"
    assert copies_of(downstream, "421", LARGE) == []


def test_a_kept_connection_was_closed_meanwhile(downstream, gate):
    keep_a_connection(gate)
    downstream.call(downstream.sink.close_kept())
    assert send(gate, TWO, message("closed meanwhile")) == TAKEN
    assert copies_of(downstream, "closed meanwhile") == [1, 1]


def test_refuses_some_recipients(downstream, gate):
    """Its replies are ours, one for each recipient, and the others get the mail."""
    answers = {people(5)[1]: "550 5.1.1 no such user", people(5)[3]: "450 4.2.0 mailbox busy"}
    downstream.sink.refuse.update(answers)
    with Client(gate.port) as client:
        client.hello()
        client.say("MAIL FROM:<head@doa.example.gov>\r\n")
        client.say("".join(f"RCPT TO:<{each}>\r\n" for each in people(5)) + "DATA\r\n")
        replies = [client.reply() for _ in range(7)]
        assert replies[1:6] == [answers.get(each, "250 2.1.5 ok") for each in people(5)]
        assert client.content(message("some")) == TAKEN
    assert set(downstream.copies(message("some"))) == set(people(5)) - set(answers)


@pytest.mark.parametrize("answer", ["550 5.7.1 spam", "451 4.3.0 busy", "452 4.3.1 full"])
def test_its_answer_to_the_message_is_ours(downstream, gate, answer):
    downstream.sink.at("DOT", say(answer), times=1)
    assert send(gate, TWO, message(answer)) == answer
    assert copies_of(downstream, answer) == []


@pytest.mark.parametrize("seconds", [2, pytest.param(95, marks=pytest.mark.soak)])
def test_answers_the_dot_late(seconds):
    """RFC 5321 4.5.3.2.6 gives it ten minutes: the client waits as long as the next hop does, and gets its answer."""
    with Downstream() as downstream, Gate(downstream.address) as gate, Client(gate.port, PATIENCE + seconds) as client:
        downstream.sink.at("DOT", delay(seconds), times=1)
        client.hello()
        assert client.envelope(TWO).startswith("354")
        assert client.content(message("late")) == TAKEN
        assert copies_of(downstream, "late") == [1, 1]


def test_a_release_in_spite_of_everything(downstream, gate):
    """Connections that go, answers that put off, a recipient refused: the others once, and one report."""
    everyone, content = people(2400), message("release")
    mailing = held_as(send(gate, everyone, content))
    wait_queue_empty(gate)
    sink = downstream.sink
    sink.refuse[everyone[7]] = "550 5.1.1 no such user"
    for step in ("MAIL", "RCPT", "DATA", "BLOCK"):
        sink.at(step, close(), times=1, skip=1)
    sink.at("DOT", say("451 4.3.0 busy"), times=1, skip=2)
    approve(gate, mailing)
    wait_queue_empty(gate)
    assert downstream.copies(content) == dict.fromkeys(set(everyone) - {everyone[7]}, 1)
    reports = [mail for mail in sink.mails if b"multipart/report" in mail.content]
    assert [report.addresses for report in reports] == [[SENDER]]


# -- trusted to take all -----------------------------------------------------------------------------------------


def test_on_trust_the_sender_is_told_whom_the_next_hop_refused():
    gone, *others = people(5)
    sink = Sink(refuse={gone: "550 5.1.1 no such user"})
    with Downstream(sink) as downstream, Gate(downstream.address, flags=["--rcpt", "trust"]) as gate:
        assert send(gate, [gone, *others], message("on trust")) == TAKEN
        wait_queue_empty(gate)
        assert [address for address, _ in sink.mails[0].recipients] == others
        (report,) = sink.mails[1:]
        assert (report.sender, [address for address, _ in report.recipients]) == ("", [SENDER])
        assert f"{gone}: 550 5.1.1 no such user" in report.content.decode()
