"""What a listener needs of other rooms, as protocols: a next hop to mirror, and a pipeline that decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.smtp.replies import Reply


class RelayCallback(Protocol):
    """Passes a message on to the next hop; called at most once."""

    async def __call__(self, added: bytes, *, blind: bool = False) -> Reply:
        """Relay the message with these header fields before it; `blind` hides To and Cc (rules: `repair: blind`)."""
        ...


OnReply = Callable[[Reply | None], None]
OnReplies = Callable[[Sequence[Reply] | None], None]


class ListenerTransaction(Protocol):
    """One transaction at the next hop. A next hop that is down answers 451 4.4.1; no method raises."""

    async def open(self) -> Reply:
        """Send MAIL where that was not done, and return the reply to it."""
        ...

    async def recipients(self, batch: Sequence[Recipient]) -> Sequence[Reply]:
        """Send RCPT for each, pipelined, after MAIL where that was not sent; return the replies in order."""
        ...

    def ask_at_once(self, recipient: Recipient, command: bytes, then: OnReply) -> bool:
        """Send the client's own RCPT line without waiting; return False where that cannot be done now.

        Args: `then` is called with the reply, or with None where `recipients` must be awaited after all.
        """
        ...

    async def data(self, content: Sequence[bytes]) -> Reply:
        """Pass the message on, and return the reply to its dot, which ends the transaction."""
        ...

    async def abandon(self) -> None:
        """End the transaction without a message; harmless after `data`."""
        ...


class ListenerNextHop(Protocol):
    """The next hop, as a listener sees it."""

    async def extensions(self) -> Mapping[str, str] | None:
        """Return the EHLO keywords, in upper case, that every next hop offers, with arguments; None while they are
        unknown.
        """
        ...

    def extensions_known(self) -> Mapping[str, str] | None:
        """Return the extensions where they are known already; the same mapping object as long as they are the same."""
        ...

    async def begin(self, sender: str, parameters: Sequence[str], client: Client) -> ListenerTransaction:
        """Begin a transaction; nothing is sent before `open`."""
        ...

    def resume(
        self,
        sender: str,
        parameters: Sequence[str],
        client: Client,
        recipients: Sequence[Recipient],
        then: OnReplies,
    ) -> ListenerTransaction | None:
        """Begin a transaction over an idle connection by sending MAIL and RCPT; return None where that cannot be done
        now.

        Args: `then` is called with all replies, or with None where the connection was lost: await `open` and
        `recipients` then.
        """
        ...


class ListenerPipeline(Protocol):
    """The pipeline, as a listener sees it."""

    async def receive_in_task(self, transaction: Transaction, relay: RelayCallback) -> Reply:
        """Judge a transaction and return the reply to its dot; the caller's task must not be cancelled."""
        ...
