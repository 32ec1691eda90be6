"""A transaction with all that was worked out about it, ready to be decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from hashlib import sha256

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import (
    Audience,
    Cancelled,
    Counts,
    EarlierMailings,
    Facts,
    Keys,
    SentQuery,
    Source,
    Standing,
    Transaction,
    Verdict,
    is_automatic,
)

Judge = Callable[[Counts, Standing], Verdict]


@immutable
class Gathering:
    """How a batch is gathered (docs/mailings.md); times in seconds."""

    opens: bool  # its size is one at which MTAs cut mail up; other sizes only join a gather
    quiet: float
    limit: float


def body_digest(arrival: Arrival) -> bytes:
    """Return the SHA-256 of the message's octets; worked out only for stored messages."""
    return sha256(arrival.transaction.content).digest()


@immutable
class KeptAs:
    """The names by which a batch is kept: keyed hashes of its identity and origin, and the digest of its body."""

    identity: bytes
    origin: bytes
    body: bytes


@immutable
class Arrival:
    """A transaction that is to be decided, with its facts, audience, source and keys."""

    transaction: Transaction
    facts: Facts
    audience: Audience
    source: Source
    keys: Keys
    identity: Callable[[], str]  # of the batch, should it be stored: a resend has the same; seldom worked out
    now: datetime
    within: timedelta  # how long a mailing takes in transactions that its keys join
    separate: bool = False  # each message of its source is a mailing of its own
    by_agency: bool = False  # texts join within the agency of each place, with `source: agency`
    gathering: Gathering | None = None  # None where it never waits
    trace: bytes = field(default=b"", repr=False)
    notify: bool = False  # whether the sender may be told by mail
    earlier: frozenset[EarlierMailings] = frozenset()  # what the rules ask about earlier mailings
    text: str = ""  # subject and text, by which it counts with mail of other senders; "" where it does not
    least_people: int = 0  # below this sum no rule about counts matches
    observes_counts: bool = False  # a rule about counts is only observed: its matches are recorded, and must be exact
    sent: frozenset[SentQuery] = frozenset()  # what the rules ask about its origin and client
    least_sent: int = 0  # below it no rule about these matches
    most_sent: Mapping[SentQuery, int] = field(default_factory=dict)  # from there on all rules about it match
    cancelled: Cancelled | None = None  # what it calls off, where it does nothing else
    returning: bool = False  # it bears a release token: it is not taken for a resend of the batch that is stored

    @property
    def answers(self) -> tuple[str, ...]:
        """The Message-IDs that it answers, where it is automatic mail to one recipient."""
        return self.facts.answers if is_automatic(self.transaction, self.facts) else ()
