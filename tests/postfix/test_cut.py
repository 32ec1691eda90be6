"""One message to thousands, cut up by Postfix's own client as it does by default: 50 recipients, 20 streams (M1).

The gate never sees more than 50 recipients at once, and yet it holds all of it as one mailing.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter

import pytest

from tests.peers import require, wait_for
from tests.peers.gate import Gate
from tests.peers.postfix import Postfix
from tests.peers.sink import Sink
from tests.postfix.setups import RULES, read_setup
from tests.postfix.test_mass import DECIDED, SENDER, message, people

CUT, STREAMS = 50, 20
PATIENT = RULES.replace("quiet: 20s", "quiet: 2m")  # Postfix may be kept waiting where others use the machine


def as_it_comes(gate: Gate) -> Postfix:
    """A Postfix with the page's lines for a relay, but for the one that has it send mail uncut."""
    setup = read_setup("Relay", gate.port)
    main = {name: value for name, value in setup.main.items() if name != "gate_destination_recipient_limit"}
    return Postfix(main=main, services=setup.services)


def hand_over(postfix: Postfix, recipients: list[str], content: bytes) -> None:
    """By Postfix's own `sendmail`, which takes any number of recipients in one message."""
    command = [require("sendmail"), "-C", str(postfix.home / "config"), "-f", SENDER, "-i", *recipients]
    subprocess.run(command, input=content.replace(b"\r\n", b"\n"), check=True, timeout=60)


def copies(sink: Sink) -> Counter[str]:
    return Counter(address for mail in list(sink.mails) if mail.sender == SENDER for address in mail.addresses)


def held_whole_and_released_once(sink: Sink, gate: Gate, postfix: Postfix, subject: str, *sizes: int) -> int:
    """Send one message to so many, see it held, approve it; how many people it reached before it was held.

    More than one size: the message is handed over in such parts, one after another.
    """
    count = sum(sizes)
    everybody = people(count, "doa.example.gov", "dphhs.example.gov")
    sink.mails.clear()
    for place, size in enumerate(sizes):
        done, start = postfix.log().count(": removed"), sum(sizes[:place])
        hand_over(postfix, everybody[start : start + size], message(subject))
        wait_for(lambda: postfix.log().count(": removed") > done, lambda: postfix.log()[-2000:], 120, 0.2)  # noqa: B023
    (mailing,) = [each for each in gate.mailings("held") if each["subject"] == subject]
    early = copies(sink)
    assert mailing["users"] == count
    assert mailing["batches"] == -(-count // CUT) - bool(early)

    gate.cli("mailing", "approve", mailing["id"], *DECIDED)
    wait_for(lambda: copies(sink).total() >= count, lambda: f"{copies(sink).total()}: {gate.log()[-2000:]}", 120, 0.2)
    wait_for(lambda: gate.metric("gatekeeper_queue", kind="release") == 0, gate.log, 60, 0.2)
    assert copies(sink) == Counter(everybody)
    return early.total()


def cuts_as_it_comes(postfix: Postfix) -> None:
    names = ("default_destination_recipient_limit", "default_destination_concurrency_limit")
    assert postfix.run("postconf", "-h", *names).split() == [str(CUT), str(STREAMS)]


async def rounds(*messages: tuple[int, ...]) -> list[int]:
    """Send one message after another; how many people each reached before it was held."""
    async with (
        Sink() as sink,
        Gate(f"smtp://127.0.0.1:{sink.port}", rules=PATIENT) as gate,
        as_it_comes(gate) as postfix,
    ):
        cuts_as_it_comes(postfix)
        return [
            await asyncio.to_thread(held_whole_and_released_once, sink, gate, postfix, f"round {number}", *sizes)
            for number, sizes in enumerate(messages)
        ]


async def test_three_thousand_in_sixty_batches_are_one_mailing() -> None:
    assert await rounds((3000,)) == [0]


@pytest.mark.soak
async def test_a_small_tail_is_ordinary_mail_only_where_it_comes_first() -> None:
    """Ten are of a size that nothing is gathered by. Postfix sends them last; or a first message had them."""
    reached = await rounds((3000,), (3010,), (10, 3000), (3010,))
    assert {reached[1], reached[3]} <= {0, 10} and reached[0] == 0 and reached[2] == 10
