"""Pass a message from the milter protocol through the pipeline, and return what the MTA is to do with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

from gatekeeper.delivery.mark import Mark, tell_marked
from gatekeeper.lib.aio import run_long
from gatekeeper.lib.immutable import immutable
from gatekeeper.message.hide_recipients import HIDDEN, shown_fields
from gatekeeper.message.own_token import TOKEN_FIELD
from gatekeeper.message.remove_fields import places_of
from gatekeeper.milter.session import Conclusion, Message, with_final_crlf
from gatekeeper.model import Transaction
from gatekeeper.ops.log import event
from gatekeeper.policy.peers import Connection, PeerChecks
from gatekeeper.server.connections import OnRefused
from gatekeeper.server.ports import ListenerPipeline
from gatekeeper.server.spool import LARGE, Spool
from gatekeeper.settings import Listening, contains
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.data import Fault, has_valid_line_ends
from gatekeeper.smtp.received import MOST_HOPS, count_received, received_field
from gatekeeper.smtp.replies import Reply, reply

_LEFT_TO_THE_MTA = reply(250, "left to the mail server", "2.0.0")
_FIELD = re.compile(rb"(?<![^\r\n])[^\r\n]++\r\n(?:[ \t][^\r\n]*\r\n)*")
# Postfix makes its short queue ids of the microsecond and the inode, so that the next message may have the same one and
# would be taken for a part of this one. Long ones (enable_long_queue_ids) and Sendmail's are never used again.
_SHORT_QUEUE_ID = re.compile(r"[0-9A-F]{6,16}")
_HERE = "127.0.0.1"  # the peer of a unix socket, as on the SMTP listener


@immutable
class MilterHandler:
    """Judges whole messages for the milter listener."""

    settings: Listening
    pipeline: ListenerPipeline
    obstacle: Callable[[], Reply | None]
    refused: OnRefused
    peers: PeerChecks
    mark: Mark | None = None

    async def judge(self, message: Message, peer: str) -> Conclusion:
        """Judge a message. Args: `peer` is the MTA's IP address, "" on a unix socket."""
        try:
            return await self._judged(message, peer)
        finally:
            message.pieces.clear()  # which gives back its memory

    async def _judged(self, message: Message, peer: str) -> Conclusion:
        content = self.obstacle() or await self._content(message)
        if isinstance(content, Reply):
            self.refused("data", content)
            return Conclusion(content)
        named = self.peers.peer_of(_seen(message), content)
        if isinstance(named, Reply):
            event("peer refused", {"client": message.client.address, "reply": str(named)})
            self.refused("data", named)
            return Conclusion(named)
        return await self._passed(replace(self._transaction(message, content, peer), peer=named))

    async def _passed(self, transaction: Transaction) -> Conclusion:
        passed: list[tuple[bytes, bool]] = []

        async def relay(added: bytes, *, blind: bool = False) -> Reply:
            passed.append((added, blind))
            return _LEFT_TO_THE_MTA

        tell_marked(self.mark, transaction)
        answer = await self.pipeline.receive(transaction, relay)
        if not answer.ok:
            return Conclusion(answer)
        if not passed:  # Point of no return: the message is kept, and ours alone.
            return Conclusion(discard=True)
        # the MTA adds its own Received field
        ((added, blind),) = passed
        fields = tuple(_FIELD.findall(added.removeprefix(transaction.trace)))
        fields = (self.mark.field(), *fields) if self.mark else fields
        removed = places_of(transaction.content, (TOKEN_FIELD, *((self.mark.name,) if self.mark else ())))
        if blind and (shown := tuple(shown_fields(transaction.content))):
            return Conclusion(added=(*fields, HIDDEN), removed=(*removed, *shown))
        return Conclusion(added=fields, removed=removed)

    async def _content(self, message: Message) -> bytes | Reply:
        """Return the message's content, or the reply that refuses it."""
        content = message.fault or await _read(message)
        if isinstance(content, Fault):
            return policy_replies.not_taken_in(content, self.settings.max_size, self.settings.max_recipients)
        return policy_replies.too_many_hops() if count_received(content) > MOST_HOPS else content

    def _transaction(self, message: Message, content: bytes, peer: str) -> Transaction:
        unique = message.queue_id and not _SHORT_QUEUE_ID.fullmatch(message.queue_id)
        transaction = Transaction(
            listener="milter",
            client=message.client,
            sender=message.sender,
            recipients=message.recipients,
            content=content,
            parameters=message.parameters,
            login=message.login,
            authenticated=bool(message.login) or contains(self.settings.authenticated, message.client.address),
            upstream=f"{message.queue_id}@{peer or _HERE}" if unique else None,
        )
        return replace(transaction, trace=self._trace(transaction, message))

    def _trace(self, transaction: Transaction, message: Message) -> bytes:
        """Return the Received field that the MTA would add; a message released later begins with it."""
        hostname = message.mta or self.settings.hostname
        return received_field(transaction, hostname, datetime.now(UTC), message.queue_id)


def _seen(message: Message) -> Connection:
    """Return what the MTA says of its client's connection: not which names are on the certificate (docs/peers.md)."""
    address = message.client.address
    encrypted = "S" in message.client.protocol.removeprefix("ESMTP")
    return Connection(address, address, encrypted, direct=False)


async def _read(message: Message) -> bytes | Fault:
    """Return the message's content, or why it is refused; a large one is joined in a thread."""
    try:
        content = await cast(Spool, message.pieces).whole()  # the connection's
    except TimeoutError:
        return Fault.MEMORY
    if content is None:
        return Fault.DISK
    return await run_long(_checked, content) if len(content) >= LARGE else _checked(content)


def _checked(content: bytes) -> bytes | Fault:
    content = with_final_crlf(content)
    return content if has_valid_line_ends(content) else Fault.LINE_ENDS
