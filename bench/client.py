"""A client that pipelines: MAIL, all RCPT and DATA in one write, as an MTA does where PIPELINING is offered.

    python -m bench.client PORT --messages 20 --sessions 4 --recipients 2500 --size 20000

Every message has its own subject and its own recipients: each is a mailing of its own, whose people are all new. With
`--kind` they are the messages of bench/mail.py.
"""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench.mail import KINDS, Writer

_numbers = itertools.count()
_LINE = b"A few words, as many as there is room for on one line of text.\r\n"


class Refused(Exception):
    """The server said something else than was expected."""


class Session:
    """One connection, from EHLO on."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self._socket.makefile("rb", 65536)
        self.expect(b"220")
        self.say(b"EHLO bench.example.gov\r\n")
        self.expect(b"250")

    def say(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def expect(self, code: bytes, replies: int = 1) -> None:
        """Read so many replies, all of which must have that code; raises Refused."""
        while replies:
            line = self._replies.readline()
            if not line.startswith(code):
                raise Refused(f"{line!r}: expected {code!r}")
            replies -= line[3:4] == b" "

    def send(self, envelope: bytes, recipients: int, content: bytes) -> None:
        """One transaction. Args: `envelope` is MAIL, that many RCPT, and DATA; `content` ends with the dot."""
        self.say(envelope)
        self.expect(b"250", 1 + recipients)
        self.expect(b"354")
        self.say(content)
        self.expect(b"250")

    def close(self) -> None:
        self.say(b"QUIT\r\n")
        self.expect(b"221")
        self._replies.close()
        self._socket.close()


@contextmanager
def session(port: int) -> Iterator[Session]:
    """A session that says goodbye."""
    opened = Session(port)
    try:
        yield opened
    finally:
        opened.close()


def transaction(recipients: int, size: int, domain: str = "dphhs.example.gov") -> tuple[bytes, bytes]:
    """Envelope and content of a mailing of its own, to people of its own."""
    name = f"{os.getpid()}-{next(_numbers)}"
    commands = [f"RCPT TO:<user{number}.{name}@{domain}>\r\n" for number in range(recipients)]
    envelope = f"MAIL FROM:<head@doa.example.gov>\r\n{''.join(commands)}DATA\r\n"
    header = f"From: head@doa.example.gov\r\nSubject: About {name}\r\nMessage-ID: <{name}@doa.example.gov>\r\n\r\n"
    return envelope.encode(), header.encode() + _LINE * (size // len(_LINE)) + b".\r\n"


def load(port: int, messages: int, sessions: int, recipients: int, size: int, reuse: bool = True) -> None:
    """Send so many messages of one size over so many sessions at once; raises Refused."""
    deliver(port, [transaction(recipients, size) for _ in range(messages)], sessions, recipients, reuse)


def deliver(port: int, made: list[tuple[bytes, bytes]], sessions: int, recipients: int = 1, reuse: bool = True) -> None:
    """Send these transactions, each to that many recipients, over so many sessions at once; raises Refused."""
    failed: list[BaseException] = []

    def run(share: list[tuple[bytes, bytes]]) -> None:
        try:
            for several in [share] if reuse else [[each] for each in share]:
                with session(port) as opened:
                    for envelope, content in several:
                        opened.send(envelope, recipients, content)
        except BaseException as error:
            failed.append(error)

    shares = [share for number in range(sessions) if (share := made[number::sessions])]
    threads = [threading.Thread(target=run, args=(share,)) for share in shares]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if failed:
        raise failed[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("port", type=int)
    for name, default in (("messages", 20), ("sessions", 4), ("recipients", 2500), ("size", 20_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--kind", choices=KINDS)
    given = parser.parse_args()
    if given.kind:
        writer = Writer()
        deliver(given.port, [writer.write(given.kind, each) for each in range(given.messages)], given.sessions)
    else:
        load(given.port, given.messages, given.sessions, given.recipients, given.size)


if __name__ == "__main__":
    main()
