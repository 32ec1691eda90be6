"""A next hop that takes few recipients at once: all are counted, each gets the message once, whenever the gate dies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.scene import (
    SENDER,
    Downstream,
    approve,
    asleep,
    held_as,
    insist,
    message,
    people,
    send,
    wait_queue_empty,
)
from tests.peers import wait_for
from tests.peers.gate import RULES
from tests.peers.tenant_hop import TenantHop

LEASE = ["--lease", "1s"]
GATHERING = RULES.replace("within: 24h}", "within: 24h, gather: {at: [250], quiet: 1s, limit: 4s}}")
CAP = 100


@pytest.fixture
def downstream() -> Iterator[Downstream]:
    with Downstream(TenantHop(recipient_limit=CAP)) as running:
        yield running


@pytest.mark.parametrize("cap", [100, 200])
def test_one_message_to_2400_is_counted_held_and_reaches_each_once_over_kills(downstream, cap):
    """What was tried before there was this: 100 counted, and sent; the others put off."""
    downstream.sink.recipient_limit = cap
    everyone, content = people(2400), message(f"enrolment {cap}")
    with asleep(downstream.address, flags=LEASE) as gate:
        gate.start()
        mailing = held_as(send(gate, everyone, content))
        (found,) = gate.mailings("held")
        assert (found["users"], found["sent"], downstream.copies(content).total()) == (2400, 0, 0)
        gate.kill()
        approve(gate, mailing)
        for point in ("recorded:1", "recorded:3", "body-read:1"):  # between two parts
            gate.start(kill_at=point, wait=False)
            wait_for(lambda: not gate.running, gate.log)
            gate.wait_dead()
        gate.start()
        wait_queue_empty(gate)
        assert downstream.copies(content) == dict.fromkeys(everyone, 1)
        assert max(len(mail.addresses) for mail in downstream.sink.mails) <= cap


def test_a_mailing_below_the_limit_goes_out_at_once(downstream):
    everyone, content = people(250), message("lunch")
    downstream.sink.refuse = {everyone[240]: "550 5.1.1 no such user"}
    with asleep(f"{downstream.address}?recipients={CAP}", flags=LEASE) as gate:
        gate.start()
        assert send(gate, everyone, content) == "250 2.0.0 taken"
        assert downstream.copies(content).total() >= CAP, "the first part is there"
        wait_queue_empty(gate)
        assert downstream.copies(content) == dict.fromkeys([each for each in everyone if each != everyone[240]], 1)
        wait_for(lambda: downstream.letters_to(SENDER), gate.log)
        (report,) = [mail.content for mail in downstream.sink.mails if b"multipart/report" in mail.content]
        assert f"Final-Recipient: rfc822; {everyone[240]}".encode() in report


@pytest.mark.parametrize(
    ("point", "repeated"),
    [
        ("body-opened:1", 0),  # nothing has gone yet
        ("part-relayed:1", CAP),  # the next hop has the first part, the client no reply: it sends all again
        ("rest-released:1", 0),  # the client has no reply, and its resend is known
        ("recorded:1", 0),  # between two parts
        ("sent:1", CAP),  # the part that was in flight
    ],
)
def test_killed_between_parts(downstream, point, repeated):
    everyone, content = people(250), message(f"lunch {point}")
    with asleep(downstream.address, flags=LEASE) as gate:
        gate.start(kill_at=point)
        assert insist(gate, everyone, content).startswith("250 ")
        if point.startswith(("recorded", "sent")):
            wait_for(lambda: not gate.running, gate.log)
            gate.wait_dead()
            gate.start()
        wait_queue_empty(gate)
        copies = downstream.copies(content)
        assert set(copies) == set(everyone) and max(copies.values()) <= 2
        assert copies.total() - len(everyone) <= repeated


def test_gathered_mail_goes_on_in_parts(downstream):
    everyone, content = people(250), message("news")
    with asleep(downstream.address, flags=LEASE, rules=GATHERING) as gate:
        gate.start()
        assert "not sent yet: counting recipients" in send(gate, everyone, content)
        wait_for(lambda: downstream.copies(content).total() >= 250, gate.log)
        wait_queue_empty(gate)
        assert downstream.copies(content) == dict.fromkeys(everyone, 1)


def test_as_the_url_says_no_more_are_offered(downstream):
    downstream.sink.recipient_limit = 1000
    everyone, content = people(250), message("lunch")
    with asleep(f"{downstream.address}?recipients=80", flags=[*LEASE, "--rcpt", "trust"]) as gate:
        gate.start()
        assert send(gate, everyone, content, SENDER) == "250 2.0.0 taken"
        wait_queue_empty(gate)
        assert downstream.copies(content) == dict.fromkeys(everyone, 1)
        assert [len(mail.addresses) for mail in downstream.sink.mails if mail.sender] == [80, 80, 80, 10]
