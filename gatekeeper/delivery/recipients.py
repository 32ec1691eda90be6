"""Send a stored message to many recipients, in as few transactions as the next hop accepts, with a result for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial

from gatekeeper.delivery.reply_stream import settle
from gatekeeper.delivery.transaction import RelayTransaction
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Recipient
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.replies import Reply

MOST_RECIPIENTS = 1000  # in one transaction; servers accept 100 at least (RFC 5321 4.5.3.1.8), Postfix 1000
_TOO_MANY = (452, 552)  # RFC 5321 4.5.3.1.10


class Result(StrEnum):
    """What became of one recipient."""

    DELIVERED = "delivered"  # the next hop has it
    REFUSED = "refused"  # 5xx
    DEFERRED = "deferred"  # 4xx: to be tried again
    UNKNOWN = "unknown"  # the connection was lost after the dot: the next hop may have it
    DOWN = "down"  # no next hop could be reached: to be tried again, with all other mail


@immutable
class RecipientResult:
    """What became of one recipient, and the reply that says so (for `unknown` and `down`, ours)."""

    recipient: Recipient
    result: Result
    reply: Reply


async def deliver_to_all(
    begin: Callable[[], RelayTransaction], recipients: Sequence[Recipient], content: bytes | Sequence[bytes]
) -> tuple[RecipientResult, ...]:
    """Send to all recipients, a thousand a transaction; recipients beyond the next hop's limit go into further ones.

    Args: `begin` makes a transaction with the sender and its parameters. Returns a result for each recipient, in order.
    """
    results: dict[int, RecipientResult] = {}
    waiting = list(enumerate(recipients))
    while waiting:
        batch, waiting = waiting[:MOST_RECIPIENTS], waiting[MOST_RECIPIENTS:]
        these = await _deliver_batch(begin(), [recipient for _, recipient in batch], content)
        results.update(zip((place for place, _ in batch), these, strict=True))
        if any(each.result is Result.DELIVERED for each in these):
            waiting = [pair for pair, each in zip(batch, these, strict=True) if _one_too_many(each)] + waiting
    return tuple(results[place] for place in range(len(recipients)))


def _one_too_many(result: RecipientResult) -> bool:
    return result.reply.code in _TOO_MANY and result.result is Result.DEFERRED


async def _deliver_batch(
    transaction: RelayTransaction, recipients: Sequence[Recipient], content: bytes | Sequence[bytes]
) -> list[RecipientResult]:
    try:
        answers = await _ask(transaction, recipients)
        final = await transaction.data(content) if any(answer.ok for answer in answers) else None
    finally:
        await transaction.abandon()
    outcomes = (_outcome(answer, final, transaction.outcome_unknown) for answer in answers)
    return [RecipientResult(each, *outcome) for each, outcome in zip(recipients, outcomes, strict=True)]


async def _ask(transaction: RelayTransaction, recipients: Sequence[Recipient]) -> Sequence[Reply]:
    """Return the reply to each recipient: that to MAIL where it was refused."""
    answered: asyncio.Future[Sequence[Reply]] = asyncio.get_running_loop().create_future()
    transaction.ask(recipients, partial(settle, answered))
    opened, *answers = await answered
    return answers if opened.ok else [opened] * len(recipients)


def _outcome(answer: Reply, final: Reply | None, unknown: bool) -> tuple[Result, Reply]:
    """Return a recipient's result from the replies to its RCPT and to the message."""
    if not answer.ok or final is None:
        refused = answer.permanent and answer.code not in _TOO_MANY
        return (Result.REFUSED if refused else _later(answer)), answer
    if unknown:
        return Result.UNKNOWN, final
    if final.ok:
        return Result.DELIVERED, final
    return (Result.REFUSED if final.permanent else _later(final)), final


def _later(answer: Reply) -> Result:
    return Result.DOWN if answer == policy_replies.next_hop_down() else Result.DEFERRED
