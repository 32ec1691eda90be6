"""Decode and encode packets of the milter protocol: a length of four octets, a letter, and data. No I/O.

The protocol is that of Sendmail's libmilter, version 6, which Postfix speaks too; no standard describes it. Names of
flags are those of libmilter's mfdef.h without SMFIF_ and SMFIP_.
"""

from __future__ import annotations

import ipaddress
import re
from enum import IntFlag, StrEnum

from gatekeeper.lib.immutable import immutable
from gatekeeper.smtp.replies import Reply

NEWEST, OLDEST = 6, 2  # versions of the protocol
MOST_OCTETS = 1 << 20  # of the largest packet that is taken


class GarbageError(ValueError):
    """Input that is not the milter protocol; the text says what was expected."""


class Command(StrEnum):
    """The commands of an MTA (SMFIC_*)."""

    ABORT = "A"
    BODY = "B"
    CONNECT = "C"
    MACROS = "D"
    END = "E"  # end of the message: all of it was sent
    HELO = "H"
    QUIT_AND_GO_ON = "K"  # the SMTP connection is over; another follows on this milter connection
    HEADER = "L"
    MAIL = "M"
    END_OF_HEADER = "N"
    NEGOTIATE = "O"
    QUIT = "Q"
    RCPT = "R"
    DATA = "T"
    UNKNOWN = "U"  # an SMTP command unknown to the MTA


class Actions(IntFlag):
    """What a milter may do to a message (SMFIF_*)."""

    ADDHDRS = 0x01
    CHGHDRS = 0x10
    SETSYMLIST = 0x100  # name the macros that the milter wants


class Steps(IntFlag):
    """Which steps an MTA sends, which of them the milter answers, and how (SMFIP_*)."""

    NR_HDR = 0x80
    NOUNKNOWN = 0x100
    SKIP = 0x400
    NR_CONN = 0x1000
    NR_HELO = 0x2000
    NR_MAIL = 0x4000
    NR_RCPT = 0x8000
    NR_DATA = 0x1_0000
    NR_UNKN = 0x2_0000
    NR_EOH = 0x4_0000
    NR_BODY = 0x8_0000
    HDR_LEADSPC = 0x10_0000


# -- packets -----------------------------------------------------------------------------------------------------

_LENGTH = 4


