"""One transaction in progress: its envelope, and the transaction at the next hop that mirrors it."""

from __future__ import annotations

from collections.abc import Sequence

from gatekeeper.message.hide_recipients import hide_recipients
from gatekeeper.model import Recipient, Transaction
from gatekeeper.server.ports import ListenerPipeline, ListenerTransaction, OnReply
from gatekeeper.smtp.parameters import MailArgument
from gatekeeper.smtp.replies import Reply, reply

_TAKEN = reply(250, "recipient ok", "2.1.5")
_NO_SENDER = reply(503, "expected MAIL first", "5.5.1")


class Exchange:
    """A transaction from MAIL to the reply to the dot. Its recipients are those that the next hop accepts."""

    def __init__(self, mail: MailArgument, relayed: ListenerTransaction) -> None:
        self.mail = mail
        self.opened: Reply | None = None  # the next hop's reply to MAIL, once it was asked
        self.accepted: list[Recipient] = []
        self.refused = 0
        self._relayed = relayed
        self._passed_on = False

    def ask_at_once(self, recipient: Recipient, command: bytes, then: OnReply) -> bool:
        """Ask about one recipient without waiting; return False where that cannot be done at once.

        Args: `command` is the client's own line; `then` is called with the reply, or with None where `ask` must be used
        after all. The caller notes the answer.
        """
        return self._relayed.ask_at_once(recipient, command, then)

    def note(self, recipient: Recipient, answer: Reply) -> None:
        """Note the next hop's reply about a recipient."""
        if answer.ok:
            self.accepted.append(recipient)
        else:
            self.refused += 1

    async def open(self) -> Reply:
        """Ask the next hop about MAIL."""
        self.opened = await self._relayed.open()
        return self.opened

    async def ask(self, recipients: Sequence[Recipient]) -> Sequence[Reply]:
        """Ask the next hop about recipients, and before them about MAIL where that was not done; return its replies in
        order.

        Not to be called again once the next hop has refused MAIL.
        """
        replies = await self._relayed.recipients(recipients) if recipients else ()
        if (
            not self.opened and not (await self.open()).ok
        ):  # MAIL was sent with the recipients; this takes no round trip
            return [self.opened if self.opened and self.opened.transient else _NO_SENDER] * len(recipients)
        self.note_all(recipients, replies)
        return replies

    def accept(self, recipient: Recipient) -> Reply:
        """Accept a recipient that the gate itself answers."""
        self.accepted.append(recipient)
        return _TAKEN

    def note_all(self, recipients: Sequence[Recipient], replies: Sequence[Reply]) -> None:
        """Note the replies to many recipients."""
        if (
            replies and replies[0].ok and replies.count(replies[0]) == len(replies)
        ):  # of thousands nearly all are the same
            self.accepted += recipients
            return
        for recipient, answer in zip(recipients, replies, strict=True):
            self.note(recipient, answer)

    async def finish(self, pipeline: ListenerPipeline, transaction: Transaction) -> Reply:
        """Have the message judged, and return the reply to its dot. The next hop's transaction is over then."""

        async def relay(added: bytes, *, blind: bool = False) -> Reply:
            self._passed_on = True  # from here on the next hop may have the message
            content = hide_recipients([transaction.content]) if blind else [transaction.content]
            return await self._relayed.data((added, *content))

        try:
            return await pipeline.receive_in_task(transaction, relay)
        finally:
            await self.abandon()

    async def abandon(self) -> None:
        """End the next hop's transaction, unless the message was passed on in it."""
        if not self._passed_on:
            await self._relayed.abandon()
