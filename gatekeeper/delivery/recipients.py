"""Send a stored message in one transaction with a result for each recipient, and cut recipients into parts for it.

A part is as large as the next hop takes (RFC 5321 4.5.3.1.8): those beyond its limit go into the next part. What has
become of a part is written before the next one is sent, so that a crash repeats one part at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import Generic, TypeVar

from gatekeeper.delivery.reply_stream import settle
from gatekeeper.delivery.transaction import RelayTransaction
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Recipient
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.replies import Reply

_FULL = (452, 552)  # RFC 5321 4.5.3.1.10: neither is final
T = TypeVar("T")


class Result(StrEnum):
    """What became of one recipient."""

    DELIVERED = "delivered"  # the next hop has it
    REFUSED = "refused"  # 5xx
    DEFERRED = "deferred"  # 4xx: to be tried again
    BEYOND = "beyond"  # the next hop's limit, while others were delivered to: to be sent in the next part
    UNKNOWN = "unknown"  # the connection was lost after the dot: the next hop may have it
    DOWN = "down"  # no next hop could be reached: to be tried again, with all other mail


@immutable
class RecipientResult:
    """What became of one recipient, and the reply that says so (for `unknown` and `down`, ours)."""

    recipient: Recipient
    result: Result
    reply: Reply


class Parts(Generic[T]):
    """Recipients that are still to be sent to, a part at a time, each of any kind."""

    def __init__(self, waiting: Sequence[T], most: int) -> None:
        """Args: `most` recipients in a part, until the next hop says that it takes fewer."""
        self._waiting, self._most = list(waiting), most

    def take(self) -> list[T]:
        """Take the next part; empty where none is left."""
        part, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        return part

    def put_back(self, beyond: Sequence[T], of: int) -> None:
        """Put back those of a part of so many that were beyond the next hop's limit; further parts keep to it."""
        if beyond:
            self._waiting = [*beyond, *self._waiting]
            self._most = max(1, of - len(beyond))


async def deliver(
    transaction: RelayTransaction, recipients: Sequence[Recipient], content: bytes | Sequence[bytes]
) -> tuple[RecipientResult, ...]:
    """Send to all recipients in one transaction; return a result for each, in order."""
    try:
        answers = await _ask(transaction, recipients)
        final = await transaction.data(content) if any(answer.ok for answer in answers) else None
    finally:
        await transaction.abandon()
    outcomes = (_outcome(answer, final, transaction.outcome_unknown) for answer in answers)
    return tuple(RecipientResult(each, *outcome) for each, outcome in zip(recipients, outcomes, strict=True))


async def _ask(transaction: RelayTransaction, recipients: Sequence[Recipient]) -> Sequence[Reply]:
    """Return the reply to each recipient: that to MAIL where it was refused."""
    answered: asyncio.Future[Sequence[Reply]] = asyncio.get_running_loop().create_future()
    transaction.ask(recipients, partial(settle, answered))
    opened, *answers = await answered
    return answers if opened.ok else [opened] * len(recipients)


def _outcome(answer: Reply, final: Reply | None, unknown: bool) -> tuple[Result, Reply]:
    """Return a recipient's result from the replies to its RCPT and to the message."""
    if not answer.ok and final is not None and final.ok and not unknown and answer.is_beyond_limit:
        return Result.BEYOND, answer
    if not answer.ok or final is None:
        # of somebody beyond its limit nothing is known yet, whatever the code, where it took others
        is_beyond = answer.code in _FULL or (final is not None and answer.is_beyond_limit)
        refused = answer.permanent and not is_beyond
        return (Result.REFUSED if refused else _later(answer)), answer
    if unknown:
        return Result.UNKNOWN, final
    if final.ok:
        return Result.DELIVERED, final
    return (Result.REFUSED if final.permanent else _later(final)), final


def _later(answer: Reply) -> Result:
    return Result.DOWN if answer == policy_replies.next_hop_down() else Result.DEFERRED
