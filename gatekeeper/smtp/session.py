"""The whole SMTP dialog with one client, as a generator without I/O that reads like blocking code (RFC 5321).

`Session.dialog` yields what it wants done, a value of `wanted.py` at a time, and is resumed with what has come of it.
`server/smtp_connection.py` does these things with sockets, a test's script without. Replies collect in `replies`, and
are written in one piece when the client is to speak next (RFC 2920 3.2): at READ, TakeMessage and START_TLS, and at the
end. Whoever drives the dialog closes the generator when the client has left.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from gatekeeper.model import Recipient
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp import session_replies as replies
from gatekeeper.smtp.client_identity import ClientIdentity
from gatekeeper.smtp.commands import CommandReader
from gatekeeper.smtp.data import Fault
from gatekeeper.smtp.mail_transaction import MailTransaction
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
from gatekeeper.smtp.replies import Reply
from gatekeeper.smtp.unknown_commands import answer_to_unknown
from gatekeeper.smtp.wanted import (
    ABANDON,
    FIND_OFFERS,
    READ,
    START_TLS,
    Ask,
    Dialog,
    Judge,
    Listener,
    TakeMessage,
    Wanted,
)

MOST_ERRORS = 10  # commands that are none; then it is no mail client


class Closing(Exception):
    """The dialog ends with this reply. Args: `stage`, of refusals.STAGES, in which it is refused to go on."""

    def __init__(self, last: Reply, stage: str = "command") -> None:
        super().__init__()
        self.reply, self.stage = last, stage


class Session:
    """One client's dialog. RCPTs that come together are one question to the next hop, with MAIL where it is due."""

    def __init__(self, listener: Listener, identity: ClientIdentity, more: Callable[[], bool]) -> None:
        """Args: `more` tells whether octets have come that were not read yet."""
        self.replies: list[bytes] = []  # to be written
        self.in_message = False  # from 354 to the reply to the dot
        self.stopping = False  # the service ends: no further command is run
        self.lingering = False  # the service ends: one more message may come
        self._listener, self._identity, self._more = listener, identity, more
        self._commands = CommandReader()
        self._offered: Mapping[str, str] = {}
        self._size_limit = listener.size_limit({})  # octets of a message
        self._mail: MailTransaction | None = None  # the transaction under way
        self._idle_commands = 0  # since the last message
        self._errors = 0
        self._messages = 0

    def dialog(self) -> Dialog:
        """Hold the dialog, from the greeting on; when it is over the connection is to be closed.

        RCPTs are noted until another command, or none, comes behind them.
        """
        self._answer(replies.greeting(self._listener.hostname))
        try:
            while not self.stopping:
                command = self._commands.take()
                if isinstance(command, list):
                    self._note_plain(command)
                elif isinstance(command, bytes) and command[:5].upper() == b"RCPT ":
                    self._note(self._read_recipient(command[5:]))
                else:
                    if self._mail is not None and self._mail.is_due:
                        yield from self._answer_noted(self._mail)
                    if command is not None:
                        yield from self._run(command) or ()
                    elif not self.stopping:
                        self._commands.feed((yield from self._read()))
            self._answer(replies.GOING_DOWN)
        except Closing as closing:
            if not closing.reply.ok:
                self._listener.refused(closing.stage, closing.reply)
            self._answer(closing.reply)

    def stop(self) -> None:
        """End when the message in progress is done, or the one that a client who has sent none yet is about to send."""
        owed = self._mail is not None or not self._messages
        self.lingering = owed and not self.in_message
        self.stopping = not self.lingering

    def _run(self, command: bytes | MailArgument | Reply) -> Dialog | None:
        """Run a command other than RCPT; return the rest where that has to wait for something."""
        if isinstance(command, Reply):
            self._answer_error(command)
            return None
        self._count_command()
        if isinstance(command, MailArgument):
            self._begin(command)
            return None
        verb, _, argument = command.partition(b" ")
        method = _METHODS.get(verb) or _METHODS.get(verb.upper())
        if method is None:
            answer, is_last = answer_to_unknown(verb.upper(), argument)
            if is_last:
                raise Closing(answer)
            self._answer_error(answer)
        elif (text := _decode(argument) if argument else "") is None:
            self._answer(replies.NOT_TEXT)
        else:
            return method(self, text)
        return None

    def _count_command(self) -> None:
        self._idle_commands += 1
        if self._idle_commands > self._listener.max_commands:
            raise Closing(replies.TOO_MANY_COMMANDS)

    def _answer(self, given: Reply) -> None:
        self.replies.append(given.encode())

    def _answer_all(self, given: Sequence[Reply]) -> None:
        """Answer many commands; of thousands of replies most are the same."""
        if len(given) == 1:
            self.replies.append(given[0].encode())
        elif given and given.count(given[0]) == len(given):
            self.replies.append(given[0].encode() * len(given))
        else:
            self.replies += [each.encode() for each in given]

    def _answer_error(self, error: Reply) -> None:
        self._errors += 1
        if self._errors > MOST_ERRORS:
            raise Closing(replies.TOO_MANY_ERRORS)
        self._listener.refused("command", error)
        self._answer(error)

    # -- hello ---------------------------------------------------------------------------------------------------

    def _hello(self, name: str, *, extended: bool) -> Dialog:
        if not name or not name.isprintable() or " " in name:
            self._answer(replies.NO_NAME)
            return
        yield from self._abandon()
        identity, listener = self._identity, self._listener
        identity.helo, identity.extended = name, extended
        self._offer((yield FIND_OFFERS) if extended else {})
        if extended:
            starttls = listener.has_tls and not identity.encrypted
            self._answer(listener.hello(self._offered, identity.address, starttls=starttls))
        else:
            self._answer(replies.helo_reply(listener.hostname))

    def _offer(self, offered: Mapping[str, str]) -> None:
        self._offered, self._size_limit = offered, self._listener.size_limit(offered)

    def _starttls(self, argument: str) -> Dialog:
        """Start TLS; everything that was known about the client before is discarded (RFC 3207 4.2)."""
        identity = self._identity
        if not self._listener.has_tls:
            self._answer_error(replies.UNKNOWN)
        elif identity.encrypted or argument:
            self._answer(replies.ENCRYPTED if identity.encrypted else replies.NO_ARGUMENT)
        elif self._has_more():
            raise Closing(replies.PAST_TLS)  # it would be taken for encrypted
        else:
            yield from self._abandon()
            self._offer({})
            names = yield START_TLS
            self._identity = ClientIdentity(identity.address, identity.port, encrypted=True, certificate=names)

    def _has_more(self) -> bool:
        """Return True where the client has sent something behind the command that is run."""
        return self._commands.pending or self._more()

    # -- for whom a trusted peer speaks --------------------------------------------------------------------------

    def _xforward(self, argument: str) -> None:
        attributes = self._read_attributes(argument, XFORWARD, self._listener.may_xforward(self._identity.address))
        if attributes:
            self._identity.forwarded = {**self._identity.forwarded, **attributes}
            self._answer(replies.OK)

    def _xclient(self, argument: str) -> None:
        attributes = self._read_attributes(argument, XCLIENT, self._listener.may_xclient(self._identity.address))
        if attributes:
            self._identity.speak_for(attributes)
            self._answer(replies.greeting(self._listener.hostname))  # a new session begins

    def _read_attributes(self, argument: str, known: tuple[str, ...], allowed: bool) -> dict[str, str]:
        """Return the attributes of XFORWARD or XCLIENT; none, after a reply, where there are none to read."""
        if not allowed or self._mail:
            self._answer(replies.NESTED if allowed else replies.NOT_YOURS)
            return {}
        try:
            return parse_attributes(argument, known)
        except ArgumentError as error:
            self._answer(error.reply)
            return {}

    # -- the envelope --------------------------------------------------------------------------------------------

    def _begin(self, argument: str | MailArgument) -> None:
        """Begin a transaction at MAIL; the next hop is asked about it together with RCPTs that have come behind it."""
        refused = self._mail_refusal()
        try:
            if refused is None:
                mail = parse_mail(argument, self._offered, self._size_limit) if isinstance(argument, str) else argument
                refused = self._sender_refusal(mail.address)
        except ArgumentError as error:
            refused = error.reply
        if refused is not None:
            self._listener.refused("mail", refused)
            self._answer(refused)
            return
        self._mail = MailTransaction(mail, self._identity.client(), self._listener.max_recipients)
        if self._listener.trusts:
            self._mail.is_answered = True
            self._mail.put_off = self._listener.put_off(mail.address)
            self._answer(replies.SENDER_OK)

    def _mail_refusal(self) -> Reply | None:
        if not self._identity.helo:
            return replies.SAY_HELLO
        if self._mail:
            return replies.NESTED
        return self._listener.peer_obstacle(self._identity) or self._listener.obstacle()

    def _sender_refusal(self, sender: str) -> Reply | None:
        if not sender or self._listener.sender_allowed(sender, self._identity.address):
            return None
        return replies.SENDER_REFUSED

    def _rcpt(self, argument: str) -> None:
        """Answer a RCPT without an argument; all others are noted."""
        self._answer(replies.NO_PATH)

    def _read_recipient(self, argument: bytes) -> Recipient | Reply:
        text = _decode(argument)
        if text is None:
            return replies.NOT_TEXT
        try:
            return parse_rcpt(text, self._offered, bool(self._mail and self._mail.argument.utf8))
        except ArgumentError as error:
            return error.reply

    def _note(self, recipient: Recipient | Reply) -> None:
        """Note a recipient, or the reply that refuses it."""
        mail = self._mail
        if mail is None:
            self._count_command()
            self._answer(replies.SAY_MAIL)
        elif not mail.room:
            self._refuse_recipient(mail, replies.TOO_MANY_RECIPIENTS)
        elif isinstance(recipient, Reply):
            self._refuse_recipient(mail, recipient)
        else:
            put_off = mail.put_off.pop(recipient.address, None)  # once: next time the next hop may take it
            own = None if put_off else self._listener.answer_to(recipient.address)
            if own and not own.ok:
                self._listener.refused("rcpt", own)
            mail.note(recipient, put_off or own)

    def _refuse_recipient(self, mail: MailTransaction, refused: Reply) -> None:
        self._listener.refused("rcpt", refused)
        mail.note_reply(refused)

    def _note_plain(self, addresses: Sequence[str]) -> None:
        """Note many recipients at once."""
        mail = self._mail
        if (
            mail is not None
            and len(addresses) <= mail.room
            and not (mail.put_off or self._listener.answers_any(addresses))
        ):
            mail.note_all(list(map(Recipient, addresses)))
            return
        for address in addresses:
            self._note(Recipient(address))

    def _read(self) -> Generator[Wanted, Any, bytes]:
        """Return what the client sends next that is no RCPT by itself.

        Such a RCPT, as of thousands where the client waits for every reply, is asked about in the fewest steps.
        """
        octets: bytes = yield READ
        while (mail := self._mail) is not None and (recipient := self._lone_recipient(mail, octets)) is not None:
            (answer,) = yield Ask(mail.argument, mail.client, [recipient])
            self.replies.append(mail.conclude_one(recipient, answer).encode())
            octets = b"" if self.stopping else (yield READ)
        return octets

    def _lone_recipient(self, mail: MailTransaction, octets: bytes) -> Recipient | None:
        """Return the recipient of octets that are one plain RCPT, about which the next hop is to be asked."""
        address = self._commands.lone_recipient(octets) if mail.is_answered and mail.room > 0 else None
        if address is None or self._listener.trusts or self._listener.answers_any((address,)):
            return None
        return Recipient(address)

    def _answer_noted(self, mail: MailTransaction) -> Dialog:
        """Answer MAIL and RCPTs as the next hop does, which is asked about all of them in one go, or is trusted."""
        if self._listener.trusts:
            self._answer_all(mail.trust())
            return
        answers: Sequence[Reply] = ()
        if mail.to_ask or not mail.is_answered:
            answers = yield Ask(mail.argument, mail.client, mail.to_ask)
        if not mail.is_answered:
            opened, answers = answers[0], answers[1:]
            self._answer(opened)
            if not opened.ok:
                self._answer_all(mail.refuse_all(opened))
                yield from self._abandon()
                return
            mail.is_answered = True
        self._answer_all(mail.conclude(answers))

    # -- the message ---------------------------------------------------------------------------------------------

    def _data(self, argument: str) -> Dialog | None:
        mail = self._mail
        if self._has_more():
            raise Closing(replies.PAST_DATA)  # RFC 2920 3.1: DATA is the last of a group
        if argument:
            self._answer(replies.NO_ARGUMENT)
        elif mail is None:
            self._answer(replies.SAY_MAIL)
        elif not mail.accepted and not mail.own:
            self._answer(replies.NO_VALID if mail.was_refused else replies.SAY_RCPT)
        else:
            return self._ask_trusted(mail) if self._listener.trusts else self._take_message(mail)
        return None

    def _ask_trusted(self, mail: MailTransaction) -> Dialog:
        """Ask the next hop at last about MAIL and the recipients; take the message where it takes any of them.

        Those whom it puts off beside others are put off at RCPT when the message comes again: it is held up only once.
        """
        opened, *answers = yield Ask(mail.argument, mail.client, mail.accepted)
        refused = mail.settle(opened, answers)
        if mail.put_off and mail.accepted:
            self._listener.note_put_off(mail.argument.address, mail.put_off)
        if self._has_more():
            raise Closing(replies.PAST_DATA)
        if refused is None:
            yield from self._take_message(mail)
        else:
            yield from self._abandon()
            self._answer(refused)

    def _take_message(self, mail: MailTransaction) -> Dialog:
        """Receive the content, then have it judged. A client that leaves before the end leaves nothing behind."""
        self._answer(replies.GO_AHEAD)
        self.in_message = True
        content: bytes | Fault = yield TakeMessage(self._size_limit)
        self._messages += 1
        self.stopping = self.stopping or self.lingering  # the service ends: it was the last message
        if isinstance(content, Fault):
            limits = self._size_limit, self._listener.max_recipients
            refused = policy_replies.not_taken_in(content, *limits)
            # where such a message ends, what comes behind may be taken for commands
            return (yield from self._refuse_message(refused, is_last=content is Fault.LINE_ENDS))
        if is_looping(content):
            return (yield from self._refuse_message(policy_replies.too_many_hops()))
        peer = self._listener.peer_of(self._identity, mail.client, content)
        if isinstance(peer, Reply):
            return (yield from self._refuse_message(peer))
        authenticated = self._listener.is_authenticated(mail.client.address)
        transaction = mail.with_content(content, self._identity, authenticated, peer)
        self._mail, self._identity.forwarded = None, {}  # from here on it is not the client's to abandon
        self._end_message((yield Judge(transaction)))

    def _end_message(self, answer: Reply) -> None:
        self.in_message = False
        if answer.ok:
            self._idle_commands = 0
        self._answer(answer)

    def _refuse_message(self, refused: Reply, *, is_last: bool = False) -> Dialog:
        yield from self._abandon()
        self.in_message = False
        if is_last:
            raise Closing(refused, "data")
        self._listener.refused("data", refused)
        self._answer(refused)

    def _abandon(self) -> Dialog:
        """End the transaction, here and at the next hop."""
        mail, self._mail = self._mail, None
        self._identity.forwarded = {}
        if mail is not None:
            yield ABANDON

    # -- the others ----------------------------------------------------------------------------------------------

    def _rset(self, argument: str) -> Dialog:
        if not argument:
            yield from self._abandon()
        self._answer(replies.NO_ARGUMENT if argument else replies.OK)

    def _quit(self, argument: str) -> None:
        if not argument:
            raise Closing(replies.BYE)
        self._answer(replies.NO_ARGUMENT)


_METHODS: Mapping[bytes, Callable[[Session, str], Dialog | None]] = {
    b"HELO": lambda session, argument: session._hello(argument, extended=False),
    b"EHLO": lambda session, argument: session._hello(argument, extended=True),
    b"STARTTLS": Session._starttls,
    b"XFORWARD": Session._xforward,
    b"XCLIENT": Session._xclient,
    b"MAIL": Session._begin,
    b"RCPT": Session._rcpt,
    b"DATA": Session._data,
    b"RSET": Session._rset,
    b"NOOP": lambda session, argument: session._answer(replies.OK),
    b"VRFY": lambda session, argument: session._answer(replies.CANNOT_VERIFY),
    b"HELP": lambda session, argument: session._answer(replies.HELP),
    b"QUIT": Session._quit,
}


def _decode(argument: bytes) -> str | None:
    try:
        return argument.decode("utf-8").strip(" ")
    except UnicodeDecodeError:
        return None
