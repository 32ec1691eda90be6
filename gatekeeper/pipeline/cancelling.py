"""Find out what a message calls off: it waits for nobody where it says nothing else."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from gatekeeper.lib.aio import run_long
from gatekeeper.message import cancels, subject_key
from gatekeeper.model import Cancelled
from gatekeeper.store import Store
from gatekeeper.store.arrival import Arrival
from gatekeeper.store.batches import read_body
from gatekeeper.store.cancelled import MOST_OCTETS, find_approved


async def with_cancelled(store: Store, arrival: Arrival) -> Arrival:
    """Return the arrival with the approved mailing that it calls off, where it does. Raises StoreError."""
    content = arrival.transaction.content
    if (
        not arrival.facts.subject_key
        or not arrival.facts.short_key.startswith("invitation:")
        or len(content) > MOST_OCTETS
    ):
        return arrival

    def is_its_subject(subject: str) -> bool:
        return subject_key(subject) == arrival.facts.subject_key

    find = partial(find_approved, arrival=arrival, secret=store.secret, is_its_subject=is_its_subject)
    for approved in await store.read(find):
        for digest in approved.bodies:
            body = await store.read(partial(read_body, digest=digest))
            if await run_long(cancels, content, body):
                return replace(arrival, cancelled=_as_of_today(approved.mailing, arrival))
    return arrival


def _as_of_today(cancelled: Cancelled, arrival: Arrival) -> Cancelled:
    """Return the mailing with its permit as good today, for the same sender, who has to be known, and for no content:
    that was compared.
    """
    permit = replace(
        cancelled.permit,
        digests=frozenset(),
        likeness=None,
        ceiling=None,
        until=max(cancelled.permit.until, arrival.now),
        since=None,
        state="in force",
    )
    return replace(cancelled, permit=permit)