class PacketReader:
    """A reader that takes octets, cut anywhere, and returns the packets in them."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._at = 0
        self.taken = 0  # packets

    @property
    def pending(self) -> bool:
        """Return True where octets of a packet have come, and not all of it."""
        return self._at < len(self._octets)

    def feed(self, octets: bytes) -> None:
        """Add octets that the MTA sent."""
        if self._at:
            del self._octets[: self._at]
            self._at = 0
        self._octets += octets

    def take(self) -> tuple[Command, bytes] | None:
        """Return the next packet; None where more octets are needed. Raises GarbageError."""
        start = self._at + _LENGTH
        if len(self._octets) < start:
            return None
        length = int.from_bytes(self._octets[self._at : start], "big")
        if not 1 <= length <= MOST_OCTETS:
            raise GarbageError(f"a packet of {length} octets: expected 1 to {MOST_OCTETS}")
        if len(self._octets) < start + length:
            return None
        self._at = start + length
        self.taken += 1
        return _command(self._octets[start]), bytes(self._octets[start + 1 : self._at])


_COMMANDS = {ord(command): command for command in Command}


def _command(letter: int) -> Command:
    try:
        return _COMMANDS[letter]
    except KeyError:
        raise GarbageError(f"command {letter:#04x}: expected one of the milter protocol") from None


def packet(letter: str, data: bytes = b"") -> bytes:
    """Return one packet as it goes over the wire."""
    return (len(data) + 1).to_bytes(_LENGTH, "big") + letter.encode("ascii") + data


# -- negotiation -------------------------------------------------------------------------------------------------


@immutable
class Negotiation:
    """What MTA and milter have agreed on."""

    version: int
    actions: Actions
    steps: Steps


_WANTED_ACTIONS = Actions.ADDHDRS | Actions.CHGHDRS | Actions.SETSYMLIST
_WANTED_STEPS = (
    Steps.NOUNKNOWN | Steps.HDR_LEADSPC | Steps.SKIP | Steps.NR_HDR | Steps.NR_CONN | Steps.NR_HELO
    | Steps.NR_MAIL | Steps.NR_RCPT | Steps.NR_DATA | Steps.NR_UNKN | Steps.NR_EOH | Steps.NR_BODY
)  # fmt: skip
_NEWEST_ONLY_STEPS = _WANTED_STEPS & ~(Steps.NOUNKNOWN | Steps.NR_HDR)
_NUMBER = 4
_ENDS = b"\0"

# Which macros the gate wants with which step. The number is the step's in SMFIM_*.
_MACROS = (
    (0, "j {client_addr} {client_name} {client_port}"),  # connect
    (1, "{tls_version}"),  # helo
    (2, "i {auth_authen}"),  # mail
    (3, ""),  # rcpt: no macros, which would be repeated for thousands of recipients
    (4, "i"),  # data
    (6, ""),  # end of header
    (5, "i"),  # end of message
)


def negotiate(data: bytes) -> Negotiation:
    """Return what is agreed on for an MTA's offer: the lower version, and all that we want of what the MTA offers.

    Raises GarbageError for an offer that is too short or of a version that is too old.
    """
    if len(data) < 3 * _NUMBER:
        raise GarbageError(f"an offer of {len(data)} octets: expected version, actions and steps")
    version, actions, steps = (int.from_bytes(data[at : at + _NUMBER], "big") for at in (0, 4, 8))
    if version < OLDEST:
        raise GarbageError(f"milter protocol version {version}: expected {OLDEST} to {NEWEST}")
    wanted_actions, wanted_steps = _WANTED_ACTIONS, _WANTED_STEPS
    if version < NEWEST:
        wanted_actions, wanted_steps = wanted_actions & ~Actions.SETSYMLIST, wanted_steps & ~_NEWEST_ONLY_STEPS
    chosen = wanted_steps & Steps(steps & wanted_steps)
    if chosen & Steps.SKIP:
        chosen &= ~Steps.NR_BODY  # SKIP is an answer, so the body must be answered
    return Negotiation(min(version, NEWEST), wanted_actions & Actions(actions & wanted_actions), chosen)


def negotiation_packet(negotiation: Negotiation) -> bytes:
    """Return the packet that answers an offer."""
    numbers = (negotiation.version, negotiation.actions, negotiation.steps)
    data = b"".join(int(number).to_bytes(_NUMBER, "big") for number in numbers)
    if negotiation.actions & Actions.SETSYMLIST:  # only then does Sendmail read the lists of macros
        data += b"".join(stage.to_bytes(_NUMBER, "big") + names.encode() + _ENDS for stage, names in _MACROS)
    return packet(Command.NEGOTIATE, data)


# -- what an MTA sends -------------------------------------------------------------------------------------------


@immutable
class Connected:
    """The client connected to the MTA: name and address as the MTA gives them, "" where the MTA knows none."""

    name: str
    address: str = ""
    port: int = 0


def read_connect(data: bytes) -> Connected:
    """Read CONNECT: name, NUL, family (U, L, 4, 6), and but for U port and address. Raises GarbageError."""
    name, rest = _until_nul(data)
    family, rest = rest[:1], rest[1:]
    if family == b"U":
        return Connected(text(name))
    if family not in (b"L", b"4", b"6") or len(rest) < 3 or not rest.endswith(_ENDS):
        raise GarbageError("a client that is neither unknown nor has family, port and address")
    if family == b"L":
        return Connected(text(name))  # the path of a unix socket does not identify the client
    return Connected(text(name), plain_address(text(rest[2:-1])), int.from_bytes(rest[:2], "big"))


def read_words(data: bytes) -> list[str]:
    """Read one or more texts that each end with NUL. Raises GarbageError."""
    return [text(word) for word in _words(data)]


def read_header(data: bytes) -> tuple[bytes, bytes]:
    """Read a header field: name and value as in the message, except line ends. Raises GarbageError."""
    words = _words(data)
    if len(words) != 2 or not words[0]:
        raise GarbageError("a header field that is not a name and a value")
    return words[0], words[1]


def read_macros(data: bytes) -> tuple[str, dict[str, str]]:
    """Read MACROS: the letter of the command they belong to, and values by name without braces. Raises GarbageError."""
    if not data:
        raise GarbageError("macros without a command: expected its letter")
    words = read_words(data[1:]) if len(data) > 1 else []
    if len(words) % 2:
        raise GarbageError("a macro without a value")
    pairs = zip(words[::2], words[1::2], strict=True)
    return chr(data[0]), {name.removeprefix("{").removesuffix("}"): value for name, value in pairs}


def text(octets: bytes) -> str:
    """Decode octets as UTF-8; invalid ones become U+FFFD."""
    return octets.decode("utf-8", "replace")


def plain_address(address: str) -> str:
    """Return an IP address without "IPv6:"; "" for text that is no IP address."""
    plain = address[5:] if address[:5].lower() == "ipv6:" else address
    try:
        ipaddress.ip_address(plain)
    except ValueError:
        return ""
    return plain


def _words(data: bytes) -> list[bytes]:
    if not data.endswith(_ENDS):
        raise GarbageError("a text without its end: expected NUL")
    return data[:-1].split(_ENDS)


def _until_nul(data: bytes) -> tuple[bytes, bytes]:
    found, end, rest = data.partition(_ENDS)
    if not end:
        raise GarbageError("a text without its end: expected NUL")
    return found, rest


# -- what a milter answers ---------------------------------------------------------------------------------------

CONTINUE = packet("c")
ACCEPT = packet("a")
DISCARD = packet("d")
SKIP = packet("s")
PROGRESS = packet("p")  # a sign of life, where judging a message takes longer

_LINE_END = re.compile(rb"\r?\n")


def reply_packet(reply: Reply) -> bytes:
    """Return the packet that makes the MTA give this reply, 4xx or 5xx.

    "%" is doubled, because MTAs take it for a format.
    """
    words = reply.encode().rstrip(b"\r\n").replace(b"%", b"%%")
    return packet("y", words + _ENDS)


def add_header_packet(field: bytes, negotiation: Negotiation) -> bytes:
    """Return the packet that adds a header field; b"" where the MTA does not allow that.

    Args: `field` as it stands in a message.
    """
    if not negotiation.actions & Actions.ADDHDRS:
        return b""
    name, _, value = field.rstrip(b"\r\n").partition(b":")
    if not negotiation.steps & Steps.HDR_LEADSPC:
        value = value.removeprefix(b" ")  # the MTA adds this space itself
    return packet("h", name + _ENDS + _LINE_END.sub(b"\n", value) + _ENDS)


def delete_header_packet(name: bytes, occurrence: int, negotiation: Negotiation) -> bytes:
    """Return the packet that deletes the Nth header field of a name, from 1; b"" where the MTA does not allow that."""
    if not negotiation.actions & Actions.CHGHDRS:
        return b""
    return packet("m", occurrence.to_bytes(_NUMBER, "big") + name + _ENDS + _ENDS)
