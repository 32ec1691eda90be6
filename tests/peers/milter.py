"""A milter client: what an MTA says to a milter, said as a test likes it.

with MilterClient.tcp(gate.milter) as mta:
    answer = mta.message("a@doa.example.gov", ["b@example.org"], content)
    answer.verdict          # "accept", "discard", "550 5.7.1 ...", ...

Blocking, so that it also runs in threads beside an event loop; `offer` makes it an MTA of another age.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

EVERYTHING = 0x1F_FFFF  # each step flag of version 6
ALL_ACTIONS = 0x1FF
LEADING_SPACE, SKIP, NO_BODY_REPLY = 0x10_0000, 0x400, 0x8_0000
NO_REPLY = {"C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x1_0000, "L": 0x80, "N": 0x4_0000, "B": 0x8_0000}
PATIENCE = 30.0
_VERDICTS = {"a": "accept", "c": "accept", "d": "discard", "t": "tempfail", "r": "reject"}


@dataclass(frozen=True)
class Offer:
    """What an MTA offers first; the default is Postfix 3.7."""

    version: int = 6
    actions: int = ALL_ACTIONS
    steps: int = EVERYTHING

    @classmethod
    def decode(cls, data: bytes) -> Offer:
        return cls(*(int.from_bytes(data[at : at + 4], "big") for at in (0, 4, 8)))

    def encode(self) -> bytes:
        return b"".join(number.to_bytes(4, "big") for number in (self.version, self.actions, self.steps))


POSTFIX_3_7 = Offer()
SENDMAIL_8_17 = Offer.decode(bytes.fromhex("00000006000001ff001fffff"))  # as Debian's 8.17.1 said it
SENDMAIL_LARGE = Offer(6, 0x1FF, 0x1F_FFFF | 0x3000_0000)  # which could send larger packets, to who wants them
SENDMAIL_8_13 = Offer(2, 0x3F, 0x7F)
POSTFIX_2_3 = Offer(2, 0x3D, 0x7F)


@dataclass(frozen=True)
class Answer:
    """What came of a message: `accept`, `discard` or a reply's text, and the changes asked for."""

    verdict: str
    added: list[tuple[str, str]] = field(default_factory=list)
    removed: list[tuple[str, int]] = field(default_factory=list)
    skipped: int = 0  # pieces of the body that were not sent, as the milter said


