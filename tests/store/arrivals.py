"""Arrivals for tests of the store, and judges that are as simple as can be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial

from gatekeeper.address import Addresses
from gatekeeper.message.mailing_keys import batch_identity, keys
from gatekeeper.model import (
    Action,
    Audience,
    Client,
    Counts,
    Facts,
    Reason,
    Recipient,
    Source,
    Standing,
    Transaction,
    Verdict,
)
from gatekeeper.store import Arrival

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AGENCIES = {"doa.example.gov": "DOA", "dphhs.example.gov": "DPHHS"}


def people(number: int, *domains: str, start: int = 0) -> list[str]:
    """That many addresses, spread over the domains."""
    domains = domains or tuple(AGENCIES)
    return [f"user{index}@{domains[index % len(domains)]}" for index in range(start, start + number)]


def arrival(
    recipients: Iterable[str],
    sender: str = "head@doa.example.gov",
    subject: str = "open enrolment",
    message_id: str = "1@doa.example.gov",
    body: bytes = b"Subject: open enrolment\r\n\r\nHello\r\n",
    after: float = 0.0,
    digest: str = "c0ffee",
) -> Arrival:
    """A transaction as the pipeline would bring it, `after` so many seconds."""
    recipients = list(recipients)
    facts = Facts(
        size=len(body),
        subject=subject,
        subject_key=subject,
        message_id=message_id,
        content_digest=digest,
        copy_digest=digest,
    )
    transaction = Transaction(
        listener="smtp",
        client=Client("192.0.2.1", "mx.example.gov", "mx.example.gov"),
        sender=sender,
        recipients=tuple(Recipient(address) for address in recipients),
        content=body,
    )
    source = Source(sender, owners=(sender,))
    inside = {address: AGENCIES[address.partition("@")[2]] for address in recipients if address.endswith(".gov")}
    outside = frozenset(address for address in recipients if not address.endswith(".gov"))
    return Arrival(
        transaction=transaction,
        facts=facts,
        audience=Audience(users=inside, externals=outside, recipients=len(recipients)),
        source=source,
        keys=keys(transaction, facts, source),
        identity=partial(batch_identity, sender, Addresses(recipients), facts),
        now=NOON + timedelta(seconds=after),
        within=timedelta(hours=24),
        trace=b"Received: from a by b; now\r\n",
        notify=True,
    )


def limit(users: int, otherwise: Action = Action.RELAY):
    """A judge that holds over so many users in more than one agency, as clause M1 does."""

    def judge(counts: Counts, standing: Standing) -> Verdict:
        mass = counts.people > 200
        over = counts.users > users and len(counts.agencies) > 1
        covered = any(counts.users <= permit.ceiling for permit in standing.permits)
        if (over or standing.state == "held") and not covered:
            return Verdict(Action.HOLD, (Reason("approval", Action.HOLD, "1220.XS2 III.A", "over the limit"),), mass)
        return Verdict(otherwise, (), mass)

    return judge


def always(action: Action):
    """A judge that always says the same."""
    return lambda counts, standing: Verdict(action, (Reason("always", action),), counts.people > 200)
