"""What a session of `session.py` wants done by whoever drives it, and what it asks its listener."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.smtp.client_identity import ClientIdentity
from gatekeeper.smtp.parameters import MailArgument
from gatekeeper.smtp.replies import Reply


@immutable
class Read:
    """Receive octets of the client. Resumed with all that have come, at least one."""


@immutable
class FindOffers:
    """Find out which extensions may be offered. Resumed with their EHLO keywords, and the arguments of these."""


@immutable
class StartTls:
    """Answer STARTTLS, and encrypt the connection (RFC 3207).

    Resumed with the dNSNames of the certificate that the client has shown; () without one that was verified.
    """


@immutable
class Ask:
    """Ask the next hop about MAIL, the first time in a transaction, and about recipients.

    Resumed with the reply to MAIL where this is the first time, then one reply for each recipient.
    """

    mail: MailArgument
    client: Client
    recipients: Sequence[Recipient]


@immutable
class Abandon:
    """End the next hop's transaction without a message. Resumed with None."""


@immutable
class TakeMessage:
    """Receive the content of a message. Resumed with the content, or with why it is refused."""

    limit: int  # octets


@immutable
class Judge:
    """Have a message judged, and relayed where it may pass; the next hop's transaction is over then.

    Resumed with the reply to the message's dot.
    """

    transaction: Transaction


Wanted = Read | FindOffers | StartTls | Ask | Abandon | TakeMessage | Judge
Dialog = Generator[Wanted, Any, None]  # a dialog, or a part of one
READ, FIND_OFFERS, START_TLS, ABANDON = Read(), FindOffers(), StartTls(), Abandon()


class Listener(Protocol):
    """What a session asks its listener, which answers at once. A `peer` is the IP address of the connected client."""

    @property
    def hostname(self) -> str: ...

    @property
    def max_commands(self) -> int:
        """The most commands between two messages, RCPT not counted."""
        ...

    @property
    def max_recipients(self) -> int: ...

    @property
    def trusts(self) -> bool:
        """True where the next hop takes every recipient, and is asked about all of them only at DATA."""
        ...

    @property
    def has_tls(self) -> bool:
        """True where STARTTLS can be offered."""
        ...

    def hello(self, offered: Mapping[str, str], peer: str, *, starttls: bool) -> Reply:
        """Return the reply to EHLO. Args: `offered` are the keywords that OFFERS was resumed with."""
        ...

    def size_limit(self, offered: Mapping[str, str]) -> int:
        """Return the largest message, in octets, that is accepted from a client that was offered this."""
        ...

    def peer_obstacle(self, identity: ClientIdentity) -> Reply | None:
        """Return the reply to MAIL where the connection is not that of a peer who sends from there."""
        ...

    def peer_of(self, identity: ClientIdentity, client: Client, content: bytes) -> str | Reply:
        """Return the name of the peer that a message is of, "" where none is asked for; or the reply that refuses it.

        Args: `client` is the one that the transaction is for.
        """
        ...

    def obstacle(self) -> Reply | None:
        """Return the reply to MAIL while no mail can be taken, such as 452 4.3.1 with a full disk."""
        ...

    def sender_allowed(self, sender: str, peer: str) -> bool:
        """Return True where mail with this MAIL FROM, which is not null, is accepted."""
        ...

    def answers_any(self, addresses: Sequence[str]) -> bool:
        """Return True where `answer_to` has an answer to one of these recipients."""
        ...

    def answer_to(self, address: str) -> Reply | None:
        """Return the gate's own answer to a recipient, about whom no next hop is asked; None for all others.

        One that is accepted is the gate's own.
        """
        ...

    def put_off(self, sender: str) -> dict[str, Reply]:
        """Return the replies to recipients, by address, whom the next hop put off at DATA in messages of this sender.

        Who gives one to a client takes it out.
        """
        ...

    def note_put_off(self, sender: str, replies: Mapping[str, Reply]) -> None:
        """Note such replies."""
        ...

    def refused(self, stage: str, reply: Reply) -> None:
        """Count what is refused before rules are asked. Args: `stage` is one of refusals.STAGES."""
        ...

    def may_xforward(self, peer: str) -> bool: ...

    def may_xclient(self, peer: str) -> bool: ...

    def is_authenticated(self, client: str) -> bool:
        """Return True for a client, by IP address, whose senders are known."""
        ...
