"""What a listener asks of the rooms behind it: a next hop to mirror, and a pipeline that decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.smtp.replies import Reply


class Relay(Protocol):
    """Passes a message on; called at most once."""

    async def __call__(self, added: bytes, *, blind: bool = False) -> Reply:
        """Put these header fields before the content; with `blind` hide its To and Cc (rules: `repair: blind`)."""
        ...


Heard = Callable[[Reply | None], None]
HeardAll = Callable[[Sequence[Reply] | None], None]


class RelayTransaction(Protocol):
    """One transaction at the next hop. A next hop that is down answers 451 4.4.1; nothing of it raises."""

    async def open(self) -> Reply:
        """Say MAIL where it was not said yet; the reply to it."""
        ...

    async def recipients(self, batch: Sequence[Recipient]) -> Sequence[Reply]:
        """Say RCPT for each, pipelined, MAIL before them where it was not said yet; a reply for each, in order."""
        ...

    def ask_at_once(self, recipient: Recipient, command: bytes, then: Heard) -> bool:
        """Say RCPT without waiting, as the client's line has it; False where that cannot be done now.

        `then` is given the reply, or None where `recipients` is to be asked after all.
        """
        ...

    async def data(self, content: Sequence[bytes]) -> Reply:
        """Pass the message on; the reply to its dot ends the transaction."""
        ...

    async def abandon(self) -> None:
        """End the transaction without a message; harmless after `data`."""
        ...


class NextHop(Protocol):
    """Where mail goes on to."""

    async def extensions(self) -> Mapping[str, str] | None:
        """EHLO keywords, in upper case, that every next hop offers, with their arguments; None while not known."""
        ...

    def extensions_known(self) -> Mapping[str, str] | None:
        """As `extensions`, where they are known already; the same mapping as long as they are the same."""
        ...

    async def begin(self, sender: str, parameters: Sequence[str], client: Client) -> RelayTransaction:
        """Begin a transaction; nothing is said before `open`."""
        ...

    def resume(
        self,
        sender: str,
        parameters: Sequence[str],
        client: Client,
        recipients: Sequence[Recipient],
        then: HeardAll,
    ) -> RelayTransaction | None:
        """Begin a transaction over a connection that is there, say MAIL and RCPT; None where that cannot be done now.

        `then` is given all replies, or None where the connection was lost: `open` and `recipients` are to be awaited.
        """
        ...


class Pipeline(Protocol):
    """What decides over a message."""

    async def receive_in_task(self, transaction: Transaction, relay: Relay) -> Reply:
        """Judge a transaction and give the reply to its dot; the caller's task is one that nobody cancels."""
        ...
