"""The next hop, as the rest of the gate uses it. One in each process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from gatekeeper import settings
from gatekeeper.delivery import maildir
from gatekeeper.delivery.hosts import Hosts
from gatekeeper.delivery.maildir import MaildirTransaction
from gatekeeper.delivery.mark import Mark, MarkedTransaction
from gatekeeper.delivery.mx import MxHosts
from gatekeeper.delivery.recipients import RecipientResult, deliver
from gatekeeper.delivery.relay import SmtpTransaction
from gatekeeper.delivery.route_url import FixedHosts, Host, MaildirFolder, MxDomain, read_next_hop
from gatekeeper.delivery.smtp_client import Deadlines
from gatekeeper.delivery.transaction import RelayTransaction
from gatekeeper.model import Client, Recipient


def _unreported(_kind: str) -> None:
    """Do nothing, where errors are not counted."""


class NextHop:
    """The next hop of --next-hop; raises SettingsError where that cannot be used.

    Args: `report` is called with the kind (delivery.errors.KINDS) of every error.
    """

    def __init__(self, section: settings.NextHopSettings, report: Callable[[str], None] = _unreported) -> None:
        self._route, self._report = read_next_hop(section.next_hop), report
        self._mark = Mark(section.mark) if section.mark else None
        deadlines = Deadlines().capped(section.next_hop_timeout)
        first = self._route.hosts[0] if isinstance(self._route, FixedHosts) else None
        self.most_recipients = self._route.recipients  # in one transaction, by --next-hop; None where it says nothing
        self._hosts = Hosts(
            _finder(self._route),
            section.hostname,
            deadlines,
            section.next_hop_idle,
            report,
            first,
            self.most_recipients,
        )

    async def extensions(self) -> Mapping[str, str] | None:
        """Return what all hosts that answer offer: EHLO keyword, in upper case, to parameters (SIZE: the least limit).

        Known for five minutes; None while no host was reached.
        """
        if isinstance(self._route, MaildirFolder):
            return maildir.OFFERS
        return await self._hosts.offers()

    def extensions_known(self) -> Mapping[str, str] | None:
        """Return the extensions without waiting; None where they are unknown or too old."""
        return maildir.OFFERS if isinstance(self._route, MaildirFolder) else self._hosts.offers_known()

    def begin(self, sender: str, parameters: Sequence[str], client: Client | None) -> RelayTransaction:
        """Begin a proxied transaction; nothing is sent yet.

        Args: `sender` without brackets, `parameters` of MAIL as the client gave them; `client` is the client that we
        name by XCLIENT or XFORWARD where the next hop offers them, None for none.
        """
        return self._begin(sender, parameters, client, offered=True)

    def _begin(
        self, sender: str, parameters: Sequence[str], client: Client | None, *, offered: bool = False
    ) -> RelayTransaction:
        begun: RelayTransaction
        if isinstance(self._route, MaildirFolder):
            begun = MaildirTransaction(self._route.path, sender, self._report)
        else:
            begun = SmtpTransaction(self._hosts, sender, parameters, client, offered=offered)
        return MarkedTransaction(begun, self._mark) if self._mark else begun

    async def deliver(
        self, sender: str, parameters: Sequence[str], recipients: Sequence[Recipient], content: bytes | Sequence[bytes]
    ) -> tuple[RecipientResult, ...]:
        """Send a stored message in one transaction; return a result for each recipient, in order.

        Raises nothing but cancellation. Of recipients beyond the next hop's limit it says so: they are for the next
        transaction.
        """
        return await deliver(self._begin(sender, parameters, None), recipients, content)

    async def answers(self) -> bool:
        """Return True where the next hop takes a connection now."""
        return isinstance(self._route, MaildirFolder) or await self._hosts.any_answers()

    async def close(self) -> None:
        """Send QUIT on all idle connections."""
        await self._hosts.close()


def _finder(route: FixedHosts | MxDomain | MaildirFolder) -> Callable[[], Awaitable[list[Host]]]:
    if isinstance(route, MxDomain):
        return MxHosts(route).hosts

    async def fixed() -> list[Host]:
        return list(route.hosts) if isinstance(route, FixedHosts) else []

    return fixed
