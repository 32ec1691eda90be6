"""What the connections of the SMTP listener share: the rooms behind it, and the EHLO extensions it may offer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol, cast

from gatekeeper.delivery.mark import Mark, tell_marked
from gatekeeper.delivery.transaction import RelayTransaction
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.renewed import Renewed
from gatekeeper.message.hide_recipients import hide_recipients
from gatekeeper.message.own_token import own_fields
from gatekeeper.message.remove_fields import without_fields
from gatekeeper.model import Client, Transaction
from gatekeeper.ops.log import Address, event
from gatekeeper.policy.peers import Connection, PeerChecks
from gatekeeper.server.connections import Connections, ListenerConnection, OnRefused, membership_test, uncounted
from gatekeeper.server.ports import ListenerNextHop, ListenerPipeline
from gatekeeper.server.spool import ContentSpool
from gatekeeper.settings import TRUST, Listening
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.client_identity import ClientIdentity
from gatekeeper.smtp.parameters import XCLIENT, XFORWARD
from gatekeeper.smtp.replies import Reply
from gatekeeper.smtp.session_replies import RECIPIENT_OK

BEFORE_QUEUE_SECONDS = 90.0  # from the dot to the reply: Postfix waits 100 for a proxy (smtpd_proxy_timeout)
IMPLEMENTED = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
_ALL: Mapping[str, str] = dict.fromkeys((*IMPLEMENTED, "SIZE"), "")
_CHECK_SECONDS = 1.0  # a client is closed at most so long after its deadline
_MOST_PUT_OFF = 1000  # senders with recipients that were put off


class _Timed(Protocol):
    """A connection with a deadline of its own."""

    def check_deadline(self, now: float) -> None: ...


def _nothing() -> Reply | None:
    """Return None: mail can be taken."""
    return None


@immutable
class MailAcceptance:
    """Which mail the SMTP listener accepts, as functions of the gate.

    Args: `sender_allowed` tells by MAIL FROM (never the null sender) and client whose mail is accepted; `obstacle`
    returns the reply to MAIL while no mail can be taken, such as 452 4.3.1 with a full disk; `is_ours` tells of a
    recipient's address that the gate itself answers, so that no next hop is asked about it; `has_own` tells whether
    there are such addresses at all; `is_unknown` tells of an inside address that does not exist, which is refused with
    --rcpt trust; `on_refused` is called with what is refused before rules are asked; `peers` tell whether mail is
    theirs.
    """

    sender_allowed: Callable[[str, str], bool]
    obstacle: Callable[[], Reply | None] = _nothing
    is_ours: Callable[[str], bool] = lambda address: False
    has_own: Callable[[], bool] = lambda: True
    is_unknown: Callable[[str], bool] = lambda address: False
    on_refused: OnRefused = uncounted
    peers: PeerChecks = field(default_factory=PeerChecks)


class SmtpServer(Connections):
    """The connections of the SMTP listener, and what they need of other rooms."""

    def __init__(
        self,
        settings: Listening,
        next_hop: ListenerNextHop,
        pipeline: ListenerPipeline,
        acceptance: MailAcceptance,
        contents: ContentSpool,
    ) -> None:
        super().__init__(settings, settings.max_connections_per_client, acceptance.on_refused)
        self.next_hop, self.pipeline, self.contents = next_hop, pipeline, contents
        self.hostname, self.has_tls = settings.hostname, bool(settings.tls_cert)
        self.max_commands, self.max_recipients = settings.max_commands, settings.max_recipients
        self._sender_allowed, self.obstacle = acceptance.sender_allowed, acceptance.obstacle
        self._is_ours, self._has_own, self._is_unknown = acceptance.is_ours, acceptance.has_own, acceptance.is_unknown
        self._peers = acceptance.peers
        self.trusts = settings.rcpt == TRUST
        self._mark = Mark(settings.mark) if settings.mark else None
        self._own_fields = own_fields(settings.mark.field if settings.mark else "")
        self.answer_within = BEFORE_QUEUE_SECONDS if settings.listen.before_queue else None
        self.tls: Renewed[ssl.SSLContext] | None = None  # what STARTTLS encrypts with; set before the start
        self.shared: Mapping[str, Any] = {}  # attributes that every connection begins with; set at the start
        self.may_xforward, self.may_xclient = membership_test(settings.xforward), membership_test(settings.xclient)
        self.is_authenticated = membership_test(settings.authenticated)
        self._theirs: Mapping[str, str] = {}
        self._ours: Mapping[str, str] = {}
        self._hellos: dict[tuple[bool, bool, bool], Reply] = {}  # that offer `_ours`: STARTTLS, XFORWARD, XCLIENT
        self._next_check: asyncio.TimerHandle | None = None
        self._put_off: dict[str, dict[str, Reply]] = {}  # by sender, then by recipient

    # -- deadlines: one timer checks those of all connections ----------------------------------------------------

    def add(self, connection: ListenerConnection) -> Reply | None:
        refusal = super().add(connection)
        if self._next_check is None and refusal is None:
            self._check_later()
        return refusal

    def _check_later(self) -> None:
        shortest = min(self.settings.command_timeout, self.settings.data_timeout)
        self._next_check = asyncio.get_running_loop().call_later(min(_CHECK_SECONDS, shortest / 4), self._check_all)

    def _check_all(self) -> None:
        self._next_check = None
        now = asyncio.get_running_loop().time()
        for connection in self.connections():
            cast(_Timed, connection).check_deadline(now)
        if len(self):
            self._check_later()

    # -- what a session asks (smtp/wanted.py) --------------------------------------------------------------------

    def sender_allowed(self, sender: str, peer: str) -> bool:
        """Return True where mail with this MAIL FROM is accepted; a refusal is logged."""
        allowed = self._sender_allowed(sender, peer)
        if not allowed:
            event("sender refused", {"client": peer, "from": Address(sender)})
        return allowed

    def peer_obstacle(self, identity: ClientIdentity) -> Reply | None:
        """Return the reply to MAIL where TLS is missing, or the connection is no peer's; a refusal is logged."""
        if self.settings.require_tls and not identity.encrypted:
            return policy_replies.tls_first()
        connection = _seen(identity, identity.client())
        refused = self._peers.obstacle(connection)
        if refused:
            _tell_refused(connection, refused)
        return refused

    def peer_of(self, identity: ClientIdentity, client: Client, content: bytes) -> str | Reply:
        """Return the name of the peer that a message is of, or the reply that refuses it; a refusal is logged."""
        connection = _seen(identity, client)
        answer = self._peers.peer_of(connection, content)
        if isinstance(answer, Reply):
            _tell_refused(connection, answer)
        return answer

    def answers_any(self, addresses: Sequence[str]) -> bool:
        """Return True where `answer_to` has an answer to one of these recipients."""
        has_own = self._has_own() and any(map(self._is_ours, addresses))
        return has_own or (self.trusts and any(map(self._is_unknown, addresses)))

    def answer_to(self, address: str) -> Reply | None:
        """Return the gate's own answer to a recipient, about whom no next hop is asked; None for all others."""
        if self._is_ours(address):
            return RECIPIENT_OK
        return policy_replies.unknown_recipient() if self.trusts and self._is_unknown(address) else None

    def put_off(self, sender: str) -> dict[str, Reply]:
        """Return the replies to recipients, by address, whom the next hop put off in messages of this sender."""
        return self._put_off.get(sender) or {}

    def note_put_off(self, sender: str, replies: Mapping[str, Reply]) -> None:
        """Note such replies, of a bounded number of senders: the oldest are forgotten."""
        known = self._put_off.pop(sender, {})
        self._put_off[sender] = {**(known if len(known) < self.max_recipients else {}), **replies}
        if len(self._put_off) > _MOST_PUT_OFF:
            del self._put_off[next(iter(self._put_off))]

    def hello(self, offered: Mapping[str, str], peer: str, *, starttls: bool) -> Reply:
        """Return the reply to EHLO. Args: `offered` is what `offers` returned."""
        key = (starttls, self.may_xforward(peer), self.may_xclient(peer))
        known = self._hellos.get(key) if offered is self._ours else None
        if known is None:
            known = _hello(self.hostname, offered, *key)
            if offered is self._ours:
                self._hellos[key] = known
        return known

    def size_limit(self, offered: Mapping[str, str]) -> int:
        """Return the largest message, in octets, that is accepted from a client that was offered this."""
        return int(offered.get("SIZE", self.settings.max_size))

    # -- the message ---------------------------------------------------------------------------------------------

    async def judge(self, transaction: Transaction, relayed: RelayTransaction, done: Callable[[], None]) -> Reply:
        """Have a message judged, and return the reply to its dot; the next hop's transaction is over then.

        Args: `done` is called at the end, whatever comes of it.
        """
        is_passed_on = False
        tell_marked(self._mark, transaction)

        async def relay(added: bytes, *, blind: bool = False) -> Reply:
            nonlocal is_passed_on
            is_passed_on = True  # from here on the next hop may have the message
            content = without_fields([transaction.content], self._own_fields)
            content = hide_recipients(content) if blind else content
            return await relayed.data((added, *content))

        try:
            return await self.pipeline.receive(transaction, relay)
        finally:
            done()
            if not is_passed_on:
                await relayed.abandon()

    # -- extensions ----------------------------------------------------------------------------------------------

    async def offers(self) -> Mapping[str, str]:
        """Return the EHLO keywords that every next hop offers and the gate implements, with their arguments.

        While no next hop was reached, all that the gate implements is offered, and MAIL is answered 451: a client that
        was offered less would return its mail for good, though nobody has refused it.
        """
        theirs = await self.next_hop.extensions()
        return self._mirrored(_ALL if theirs is None else theirs)

    def offers_at_once(self) -> Mapping[str, str] | None:
        """Return the same where the next hop need not be asked; else None."""
        theirs = self.next_hop.extensions_known()
        return None if theirs is None else self._mirrored(theirs)

    def _mirrored(self, theirs: Mapping[str, str]) -> Mapping[str, str]:
        if theirs is not self._theirs:
            ours = {keyword: "" for keyword in IMPLEMENTED if keyword in theirs}
            size = {"SIZE": str(self._smaller(theirs["SIZE"]))} if "SIZE" in theirs else {}
            self._theirs, self._ours, self._hellos = theirs, ours | size, {}
        return self._ours

    def _smaller(self, theirs: str) -> int:
        limit = int(theirs) if theirs.isdigit() else 0  # 0 or nothing: no fixed limit (RFC 1870 4)
        return min(limit, self.settings.max_size) if limit else self.settings.max_size


def _seen(identity: ClientIdentity, client: Client) -> Connection:
    return Connection(identity.address, client.address, identity.encrypted, identity.certificate)


def _tell_refused(connection: Connection, refused: Reply) -> None:
    names = ",".join(connection.names)
    about = {"client": connection.client} | ({"certificate": names} if names else {})
    event("peer refused", about | {"reply": str(refused)})


def _hello(hostname: str, offered: Mapping[str, str], starttls: bool, xforward: bool, xclient: bool) -> Reply:
    lines = [f"{keyword} {argument}".rstrip() for keyword, argument in offered.items()]
    if starttls:
        lines.append("STARTTLS")
    if xforward:
        lines.append(" ".join(("XFORWARD", *XFORWARD)))
    if xclient:
        lines.append(" ".join(("XCLIENT", *XCLIENT)))
    return Reply(250, (hostname, *lines))