class MilterClient:
    """One connection, negotiated."""

    def __init__(self, connection: socket.socket, offer: Offer = POSTFIX_3_7) -> None:
        self.socket = connection
        self.socket.settimeout(PATIENCE)
        self.stream = connection.makefile("rb")
        self._unsent = bytearray()
        self.say("O", offer.encode())
        kind, data = self.answer()
        assert kind == "O", f"no terms: {kind!r}"
        self.version, self.actions, self.steps = (int.from_bytes(data[at : at + 4], "big") for at in (0, 4, 8))
        self.macros = dict(_macro_lists(data[12:]))

    @classmethod
    def tcp(cls, port: int, offer: Offer = POSTFIX_3_7, *, delays: bool = False) -> MilterClient:
        """Connect by TCP. Args: `delays` a small packet until the one before is acknowledged (RFC 896), as MTAs do."""
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(not delays))
        return cls(connection, offer)

    @classmethod
    def unix(cls, path: str, offer: Offer = POSTFIX_3_7) -> MilterClient:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        return cls(connection, offer)

    def __enter__(self) -> MilterClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave without a word."""
        with suppress(OSError):
            self.flush()
        self.stream.close()
        self.socket.close()

    # -- packets -------------------------------------------------------------------------------------------------

    def say(self, kind: str, data: bytes = b"") -> None:
        self._unsent += (len(data) + 1).to_bytes(4, "big") + kind.encode() + data
        self.flush()

    def flush(self) -> None:
        """Send what waits: an MTA, too, collects packets that need no answer."""
        unsent, self._unsent = self._unsent, bytearray()
        self.socket.sendall(unsent)

    def answer(self) -> tuple[str, bytes]:
        """The next packet; ("", b"") where the milter has closed."""
        self.flush()
        head = self.stream.read(4)
        if len(head) < 4:
            return "", b""
        body = self.stream.read(int.from_bytes(head, "big"))
        return chr(body[0]), body[1:]

    def step(self, kind: str, data: bytes = b"") -> str:
        """Say it, and what was answered: "c" also where nothing is to be."""
        if self.steps & NO_REPLY[kind]:
            self._unsent += (len(data) + 1).to_bytes(4, "big") + kind.encode() + data
            return "c"
        self.say(kind, data)
        return self.answer()[0]

    def tell_macros(self, stage: str, **values: str) -> None:
        pairs = (text for name, value in values.items() for text in (_braced(name), value))
        self.say("D", stage.encode() + _texts(*pairs))

    # -- a message -----------------------------------------------------------------------------------------------

    def connect(self, name: str = "client.example.gov", address: str = "127.0.0.1", port: int = 40000) -> None:
        self.tell_macros("C", j="mx.example.gov", client_addr=address, client_name=name)
        family = b"6" if ":" in address else b"4"
        assert self.step("C", _texts(name) + family + port.to_bytes(2, "big") + _texts(address)) == "c"
        assert self.step("H", _texts(name)) == "c"

    def envelope(
        self,
        sender: str,
        recipients: Sequence[str | tuple[str, ...]],
        parameters: Sequence[str] = (),
        **macros: str,
    ) -> None:
        """MAIL and RCPTs; a recipient may come with parameters."""
        self.tell_macros("M", **macros)
        assert self.step("M", _texts(f"<{sender}>", *parameters)) == "c"
        for each in recipients:
            address, *words = (each,) if isinstance(each, str) else each
            assert self.step("R", _texts(f"<{address}>", *words)) == "c"

    def content(self, content: bytes) -> int:
        """Header and body, in as large pieces as MTAs have; how many pieces the milter wanted to skip."""
        head, _, body = content.partition(b"\r\n\r\n") if not content.startswith(b"\r\n") else (b"", b"", content[2:])
        assert self.step("T") == "c"
        for name, value in fields(head):
            if not self.steps & LEADING_SPACE:
                value = value.removeprefix(b" ")
            assert self.step("L", name + b"\0" + value + b"\0") == "c"
        assert self.step("N") == "c"
        pieces = [body[start : start + 65_535] for start in range(0, len(body), 65_535)]
        for number, piece in enumerate(pieces, start=1):
            if self.step("B", piece) == "s":
                return len(pieces) - number
        return 0

    def end(self, **macros: str) -> Answer:
        """The end of the message, and what becomes of it."""
        self.tell_macros("E", **macros)
        self.say("E")
        added: list[tuple[str, str]] = []
        removed: list[tuple[str, int]] = []
        while True:
            kind, data = self.answer()
            if kind == "h":
                name, value = data.decode().split("\0")[:2]
                added.append((name, value))
            elif kind == "m":
                removed.append((data[4:].split(b"\0")[0].decode(), int.from_bytes(data[:4], "big")))
            elif kind == "y":
                assert data.endswith(b"\0"), data
                return Answer(data[:-1].decode().replace("%%", "%"), added, removed)
            elif kind != "p":
                return Answer(_VERDICTS.get(kind, f"closed{kind}"), added, removed)

    def message(
        self,
        sender: str,
        recipients: Sequence[str | tuple[str, ...]],
        content: bytes,
        *,
        connect: bool = True,
        parameters: Sequence[str] = (),
        **macros: str,
    ) -> Answer:
        """All of one message. Args: `macros` without their braces, such as auth_authen="clerk"."""
        if connect:
            self.connect()
        self.envelope(sender, recipients, parameters, **macros)
        skipped = self.content(content)
        answer = self.end(**macros)
        return Answer(answer.verdict, answer.added, answer.removed, skipped)


def fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Header fields as MTAs tell them: name, and value with LF between its lines."""
    found: list[bytes] = []
    for line in head.removesuffix(b"\r\n").split(b"\r\n") if head else []:
        if line[:1] in (b" ", b"\t") and found:
            found[-1] += b"\n" + line
        else:
            found.append(line)
    pairs = (each.partition(b":") for each in found)
    return [(name, value) for name, _, value in pairs]


def _texts(*texts: str) -> bytes:
    return b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts)


def _braced(name: str) -> str:
    return name if len(name) == 1 else f"{{{name}}}"


def _macro_lists(data: bytes) -> Mapping[int, str]:
    found = {}
    while len(data) > 4:
        names, _, rest = data[4:].partition(b"\0")
        found[int.from_bytes(data[:4], "big")] = names.decode()
        data = rest
    return found
