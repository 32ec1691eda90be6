"""A next hop made of settings, its errors counted, and closed at the end."""

import asyncio
from collections import Counter

import pytest

from gatekeeper import settings
from gatekeeper.delivery import NextHop
from gatekeeper.model import Recipient

CONTENT = b"Subject: news\r\n\r\nAll is well.\r\n"


def people(*names):
    return [Recipient(f"{name}@example.org") for name in names]


class Dialog:
    """A transaction whose `ask` is awaited."""

    def __init__(self, transaction):
        self._transaction, self._opened = transaction, None
        self.data, self.abandon = transaction.data, transaction.abandon

    @property
    def outcome_unknown(self):
        return self._transaction.outcome_unknown

    async def open(self):
        """The reply to MAIL, said alone."""
        (self._opened,) = await self._answers([])
        return self._opened

    async def recipients(self, batch):
        """The reply to each recipient: that to MAIL where it was refused, after which nothing more is asked."""
        answers = []
        if self._opened is None:
            self._opened, *answers = await self._answers(batch)
        elif self._opened.ok:
            answers = await self._answers(batch)
        assert len(answers) == len(batch) or not self._opened.ok
        return answers if self._opened.ok else [self._opened] * len(batch)

    async def _answers(self, batch):
        answered = asyncio.get_running_loop().create_future()
        self._transaction.ask(batch, lambda said: answered.done() or answered.set_result(list(said)))
        assert not answered.done(), "nobody is called before `ask` has returned"
        return await answered


class Hop:
    """A NextHop and what it reported."""

    def __init__(self, text, timeout=5.0, idle=30.0):
        self.errors = Counter()
        section = settings.NextHopSettings(text, timeout, idle, "gate.example.gov")
        self.next_hop = NextHop(section, lambda kind: self.errors.update([kind]))

    async def begin(self, sender="news@example.gov", parameters=(), client=None):
        return Dialog(self.next_hop.begin(sender, parameters, client))

    async def send(self, recipients=None, content=CONTENT, **envelope):
        """A whole transaction; the replies to the recipients, and the final one."""
        transaction = await self.begin(**envelope)
        answers = await transaction.recipients(recipients or people("a"))
        return answers, await transaction.data(content)


@pytest.fixture
async def hop_to():
    """Make a Hop to sinks in order, or to the text of a --next-hop."""
    hops = []

    def make(*places, **options):
        text = places[0] if isinstance(places[0], str) else "smtp://" + ",".join(f"{s.host}:{s.port}" for s in places)
        hops.append(Hop(text, **options))
        return hops[-1]

    yield make
    for hop in hops:
        await hop.next_hop.close()
