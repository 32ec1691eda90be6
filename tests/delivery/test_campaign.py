"""Faults at random, many at once: what was said to our client is what the next hop did, every time."""

import asyncio
import random
from collections import Counter

import pytest

from tests.delivery.conftest import people
from tests.peers.sink import OFFERS, Sink, close, close_after, drop, reset, say, say_and_close

STEPS = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BLOCK", "DOT", "RSET"]
ACTS = [
    close(),
    reset(),
    drop(),
    close_after(),
    say("451 4.3.0 later"),
    say_and_close("421 4.3.2 shutting down"),
    say_and_close("554 5.7.1 no"),
    say_and_close("rubbish"),
]


async def one_message(hop, number, chance):
    """Send one message in batches; its number, the recipients that were taken, the final reply."""
    transaction = await hop.begin()
    everyone, taken = people(*(f"{number}-{each}" for each in range(chance.randint(1, 6)))), []
    cut = chance.randint(0, len(everyone))
    for batch in (everyone[:cut], everyone[cut:]):
        answers = await transaction.recipients(batch) if batch else []
        taken += [each.address for each, answer in zip(batch, answers, strict=True) if answer.ok]
    if chance.random() < 0.1:
        await transaction.abandon()
        return number, taken, None
    content = b"Subject: %d\r\n\r\n" % number + b".x\r\n" * chance.choice([1, 1, 1, 200_000])
    return number, taken, await transaction.data(content)


async def campaign(hop_to, seed, messages):
    chance = random.Random(seed)
    refuse = {f"{number}-1@example.org": "550 5.1.1 no" for number in range(0, messages, 3)}
    offers = OFFERS if seed % 2 else OFFERS[1:]
    async with Sink(refuse=refuse, offers=offers) as first, Sink(refuse=refuse, offers=offers) as second:
        hop = hop_to(first, second, timeout=2)
        outcomes = []
        for start in range(0, messages, 5):
            for _ in range(3):
                sink = chance.choice([first, first, second])
                sink.at(chance.choice(STEPS), chance.choice(ACTS), times=1, skip=chance.randint(0, 4))
            numbers = range(start, min(start + 5, messages))
            outcomes += await asyncio.gather(*(one_message(hop, number, chance) for number in numbers))
        return outcomes, [*first.mails, *second.mails]


def check(outcomes, mails):
    arrived = {}
    for mail in mails:
        number = int(mail.content.split(b"\r\n")[0].removeprefix(b"Subject: "))
        arrived.setdefault(number, []).append(mail)
    for number, taken, final in outcomes:
        here = [mail.addresses for mail in arrived.get(number, [])]
        if final is not None and final.ok:
            assert here == [taken], f"message {number} was answered {final}"
        elif final is not None and final.enhanced == "4.4.2":
            assert here in ([], [taken]), f"message {number} is unknown"
        else:
            assert here == [], f"message {number} was answered {final}"
    return Counter("none" if final is None else final.enhanced for _, _, final in outcomes)


@pytest.mark.parametrize("seed", range(4))
async def test_what_was_said_is_what_was_done(hop_to, seed):
    kinds = check(*await campaign(hop_to, seed, 100))
    assert kinds["2.0.0"] > 30 and len(kinds) >= 3


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
async def test_what_was_said_is_what_was_done_for_long(hop_to, seed):
    check(*await campaign(hop_to, seed, 500))
