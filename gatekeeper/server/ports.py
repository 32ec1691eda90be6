"""What a listener needs of other rooms, as protocols: a next hop to mirror, and a pipeline that decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gatekeeper.delivery.transaction import RelayTransaction
from gatekeeper.model import Client, Transaction
from gatekeeper.smtp.replies import Reply


class RelayMessage(Protocol):
    """Passes the message on to the next hop; called at most once."""

    async def __call__(self, added: bytes, *, blind: bool = False) -> Reply:
        """Relay the message, and return the next hop's final reply.

        Args: `added` are header fields to put before it; `blind` hides To and Cc (rules: `repair: blind`).
        """
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

    def begin(self, sender: str, parameters: Sequence[str], client: Client) -> RelayTransaction:
        """Begin a transaction; nothing is sent yet."""
        ...


class ListenerPipeline(Protocol):
    """The pipeline, as a listener sees it."""

    async def receive(self, transaction: Transaction, relay: RelayMessage) -> Reply:
        """Judge a transaction and return the reply to its dot; the caller's task must not be cancelled."""
        ...
