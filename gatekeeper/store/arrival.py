"""A transaction as it comes to be decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from datetime import datetime, timedelta
from hashlib import sha256

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import (
    Audience,
    Counts,
    EarlierMailings,
    Facts,
    Keys,
    Source,
    Standing,
    Transaction,
    Verdict,
    is_automatic,
)

Judge = Callable[[Counts, Standing], Verdict]


@immutable
class Gathering:
    """How a batch is gathered (DESIGN 3.5); times in seconds."""

    opens: bool  # its size is one at which MTAs cut mail up; others only join what is being gathered
    quiet: float
    limit: float


def body_digest(arrival: Arrival) -> bytes:
    """SHA-256 of the octets: worked out only for what is kept."""
    return sha256(arrival.transaction.content).digest()


@immutable
class Arrival:
    """A transaction as it comes to be decided: what the core has made of it."""

    transaction: Transaction
    facts: Facts
    audience: Audience
    source: Source
    keys: Keys
    identity: str  # of the batch, should it be kept: a resend has the same
    now: datetime
    within: timedelta  # how long a mailing takes in what its keys join
    separate: bool = False  # its source's messages are mailings of their own
    agency: str | None = None  # within which texts join, with `source: agency`; else None
    gathering: Gathering | None = None  # None where it is never to wait
    trace: bytes = field(default=b"", repr=False)
    notify: bool = False  # whether the sender may be told by mail
    earlier: frozenset[EarlierMailings] = frozenset()  # what the rules ask about earlier mailings
    returning: bool = False  # says that we have sent it ourselves: no resend of the batch that we keep

    @property
    def answers(self) -> tuple[str, ...]:
        """Message-IDs of what it answers, where it is automatic mail to one recipient."""
        return self.facts.answers if is_automatic(self.transaction, self.facts) else ()
