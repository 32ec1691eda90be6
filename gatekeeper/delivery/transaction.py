"""What a transaction with the next hop does, over SMTP or into a maildir; listeners and deliveries see this alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gatekeeper.model import Recipient
from gatekeeper.smtp.replies import Reply

OnReplies = Callable[[Sequence[Reply]], None]


class RelayTransaction(Protocol):
    """One transaction, ended by `data` or `abandon`. No method raises: a next hop that is down answers 451 4.4.1."""

    @property
    def outcome_unknown(self) -> bool:
        """True after `data` where the next hop may have the message and did not answer."""
        ...

    def ask(self, recipients: Sequence[Recipient], then: OnReplies) -> None:
        """Send MAIL, where it was not sent yet, and RCPT for each recipient; never waits.

        One `ask` at a time, and none once MAIL is refused. Recipients beyond the next hop's limit are answered with 452
        4.5.3, and not sent where that is known: by an earlier answer, or by --next-hop.

        Args: `then` is called once, after this method has returned: with the reply to MAIL where this is the first
        `ask`, then with one for each recipient, in order; the latter mean nothing where MAIL is refused. It is not
        called after `abandon`.
        """
        ...

    async def data(self, content: bytes | Sequence[bytes]) -> Reply:
        """Send the message to the accepted recipients; return the next hop's final reply."""
        ...

    async def abandon(self) -> None:
        """End the transaction without a message, and give up an `ask` under way; harmless after `data`."""
        ...
