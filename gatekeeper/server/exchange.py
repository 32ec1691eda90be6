"""One transaction under way: its envelope, and the transaction at the next hop that mirrors it."""

from __future__ import annotations

from collections.abc import Sequence

from gatekeeper.message.hide_recipients import hide_recipients
from gatekeeper.model import Recipient, Transaction
from gatekeeper.server.ports import Heard, Pipeline, RelayTransaction
from gatekeeper.smtp.parameters import MailArgument
from gatekeeper.smtp.replies import Reply, reply

_TAKEN = reply(250, "recipient ok", "2.1.5")
_NO_SENDER = reply(503, "expected MAIL first", "5.5.1")


class Exchange:
    """From MAIL to the reply to the dot. Recipients are those that the next hop takes."""

    def __init__(self, mail: MailArgument, relayed: RelayTransaction) -> None:
        self.mail = mail
        self.opened: Reply | None = None  # the next hop's reply to MAIL, once it was asked
        self.accepted: list[Recipient] = []
        self.refused = 0
        self._relayed = relayed
        self._passed_on = False

    def ask_at_once(self, recipient: Recipient, command: bytes, then: Heard) -> bool:
        """Ask about one recipient without waiting; False where that cannot be done at once.

        Args: `command` is the client's own; `then` is given the reply, or None where it must be asked the other way
        after all. What was answered is to be noted.
        """
        return self._relayed.ask_at_once(recipient, command, then)

    def note(self, recipient: Recipient, answer: Reply) -> None:
        """Note what the next hop says about a recipient."""
        if answer.ok:
            self.accepted.append(recipient)
        else:
            self.refused += 1

    async def open(self) -> Reply:
        """Ask the next hop about MAIL."""
        self.opened = await self._relayed.open()
        return self.opened

    async def ask(self, recipients: Sequence[Recipient]) -> Sequence[Reply]:
        """Ask the next hop about recipients, and about MAIL with them where that was not asked; its replies, in order.

        An exchange whose MAIL it refused is not to be asked again.
        """
        replies = await self._relayed.recipients(recipients) if recipients else ()
        if not self.opened and not (await self.open()).ok:  # it has been said by now; this takes no round trip
            return [self.opened if self.opened and self.opened.transient else _NO_SENDER] * len(recipients)
        self.note_all(recipients, replies)
        return replies

    def accept(self, recipient: Recipient) -> Reply:
        """Take a recipient that the gate itself answers."""
        self.accepted.append(recipient)
        return _TAKEN

    def note_all(self, recipients: Sequence[Recipient], replies: Sequence[Reply]) -> None:
        """As `note`, thousands."""
        if replies and replies[0].ok and replies.count(replies[0]) == len(replies):  # thousands, for the most part
            self.accepted += recipients
            return
        for recipient, answer in zip(recipients, replies, strict=True):
            self.note(recipient, answer)

    async def finish(self, pipeline: Pipeline, transaction: Transaction) -> Reply:
        """Have the message judged and give the reply to its dot. The next hop's transaction is over after it."""

        async def relay(added: bytes, *, blind: bool = False) -> Reply:
            self._passed_on = True  # from here on the next hop may have it, whatever becomes of us
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
