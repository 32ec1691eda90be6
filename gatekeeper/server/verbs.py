"""The commands of SMTP as a transparent proxy answers them (RFC 5321 4.1.1); the I/O is in `smtp_connection.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeGuard, cast

from gatekeeper.model import Recipient, Transaction
from gatekeeper.ops.log import Address, event
from gatekeeper.server.data_intake import Intake, take_in
from gatekeeper.server.exchange import Exchange
from gatekeeper.server.smtp_connection import SmtpConnection, log
from gatekeeper.server.smtp_server import SmtpServer
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.client_identity import ClientIdentity
from gatekeeper.smtp.data import Fault
from gatekeeper.smtp.parameters import (
    XCLIENT,
    XFORWARD,
    ArgumentError,
    MailArgument,
    parse_attributes,
    parse_mail,
    parse_rcpt,
)
from gatekeeper.smtp.received import is_looping
from gatekeeper.smtp.replies import Reply, reply

MOST_ERRORS = 10  # commands that are none; then it is no mail client
MOST_HOPS = 50  # Received fields

_OK = reply(250, "ok", "2.0.0")
BYE = reply(221, "bye", "2.0.0")
_SAY_HELLO = reply(503, "expected EHLO first", "5.5.1")
SAY_MAIL = reply(503, "expected MAIL first", "5.5.1")
_SAY_RCPT = reply(503, "expected RCPT first", "5.5.1")
_NESTED = reply(503, "expected the transaction to end before the next: DATA or RSET", "5.5.1")
_NO_VALID = reply(554, "no valid recipients", "5.5.1")
_UNKNOWN = reply(500, "command not known", "5.5.2")
_NO_ARGUMENT = reply(501, "expected no argument", "5.5.4")
_NO_NAME = reply(501, "expected the name of your host", "5.5.4")
_NOT_TEXT = reply(501, "argument is not UTF-8", "5.5.4")
_NOT_YOURS = reply(550, "this command is not for your network", "5.7.0")
_TOO_MANY_RECIPIENTS = reply(452, "too many recipients: send the others in another transaction", "4.5.3")
_TOO_MANY_COMMANDS = reply(421, "too many commands without a message, closing the connection", "4.7.0")
_TOO_MANY_ERRORS = reply(421, "too many errors, closing the connection", "4.7.0")
PAST_DATA = reply(554, "input behind DATA: expected a client that waits for the reply", "5.5.1")
_PAST_TLS = reply(554, "input behind STARTTLS: expected a client that waits for the reply", "5.5.1")
GO_AHEAD = Reply(354, ("End data with <CR><LF>.<CR><LF>",))
BAD_CONTENT = policy_replies.bad_content()
_FAULTS = {Fault.DISK: policy_replies.disk_full(), Fault.MEMORY: policy_replies.too_many_large()}
NO_REPLY_YET = reply(451, "No answer yet from the next mail server; the message may have been sent", "4.4.2")
_SENDER_REFUSED = "sender not let in: use an address in one of the organisation's domains, or ask the administrator"


class VerbConnection(SmtpConnection):
    """One client's dialog. Recipients are collected from pipelined commands, and sent to the next hop in batches."""

    def __init__(self, server: SmtpServer) -> None:
        super().__init__(server.shared)
        self._server = server
        self._settings = server.settings
        self._speaker: ClientIdentity  # set as the client comes
        self._offered: Mapping[str, str] = {}
        self._size_limit = server.size_limit({})  # octets of a message
        self._exchange: Exchange | None = None
        self._intake: Intake | None = None  # the message that comes in, block by block
        self._asked: list[Recipient | Reply] = []  # RCPTs whose replies are due, those that we refuse as their reply
        self._all_theirs = True  # the next hop answers each of them
        self._idle_commands = 0
        self._errors = 0
        self._messages = 0

    # -- the life of a connection --------------------------------------------------------------------------------

    def refusal(self) -> Reply | None:
        self._speaker = ClientIdentity(self.peer, self.peer_port)
        return self._server.add(self)

    @property
    def is_owed_a_message(self) -> bool:
        return self._exchange is not None or not self._messages

    def ended(self) -> None:
        self._server.remove(self)
        self._clear_intake()
        exchange, self._exchange = self._exchange, None
        if exchange:
            self._server.track(exchange.abandon())

    async def _abandon(self) -> None:
        """End the transaction, here and at the next hop, even if the client leaves meanwhile."""
        self._clear_intake()
        exchange, self._exchange = self._exchange, None
        self._speaker.forwarded = {}
        if exchange:
            await asyncio.shield(self._server.track(exchange.abandon()))

    def _clear_intake(self) -> None:
        intake, self._intake = self._intake, None
        if intake:
            intake.clear()

    def _note_message(self) -> None:
        """Note that a message has come, whole or cut off: where the service ends, it was the last."""
        self._messages += 1
        self.shutting_down = self.shutting_down or self.lingering

    # -- a pass over what the client sent ------------------------------------------------------------------------

    async def run_pass(self) -> None:
        while not self.closing and not self.shutting_down and (command := self._next_command()) is not None:
            await self._ask_recipients()
            if isinstance(command, Reply):
                self._answer_error(command)
            else:
                await self._run(command)
        await self._ask_recipients()

    def _next_command(self) -> bytes | Reply | None:
        """Return the next command other than RCPT; recipients before it are noted."""
        while True:
            self._note_recipients(self.commands.take_recipients())
            command = self.commands.take()
            if not isinstance(command, bytes) or command[:5].upper() != b"RCPT ":
                return command
            self._note_recipient(self._read_recipient(command))

    async def _run(self, command: bytes) -> None:
        verb, _, argument = command.partition(b" ")
        method = _VERBS.get(bytes(verb).upper())
        self._idle_commands += 1
        if self._idle_commands > self._settings.max_commands:
            self.close_with(_TOO_MANY_COMMANDS)
        elif method is None:
            self._answer_error(_UNKNOWN)
        elif (text := _decode(argument)) is None:
            self.answer(_NOT_TEXT)
        else:
            await getattr(self, method)(text)

    def _answer_error(self, error: Reply) -> None:
        self._errors += 1
        if self._errors > MOST_ERRORS:
            self.close_with(_TOO_MANY_ERRORS)
        else:
            self.answer(error)

    # -- hello ---------------------------------------------------------------------------------------------------

    async def smtp_HELO(self, arg: str) -> None:
        if await self._hello(arg, extended=False):
            self.answer(helo_reply(self.hostname))

    async def smtp_EHLO(self, arg: str) -> None:
        if await self._hello(arg, extended=True):
            self._offer(await self._server.offers())
            self.answer(self._hello_reply())

    async def _hello(self, name: str, extended: bool) -> bool:
        if not name or not name.isprintable() or " " in name:
            self.answer(_NO_NAME)
            return False
        await self._abandon()
        self._offer({})
        self._speaker.helo, self._speaker.extended = name, extended
        return True

    def _offer(self, offered: Mapping[str, str]) -> None:
        self._offered, self._size_limit = offered, self._server.size_limit(offered)

    def _hello_reply(self) -> Reply:
        starttls = bool(self.tls_context) and not self._speaker.encrypted
        return self._server.hello(self._offered, self.hostname, self.peer, starttls=starttls)

    async def smtp_STARTTLS(self, arg: str) -> None:
        """Start TLS; everything that was known about the client before is discarded (RFC 3207 4.2)."""
        if self._speaker.encrypted or not self.tls_context:
            self.answer(_UNKNOWN if not self.tls_context else reply(503, "encrypted already", "5.5.1"))
        elif arg:
            self.answer(_NO_ARGUMENT)
        elif self.commands.pending or self.receive_buffer.waiting:
            self.close_with(_PAST_TLS)  # it would be taken for encrypted
        else:
            await self._abandon()
            self._offer({})
            await super().smtp_STARTTLS(arg)
            self._speaker = ClientIdentity(self.peer, self.peer_port, encrypted=True)

    # -- for whom a trusted peer speaks --------------------------------------------------------------------------

    async def smtp_XFORWARD(self, arg: str) -> None:
        attributes = self._read_attributes(arg, XFORWARD, self._server.may_xforward(self.peer))
        if attributes:
            self._speaker.forwarded = {**self._speaker.forwarded, **attributes}
            self.answer(_OK)

    async def smtp_XCLIENT(self, arg: str) -> None:
        attributes = self._read_attributes(arg, XCLIENT, self._server.may_xclient(self.peer))
        if not attributes:
            return
        self._speaker.speak_for(attributes)
        self.answer(self.greeting)  # a new session begins

    def _read_attributes(self, argument: str, known: tuple[str, ...], allowed: bool) -> dict[str, str]:
        """Return the attributes of XFORWARD or XCLIENT; none, after a reply to the client, where there are none to
        read.
        """
        if not allowed or self._exchange:
            self.answer(_NESTED if allowed else _NOT_YOURS)
            return {}
        try:
            return parse_attributes(argument, known)
        except ArgumentError as error:
            self.answer(error.reply)
            return {}

    # -- the envelope --------------------------------------------------------------------------------------------

    async def smtp_MAIL(self, arg: str) -> None:
        refused = self._mail_refusal()
        if refused:
            self.answer(refused)
            return
        try:
            mail = parse_mail(arg, self._offered, self._size_limit)
        except ArgumentError as error:
            self.answer(error.reply)
            return
        await self._begin(mail)

    def _mail_refusal(self) -> Reply | None:
        if not self._speaker.helo:
            return _SAY_HELLO
        return _NESTED if self._exchange else self._server.obstacle()

    async def _begin(self, mail: MailArgument) -> None:
        if mail.address and not self._server.sender_allowed(mail.address):
            event("sender refused", {"client": self.peer, "from": Address(mail.address)})
            self.answer(reply(550, _SENDER_REFUSED, "5.7.1"))
            return
        client = self._speaker.client()
        self._exchange = Exchange(mail, await self._server.next_hop.begin(mail.address, mail.parameters, client))
        if not self.commands.recipient_next:
            await self._open(self._exchange)

    async def _open(self, exchange: Exchange) -> None:
        answer = await exchange.open()
        self.answer(answer)
        if not answer.ok:
            await self._abandon()

    def _read_recipient(self, command: bytes) -> Recipient | Reply:
        argument = _decode(command[5:])
        if argument is None:
            return _NOT_TEXT
        try:
            return parse_rcpt(argument, self._offered, bool(self._exchange and self._exchange.mail.utf8))
        except ArgumentError as error:
            return error.reply

    def _note_recipient(self, recipient: Recipient | Reply) -> None:
        exchange = self._exchange
        if exchange is None:
            recipient = SAY_MAIL
            self._idle_commands += 1
        elif len(exchange.accepted) + len(self._asked) >= self._settings.max_recipients:
            recipient = _TOO_MANY_RECIPIENTS
        if isinstance(recipient, Reply) or self._server.is_ours(recipient.address):
            self._all_theirs = False
        self._asked.append(recipient)

    def _note_recipients(self, addresses: Sequence[str]) -> None:
        """Note many recipients at once."""
        exchange = self._exchange
        if exchange is not None and self._all_theirs and not self._server.owns_any(addresses):
            room = max(0, self._settings.max_recipients - len(exchange.accepted) - len(self._asked))
            self._asked += map(Recipient, addresses[:room])
            addresses = addresses[room:]
        for address in addresses:
            self._note_recipient(Recipient(address))

    async def _ask_recipients(self) -> None:
        """Answer the noted recipients: our own at once, the others by the next hop, all in order."""
        asked, self._asked, all_theirs, self._all_theirs = self._asked, [], self._all_theirs, True
        if not asked:
            return
        theirs = cast(list[Recipient], asked) if all_theirs else list(filter(self._is_theirs, asked))
        replies = await self._next_hops_replies(theirs)
        if len(replies) == len(asked):
            self.answer_all(replies)
        else:
            rest = iter(replies)
            for each in asked:
                self.answer(self._own_reply(each) or next(rest))
        if self._idle_commands > self._settings.max_commands:
            self.close_with(_TOO_MANY_COMMANDS)

    def _is_theirs(self, asked: Recipient | Reply) -> TypeGuard[Recipient]:
        return isinstance(asked, Recipient) and not self._server.is_ours(asked.address)

    def _own_reply(self, asked: Recipient | Reply) -> Reply | None:
        """Return a reply that is not the next hop's; None where the next hop is asked."""
        if isinstance(asked, Reply) or not self._server.is_ours(asked.address):
            return asked if isinstance(asked, Reply) else None
        return self._exchange.accept(asked) if self._exchange else SAY_MAIL

    async def _next_hops_replies(self, recipients: Sequence[Recipient]) -> Sequence[Reply]:
        """Return the replies to recipients; the reply to MAIL is given first where it is still due."""
        exchange = self._exchange
        if exchange is None:
            return ()
        mail_is_due = exchange.opened is None
        replies = await exchange.ask(recipients)
        if mail_is_due and exchange.opened:
            self.answer(exchange.opened)
            if not exchange.opened.ok:
                await self._abandon()
        return replies

    # -- the message ---------------------------------------------------------------------------------------------

    async def smtp_DATA(self, arg: str) -> None:
        exchange = self._exchange
        if self.commands.pending or self.receive_buffer.waiting:
            self.close_with(PAST_DATA)  # RFC 2920 3.1: DATA is the last of a group
        elif arg or exchange is None or not exchange.accepted:
            self.answer(_NO_ARGUMENT if arg else data_refusal(exchange))
        else:
            await self._take_in(exchange)

    async def _take_in(self, exchange: Exchange) -> None:
        """Receive the content, then have it judged. A client that leaves before the end leaves nothing behind."""
        self.in_data = True
        self.answer(GO_AHEAD)
        await self.flush()
        self._intake = intake = self._new_intake(self.now())
        rest = await take_in(intake, self, self._settings.data_timeout)
        if rest is None:
            self.closing = True
            return
        dot = self.now()
        self.commands.feed(rest)
        self.answer(await self._finish(exchange, await intake.content(self._server.answer_within), dot))
        self.in_data = False

    def _new_intake(self, began: float) -> Intake:
        return Intake(self, self._settings, self._size_limit, began, self._server.contents)

    async def _finish(self, exchange: Exchange, content: bytes | Fault, dot: float) -> Reply:
        self._note_message()
        refused = self._content_refusal(content)
        if refused or isinstance(content, Fault):
            await self._abandon()
            return refused or BAD_CONTENT
        answer = await self._in_time(self._begin_judging(exchange, content), dot)
        if answer.ok:
            self._idle_commands = 0
        return answer

    def _begin_judging(self, exchange: Exchange, content: bytes) -> asyncio.Task[Reply]:
        """Have the message judged, in a task that outlives the connection, and has the room of a large one."""
        transaction = self._transaction(exchange, content)
        self._exchange, self._speaker.forwarded = None, {}  # from here on it is not this connection's to abandon
        work = self._server.track(exchange.finish(self._server.pipeline, transaction))
        intake, self._intake = self._intake, None
        if intake:
            work.add_done_callback(lambda done: intake.clear())
        return work

    async def _in_time(self, work: asyncio.Task[Reply], dot: float) -> Reply:
        """Return the reply to the dot, or 451 where the client will not wait longer; the work goes on."""
        within = self._server.answer_within
        left = None if within is None else max(0.0, dot + within - self.now())
        done, _ = await asyncio.wait([work], timeout=left)  # cancelled, it leaves the work alone
        if done:
            return work.result()
        log.warning("no reply in time, the outcome is unknown client=%s", self.peer)
        return NO_REPLY_YET

    def _content_refusal(self, content: bytes | Fault) -> Reply | None:
        if isinstance(content, Fault):
            log.info("message refused client=%s fault=%s", self.peer, content.value)
            return (
                policy_replies.too_large(self._size_limit)
                if content is Fault.SIZE
                else _FAULTS.get(content, BAD_CONTENT)
            )
        return policy_replies.too_many_hops() if is_looping(content, MOST_HOPS) else None

    def _transaction(self, exchange: Exchange, content: bytes) -> Transaction:
        client, login, parameters = self._speaker.client(), self._speaker.login, exchange.mail.parameters
        if parameters:
            parameters = tuple(each for each in parameters if not each.startswith("SIZE="))
        return Transaction(
            listener="smtp",
            client=client,
            sender=exchange.mail.address,
            recipients=tuple(exchange.accepted),
            content=content,
            parameters=parameters,
            login=login,
            authenticated=bool(login) or self._server.is_authenticated(client.address),
            upstream=self._speaker.upstream,
        )

    # -- the others ----------------------------------------------------------------------------------------------

    async def smtp_RCPT(self, arg: str) -> None:
        """Answer a RCPT without an argument; all others were noted in `_next_command`."""
        self.answer(reply(501, "expected TO:<address>", "5.5.4"))

    async def smtp_RSET(self, arg: str) -> None:
        if not arg:
            await self._abandon()
        self.answer(_NO_ARGUMENT if arg else _OK)

    async def smtp_NOOP(self, arg: str) -> None:
        self.answer(_OK)

    async def smtp_VRFY(self, arg: str) -> None:
        self.answer(reply(252, "cannot verify, send and see", "2.1.5"))

    async def smtp_HELP(self, arg: str) -> None:
        self.answer(reply(214, "RFC 5321; this is a mail gate, ask your administrator", "2.0.0"))

    async def smtp_QUIT(self, arg: str) -> None:
        self.closing = not arg
        self.answer(_NO_ARGUMENT if arg else BYE)


_NAMES = "HELO EHLO STARTTLS XFORWARD XCLIENT MAIL RCPT DATA RSET NOOP VRFY HELP QUIT"
_VERBS: Mapping[bytes, str] = {name.encode(): f"smtp_{name}" for name in _NAMES.split()}


@lru_cache
def helo_reply(hostname: str) -> Reply:
    """Return the reply to HELO, on a host of that name."""
    return Reply(250, (hostname,))


def data_refusal(exchange: Exchange | None) -> Reply:
    """Return the reply to DATA while no recipient is accepted."""
    if exchange is None:
        return SAY_MAIL
    return _NO_VALID if exchange.refused else _SAY_RCPT


def _decode(argument: bytes) -> str | None:
    try:
        return argument.decode("utf-8").strip(" ")
    except UnicodeDecodeError:
        return None
