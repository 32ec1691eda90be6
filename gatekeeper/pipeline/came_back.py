"""Mail that the gate has sent on and the next hop brings back, known by its token: because of a rule there, say."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from gatekeeper.lib.aio import run_long
from gatekeeper.message import read_facts
from gatekeeper.message.hide_recipients import hide_recipients
from gatekeeper.message.own_token import SentMail, Turn, issue_token, read_token, token_field, token_of
from gatekeeper.model import Facts, Transaction
from gatekeeper.policy.active import Policy
from gatekeeper.smtp.replies import Reply
from gatekeeper.store import Arrival, Store, StoreError, returned

LOOP = 2  # times that mail comes back by a loop; once it may be a rule too many
_NONCE = 8  # octets
_SECONDS = 9.0  # for the database, as for a decision


async def turn_of(store: Store, transaction: Transaction, facts: Facts, policy: Policy, now: datetime) -> Turn | None:
    """Return how often mail has come back, this time included; None for mail that is not known by a good token.

    Raises StoreError where the database, which has the key, was not opened yet.
    """
    token = token_of(transaction.content)
    if token is None:
        return None
    members = await policy.members_of(transaction.addresses)
    mail = SentMail(facts.content_digest, transaction.addresses, members)
    turn = read_token(store.secret, token, mail, now.timestamp())
    return None if turn is None else replace(turn, times=turn.times + 1)


async def pass_once(store: Store, turn: Turn, now: datetime, relay: Callable[[], Awaitable[Reply]]) -> Reply | None:
    """Relay mail that has come back; return the next hop's reply.

    Returns None, without relaying, where its token has brought mail to one of the recipients before: whoever has the
    mail has the token. Uses are written before the next hop has the mail, and taken back where it has not taken it.
    Raises StoreError, TimeoutError.
    """
    async with asyncio.timeout(_SECONDS):
        if not await store.run(partial(returned.take_uses, uses=turn.uses, now=now.timestamp())):
            return None
    reply = None
    try:
        reply = await relay()
    finally:
        if reply is None or not reply.ok:
            with contextlib.suppress(StoreError):  # else the mail is judged when it is sent again
                await store.run(partial(returned.give_back, uses=turn.uses))
    return reply


async def new_token(store: Store, arrival: Arrival, turn: Turn, policy: Policy, *, blind: bool) -> bytes:
    """Return the token's field for the recipients whom the next hop is about to get the mail for; b"" without a key.

    Args: `blind` where its visible list is hidden.
    """
    transaction = arrival.transaction
    digest = await _hidden_digest(transaction.content) if blind else arrival.facts.content_digest
    addresses = transaction.addresses[: len(transaction.addresses) - transaction.beyond]
    members = await policy.members_of(addresses) if arrival.audience.lists else {}
    mail = SentMail(digest, addresses, members)
    try:
        token = issue_token(store.secret, mail, turn, arrival.now.timestamp(), secrets.token_bytes(_NONCE))
    except StoreError:
        return b""
    return token_field(token) if token else b""


async def _hidden_digest(content: bytes) -> str:
    facts: Facts = await run_long(_facts_when_hidden, content)
    return facts.content_digest


def _facts_when_hidden(content: bytes) -> Facts:
    return read_facts(b"".join(hide_recipients([content])))
