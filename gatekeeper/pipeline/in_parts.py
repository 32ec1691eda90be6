"""Relay a message to more recipients than the next hop takes at once: the first part now, the rest by the queue.

The rest is durable before the first part goes, and is released when the next hop has taken that. So the client's 250 is
true of everybody, and whatever ends this process in between costs the first part a repeat at most: the client, which
has no reply, sends again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from gatekeeper.lib.failpoints import step
from gatekeeper.smtp.replies import Reply
from gatekeeper.store import Arrival, OutageLog, Store, StoreError
from gatekeeper.store.rest import Rest, drop_rest, release_rest

log = logging.getLogger("gatekeeper.pipeline")
_AGAIN_SECONDS = 0.5


async def relay_in_parts(
    store: Store, arrival: Arrival, rest: int | None, fields: bytes, pass_on: Callable[[], Awaitable[Reply]]
) -> Reply:
    """Relay the first part by `pass_on`, and queue the rest where the next hop takes it; return the next hop's reply.

    Args: `rest` is the id of the batch that was decided for it; `fields` go before the message. Raises StoreError.
    """
    if rest is None:
        raise StoreError("nothing was kept for the recipients beyond the next hop's limit")
    body = await store.store_body(arrival)
    answer = await pass_on()
    step("part-relayed")
    if answer.ok:
        await _release(store, Rest(rest, body, fields))
        step("rest-released")
    else:
        with contextlib.suppress(StoreError):  # else it is removed as one that was never acknowledged
            await store.run(partial(drop_rest, batch_id=rest))
    return answer


async def _release(store: Store, rest: Rest) -> None:
    """Queue the rest, again and again until the database is there: the first part cannot be called back."""
    outage, released = OutageLog(log, "the rest of a message"), None
    while True:
        with outage.survived():
            released = await store.run(partial(release_rest, rest=rest, now=store.now()))
        if released:
            return
        if released is False:
            raise StoreError("the rest of a message is gone")
        await asyncio.sleep(_AGAIN_SECONDS)
