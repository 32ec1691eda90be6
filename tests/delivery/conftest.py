"""A next hop made of settings, its errors counted, and closed at the end."""

from collections import Counter

import pytest

from gatekeeper import settings
from gatekeeper.delivery import NextHop
from gatekeeper.model import Recipient

CONTENT = b"Subject: news\r\n\r\nAll is well.\r\n"


def people(*names):
    return [Recipient(f"{name}@example.org") for name in names]


class Hop:
    """A NextHop and what it reported."""

    def __init__(self, text, timeout=5.0, idle=30.0):
        self.errors = Counter()
        section = settings.NextHopSettings(text, timeout, idle, "gate.example.gov")
        self.next_hop = NextHop(section, lambda kind: self.errors.update([kind]))

    async def begin(self, sender="news@example.gov", parameters=(), client=None):
        return await self.next_hop.begin(sender, parameters, client)

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
