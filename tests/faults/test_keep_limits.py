"""A client that sends much to be held gets 452 4.3.1; other senders, and mail that is not kept, do not notice."""

from __future__ import annotations

from tests.faults.scene import Downstream, held_as, message, people, send
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate

FULL = "452 4.3.1 Not sent yet: the mail gate keeps as much of this sender as it may, try again later"
ALL_FULL = "452 4.3.1 Not sent yet: the mail gate's storage is full, try again later"
NEWS, CLERK = "news@doa.example.gov", "clerk@doa.example.gov"
MB = 1 << 20
MASS = RULES.replace("users: {over: 2000}", "users: {over: 40}")
LIMITS = ["--keep-limit", "7MB", "--keep-limit-each", "4MB"]


def test_one_sender_fills_its_own_share_and_all_together_theirs():
    everyone, small = people(50), message("small")
    with Downstream() as downstream, Gate(downstream.address, rules=MASS, flags=LIMITS) as gate:
        replies = [send(gate, everyone, message(f"large {number}", MB)) for number in range(6)]
        held = [held_as(reply) for reply in replies if reply.startswith("250")]
        assert len(held) == 3 and replies[3:] == [FULL] * 3
        assert send(gate, people(1), small) == "250 2.0.0 taken"

        forged = message("forged", MB)  # From is the full sender's, MAIL FROM is not
        held_as(send(gate, everyone, forged, NEWS))
        assert 4 * MB <= gate.metric("gatekeeper_kept_bytes") < 5 * MB
        assert gate.metric("gatekeeper_keep_limit_bytes") == 7 * MB

        gate.cli("mailing", "deny", held[0], "--by", "cio@example.gov", "--category", "other", "--reason", "not now")
        held_as(send(gate, everyone, message("again", MB)))
        held_as(send(gate, everyone, message("of a third", MB, CLERK), CLERK))
        assert send(gate, everyone, message("more of a third", MB, CLERK), CLERK) == ALL_FULL
        assert send(gate, people(1), message("another")) == "250 2.0.0 taken"
        wait_for(lambda: downstream.copies(small).total() == 1, gate.log)
