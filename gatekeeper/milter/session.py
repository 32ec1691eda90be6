"""One milter connection, without I/O: the MTA's packets become messages, and conclusions become answers to the MTA.

`_AFTER` has the life of a connection: which commands may follow which. Where the MTA offers not to wait for answers,
nothing is answered before the end of a message. There the caller gets the `Message` and gives a `Conclusion`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from gatekeeper.lib.immutable import immutable
from gatekeeper.milter import packets
from gatekeeper.milter.packets import Command, Connected, GarbageError, Negotiation, Steps
from gatekeeper.model import Client, Recipient
from gatekeeper.smtp import parameters
from gatekeeper.smtp.buffer import MemoryBuffer, OctetBuffer
from gatekeeper.smtp.data import Fault
from gatekeeper.smtp.replies import Reply


@immutable
class MessageLimits:
    """How much of one message is taken."""

    recipients: int
    octets: int


@immutable
class Message:
    """One whole message as the MTA sent it.

    Where `fault` is set the message cannot be taken, and content is missing.
    """

    client: Client
    login: str | None
    mta: str  # the MTA's own name, "" where it does not say
    queue_id: str  # "" where the MTA has given none yet
    sender: str
    parameters: tuple[str, ...]
    recipients: tuple[Recipient, ...]
    fault: Fault | None
    pieces: OctetBuffer = field(repr=False)


def with_final_crlf(content: bytes) -> bytes:
    """Return content with a CRLF at its end."""
    return content if content.endswith(b"\r\n") else content + b"\r\n"


@immutable
class Conclusion:
    """What the MTA is to do: give the reply `refusal`, drop the message (`discard`), or else let the message pass."""

    refusal: Reply | None = None
    discard: bool = False
    added: tuple[bytes, ...] = ()  # header fields, as they stand in a message
    removed: tuple[tuple[bytes, int], ...] = ()  # header fields to delete: name, and which of that name, from 1


_MESSAGE = frozenset({Command.MAIL, Command.HELO, Command.ABORT})  # may begin or end a message at any time
_AFTER = {
    Command.NEGOTIATE: _MESSAGE | {Command.CONNECT},
    Command.CONNECT: _MESSAGE,
    Command.HELO: _MESSAGE,
    Command.MAIL: _MESSAGE | {Command.RCPT},
    Command.RCPT: _MESSAGE | {Command.RCPT, Command.DATA, Command.HEADER, Command.END_OF_HEADER},
    Command.DATA: _MESSAGE | {Command.HEADER, Command.END_OF_HEADER},
    Command.HEADER: _MESSAGE | {Command.HEADER, Command.END_OF_HEADER},
    Command.END_OF_HEADER: _MESSAGE | {Command.BODY, Command.END},
    Command.BODY: _MESSAGE | {Command.BODY, Command.END},
}
_ANYWHERE = frozenset({Command.MACROS, Command.QUIT, Command.QUIT_AND_GO_ON, Command.UNKNOWN})
_UNANSWERED = {  # commands that the MTA does not want answered, by the negotiated flag
    Command.CONNECT: Steps.NR_CONN,
    Command.HELO: Steps.NR_HELO,
    Command.MAIL: Steps.NR_MAIL,
    Command.RCPT: Steps.NR_RCPT,
    Command.DATA: Steps.NR_DATA,
    Command.HEADER: Steps.NR_HDR,
    Command.END_OF_HEADER: Steps.NR_EOH,
    Command.BODY: Steps.NR_BODY,
    Command.UNKNOWN: Steps.NR_UNKN,
}
_OF_THE_CONNECTION = (Command.CONNECT, Command.HELO)  # macros sent with these commands hold until the connection ends
_KNOWN_MACROS = ("i", "j", "auth_authen", "client_addr", "client_name", "client_port", "tls_version")
_UNKNOWN_NAMES = ("", "unknown")


@dataclass(slots=True)
class _Draft:
    """A message of which the MTA has sent a part."""

    parameters: tuple[str, ...]
    pieces: OctetBuffer
    sender: str = ""
    recipients: list[Recipient] = field(default_factory=list)
    fault: Fault | None = None

    def add(self, piece: bytes, limit: int) -> None:
        if len(self.pieces) + len(piece) > limit:
            self.fail(Fault.SIZE)
        if not self.fault:
            self.pieces.add(piece)

    def fail(self, fault: Fault) -> None:
        """Drop the content and take no more of it. The first fault is the one that is reported."""
        self.fault = self.fault or fault
        self.pieces.clear()

    def address(self, path: str) -> str:
        """Return an address of the envelope; "" for an address that cannot be taken, which is a fault."""
        address = _address(path)
        if _UNFIT.search(address) or len(address) > _MOST_ADDRESS_CHARACTERS:
            self.fail(Fault.ADDRESS)
            return ""
        return address


class Session:
    """A milter session: takes octets, cut anywhere, and returns the octets that answer them.

    Call `feed`, then `run` until it returns no message; write what `answers` returns after each call. A message must be
    concluded before `run` is called again. All methods may raise GarbageError; then the connection must be closed.
    """

    def __init__(self, caps: MessageLimits, keep: Callable[[], OctetBuffer] = MemoryBuffer) -> None:
        """Args: `keep` makes the buffer that a message's content goes to."""
        self.ended = False  # the MTA has sent QUIT
        self._caps, self._keep = caps, keep
        self._draft: _Draft | None = None
        self._reader = packets.PacketReader()
        self._negotiation: Negotiation | None = None
        self._answered: frozenset[Command] = frozenset()  # commands that get an answer
        self._lead = b": "  # what stands between a header field's name and its value
        self._answers: list[bytes] = []
        self._forget_connection()

    @property
    def in_content(self) -> bool:
        """Return True while the MTA sends the header or body of a message, which it does without a pause."""
        return self._last in (Command.HEADER, Command.END_OF_HEADER, Command.BODY)

    @property
    def unfinished_packet(self) -> int | None:
        """Return the number of the packet of which a part has come; None where none is under way."""
        return self._reader.taken if self._reader.pending else None

    @property
    def in_message(self) -> bool:
        """Return True between MAIL and the end of the message."""
        return self._draft is not None

    def feed(self, octets: bytes) -> None:
        """Add octets that the MTA sent."""
        self._reader.feed(octets)

    def run(self) -> Message | None:
        """Process packets up to the end of a message and return that message; None where more octets are needed."""
        while not self.ended and (packet := self._reader.take()) is not None:
            command, data = packet
            self._check(command)
            if command is Command.END:
                return self._finish(data)
            self._follow(command, data)
        return None

    def close(self) -> None:
        """Drop a message that the MTA did not send to its end."""
        self._drop_draft()

    def answers(self) -> bytes:
        """Return the octets to be written now."""
        answers, self._answers = self._answers, []
        return b"".join(answers)

    def conclude(self, conclusion: Conclusion) -> None:
        """Answer the end of a message; the connection goes on."""
        negotiation = self._agreed()
        if conclusion.refusal:
            self._answers.append(packets.reply_packet(conclusion.refusal))
            return
        if conclusion.discard:
            self._answers.append(packets.DISCARD)
            return
        removals = (
            packets.delete_header_packet(name, occurrence, negotiation) for name, occurrence in conclusion.removed
        )
        additions = (packets.add_header_packet(each, negotiation) for each in conclusion.added)
        self._answers += chain(removals, additions, [packets.ACCEPT])

    # -- order ---------------------------------------------------------------------------------------------------

    def _check(self, command: Command) -> None:
        if self._negotiation is None:
            if command is not Command.NEGOTIATE:
                raise GarbageError(f"{command.name} before the terms: expected NEGOTIATE")
        elif command not in _ANYWHERE and command not in _AFTER[self._last]:
            raise GarbageError(f"{command.name} after {self._last.name}: out of its order")

    def _follow(self, command: Command, data: bytes) -> None:
        _METHODS[command](self, data)
        if command in _AFTER:
            self._last = command
        if command in self._answered:
            self._answers.append(self._answer(command))

    def _answer(self, command: Command) -> bytes:
        """Return CONTINUE, or SKIP where the message cannot be taken and the rest of its body is not needed."""
        draft = self._draft
        too_much = command is Command.BODY and draft is not None and draft.fault is not None
        return packets.SKIP if too_much and self._agreed().steps & Steps.SKIP else packets.CONTINUE

    def _agreed(self) -> Negotiation:
        assert self._negotiation is not None  # `_check` lets no other command come before NEGOTIATE
        return self._negotiation

    def _forget_connection(self) -> None:
        self._last = Command.NEGOTIATE
        self._connected = Connected("")
        self._helo = ""
        self._lasting: dict[str, str] = {}  # macros of the connection
        self._forget_message()

    def _forget_message(self) -> None:
        self._passing: dict[str, str] = {}  # macros of the message
        self._drop_draft()

    def _drop_draft(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.pieces.clear()

    def _rest(self) -> None:
        self._forget_message()
        if self._last is not Command.NEGOTIATE:
            self._last = Command.HELO

    # -- the MTA's commands --------------------------------------------------------------------------------------

    def _negotiate(self, data: bytes) -> None:
        self._negotiation = negotiation = packets.negotiate(data)
        self._answered = frozenset(
            each for each, unanswered in _UNANSWERED.items() if not negotiation.steps & unanswered
        )
        self._lead = b":" if negotiation.steps & Steps.HDR_LEADSPC else b": "
        self._answers.append(packets.negotiation_packet(self._negotiation))

    def _macros(self, data: bytes) -> None:
        letter, macros = packets.read_macros(data)
        if letter == Command.MAIL:
            self._passing = {}  # another message begins
        kept = self._lasting if letter in _OF_THE_CONNECTION else self._passing
        kept.update((name, value) for name, value in macros.items() if name in _KNOWN_MACROS)

    def _connect(self, data: bytes) -> None:
        self._connected = packets.read_connect(data)

    def _hello(self, data: bytes) -> None:
        self._helo = packets.read_words(data)[0]
        self._drop_draft()  # RFC 5321 4.1.4: HELO ends the transaction

    def _mail(self, data: bytes) -> None:
        path, *words = packets.read_words(data)
        self._drop_draft()
        self._draft = draft = _Draft(_kept(words, _read_of_mail), self._keep())
        draft.sender = draft.address(path)

    def _rcpt(self, data: bytes) -> None:
        draft = self._open()
        path, *words = packets.read_words(data)
        if len(draft.recipients) >= self._caps.recipients:
            draft.fail(Fault.RECIPIENTS)
            return
        draft.recipients.append(Recipient(draft.address(path), _kept(words, _read_of_rcpt)))

    def _header(self, data: bytes) -> None:
        name, value = packets.read_header(data)
        if _UNFOLDED.search(value) or b"\n" in name:
            self._open().fail(Fault.LINE_ENDS)  # not one field: other programs would read it differently
        line = name + self._lead + _LINE_END.sub(b"\r\n", value) + b"\r\n"
        self._open().add(line, self._caps.octets)

    def _end_of_header(self, data: bytes) -> None:
        self._open().add(b"\r\n", self._caps.octets)

    def _body(self, data: bytes) -> None:
        self._open().add(data, self._caps.octets)

    def _finish(self, data: bytes) -> Message:
        if data:  # the last piece of the body may come with END
            self._body(data)
        draft, macros = self._open(), self._lasting | self._passing
        message = Message(
            client=self._client(macros),
            login=macros.get("auth_authen") or None,
            mta=macros.get("j", ""),
            queue_id=macros.get("i", ""),
            sender=draft.sender,
            parameters=draft.parameters,
            recipients=tuple(draft.recipients),
            fault=draft.fault,
            pieces=draft.pieces,
        )
        self._draft = None  # the content belongs to the message now
        self._rest()
        return message

    def _client(self, macros: dict[str, str]) -> Client:
        connected = self._connected
        name = macros.get("client_name", connected.name)
        port = macros.get("client_port", "")
        protocol = "ESMTP" + ("S" if macros.get("tls_version") else "") + ("A" if macros.get("auth_authen") else "")
        return Client(
            address=packets.plain_address(macros.get("client_addr", "")) or connected.address,
            name="" if name in _UNKNOWN_NAMES or name.startswith("[") else name,
            helo=self._helo,
            port=connected.port or (int(port) if port.isdecimal() and len(port) <= 5 else 0),
            protocol=protocol,  # RFC 3848
        )

    def _open(self) -> _Draft:
        if self._draft is None:
            raise GarbageError("a part of a message: expected MAIL first")
        return self._draft

    def _abort(self, data: bytes) -> None:
        self._rest()

    def _pass_over(self, data: bytes) -> None:
        """Ignore DATA and unknown SMTP commands, which carry no information."""

    def _quit(self, data: bytes) -> None:
        self.ended = True


_METHODS: dict[Command, Callable[[Session, bytes], None]] = {
    Command.NEGOTIATE: Session._negotiate,
    Command.MACROS: Session._macros,
    Command.CONNECT: Session._connect,
    Command.HELO: Session._hello,
    Command.MAIL: Session._mail,
    Command.RCPT: Session._rcpt,
    Command.DATA: Session._pass_over,
    Command.HEADER: Session._header,
    Command.END_OF_HEADER: Session._end_of_header,
    Command.BODY: Session._body,
    Command.ABORT: Session._abort,
    Command.UNKNOWN: Session._pass_over,
    Command.QUIT: Session._quit,
    Command.QUIT_AND_GO_ON: lambda session, data: session._forget_connection(),
}


# -- envelopes ---------------------------------------------------------------------------------------------------

_LINE_END = re.compile(rb"\r?\n")
_UNFOLDED = re.compile(rb"\n(?![ \t])")
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ufffd]")  # control characters, and octets that are not UTF-8
_MOST_ADDRESS_CHARACTERS = 1000
_OF_MAIL = ("8BITMIME", "SMTPUTF8", "DSN")  # extensions whose parameters are kept; SIZE concerns the MTA alone
_OF_RCPT = ("DSN",)


def _address(path: str) -> str:
    """Return an address without brackets and source route. The MTA has accepted the rest, so it stays as it is."""
    address = path[1:-1] if path.startswith("<") and path.endswith(">") else path
    if not address:
        return ""
    try:
        return parameters.parse_rcpt(f"TO:<{address}>", (), utf8=True).address
    except parameters.ArgumentError:
        return address


def _kept(words: Sequence[str], read: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """Return the parameters of a command that the gate knows, each once; others concern only the MTA and its client."""
    kept: dict[str, str] = {}
    for word in words:
        try:
            known = read(word)
        except parameters.ArgumentError:
            continue
        kept.update((each.partition("=")[0], each) for each in known)
    return tuple(kept.values())


def _read_of_mail(word: str) -> tuple[str, ...]:
    return parameters.parse_mail(f"FROM:<> {word}", _OF_MAIL, limit=0).parameters


def _read_of_rcpt(word: str) -> tuple[str, ...]:
    return parameters.parse_rcpt(f"TO:<postmaster> {word}", _OF_RCPT, utf8=True).parameters
