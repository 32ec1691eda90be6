"""The next hop: where mail goes on to, as the rest of the gate sees it. One a process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from gatekeeper import settings
from gatekeeper.delivery import maildir
from gatekeeper.delivery.hosts import Hosts
from gatekeeper.delivery.maildir import MaildirTransaction
from gatekeeper.delivery.mx import ExchangerHosts
from gatekeeper.delivery.recipients import RecipientResult, submit
from gatekeeper.delivery.relay import HeardAll, RelayTransaction, SmtpTransaction
from gatekeeper.delivery.route_url import Exchangers, Fixed, Folder, Host, read_next_hop
from gatekeeper.delivery.smtp_client import Deadlines
from gatekeeper.model import Client, Recipient


def _unreported(_kind: str) -> None:
    """Where nobody counts errors."""


class NextHop:
    """Made of the settings; raises SettingsError where --next-hop cannot be used.

    Args: `report` is called with the kind (delivery.errors.KINDS) of every error.
    """

    def __init__(self, section: settings.NextHop, report: Callable[[str], None] = _unreported) -> None:
        self._route, self._report = read_next_hop(section.next_hop), report
        deadlines = Deadlines().capped(section.next_hop_timeout)
        first = self._route.hosts[0] if isinstance(self._route, Fixed) else None
        self._hosts = Hosts(_finder(self._route), section.hostname, deadlines, section.next_hop_idle, report, first)

    async def extensions(self) -> Mapping[str, str] | None:
        """What all hosts that answer offer: EHLO keywords, upper case, to their parameters (SIZE: the least limit).

        Known for five minutes; None while nothing is known, as no host was reached.
        """
        if isinstance(self._route, Folder):
            return maildir.OFFERS
        return await self._hosts.offers()

    def extensions_known(self) -> Mapping[str, str] | None:
        """As `extensions`, at once; None where they are not known, or for too long."""
        return maildir.OFFERS if isinstance(self._route, Folder) else self._hosts.offers_known()

    async def begin(self, sender: str, parameters: Sequence[str], client: Client | None) -> RelayTransaction:
        """Begin a proxied transaction; nothing is sent yet.

        Args: `sender` without brackets, `parameters` of MAIL as they were given; `client` is for whom we speak by
        XCLIENT or XFORWARD where the next hop offers them, None for nobody.
        """
        return self._begin(sender, parameters, client, offered=True)

    def resume(
        self,
        sender: str,
        parameters: Sequence[str],
        client: Client | None,
        recipients: Sequence[Recipient],
        then: HeardAll,
    ) -> RelayTransaction | None:
        """Begin a transaction over a kept connection, and say MAIL and RCPT; None where it must be begun otherwise.

        Args: as of `begin`; `then` is given all replies, or None where the connection was lost: `open` and `recipients`
        ask another one.
        """
        if isinstance(self._route, Folder):
            return None
        transaction = SmtpTransaction(self._hosts, sender, parameters, client, offered=True)
        return transaction if transaction.open_at_once(recipients, then) else None

    def _begin(
        self, sender: str, parameters: Sequence[str], client: Client | None, *, offered: bool = False
    ) -> RelayTransaction:
        if isinstance(self._route, Folder):
            return MaildirTransaction(self._route.path, sender, self._report)
        return SmtpTransaction(self._hosts, sender, parameters, client, offered=offered)

    async def deliver(
        self, sender: str, parameters: Sequence[str], recipients: Sequence[Recipient], content: bytes | Sequence[bytes]
    ) -> tuple[RecipientResult, ...]:
        """Send a kept message; a result for each recipient, in their order. Raises nothing but cancellation."""
        return await submit(lambda: self._begin(sender, parameters, None), recipients, content)

    async def close(self) -> None:
        """Say goodbye on all kept connections."""
        await self._hosts.close()


def _finder(route: Fixed | Exchangers | Folder) -> Callable[[], Awaitable[list[Host]]]:
    if isinstance(route, Exchangers):
        return ExchangerHosts(route).hosts

    async def fixed() -> list[Host]:
        return list(route.hosts) if isinstance(route, Fixed) else []

    return fixed
