"""What the fault tests share: a sink that runs beside the test, a client that pipelines, mail and people."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.peers import wait_for
from tests.peers.gate import Gate
from tests.peers.sink import Sink
from tests.store.arrivals import people

SENDER = "head@doa.example.gov"
APPROVER = "cio@example.gov"
LIMIT = 2000  # users in more than one agency that need no approval
PATIENCE = 60.0
T = TypeVar("T")

__all__ = ["people"]  # and all below; people are those of the store's tests


def message(subject: str, octets: int = 0, sender: str = SENDER) -> bytes:
    """A message whose Message-ID is made of its subject, at least so large; lines begin with dots here and there."""
    head = (
        f"From: {sender}\r\nTo: undisclosed-recipients:;\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject.replace(' ', '.')}@doa.example.gov>\r\n\r\n"
    ).encode()
    line = b".a line of " + subject.encode() + b" that fills\r\n"
    return head + line * max(2, octets // len(line) + 1)


class Downstream:
    """A `Sink` in a thread with a loop of its own, for tests that block."""

    def __init__(self, sink: Sink | None = None) -> None:
        self.sink = sink or Sink()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sink", daemon=True)

    def __enter__(self) -> Downstream:
        self._thread.start()
        self.call(self.sink.up())
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self.sink.down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def up(self) -> None:
        """Listen again, on the same port."""
        self.call(self.sink.up())

    def down(self) -> None:
        """Stop listening, and drop all connections."""
        self.call(self.sink.down())

    @property
    def address(self) -> str:
        return f"smtp://{self.sink.host}:{self.sink.port}"

    def copies(self, content: bytes) -> Counter[str]:
        """How often each recipient got the message, whose octets must be those that came in, behind trace fields."""
        return Counter(
            address
            for mail in list(self.sink.mails)
            if mail.sender and mail.content.endswith(content)
            for address in mail.addresses
        )

    def letters_to(self, recipient: str) -> Counter[bytes]:
        """Mail of the gate's own, notices and DSNs, that somebody got: how often each, by what is in it."""
        return Counter(
            mail.content.partition(b"\r\n\r\n")[2]
            for mail in list(self.sink.mails)
            if not mail.sender and recipient in mail.addresses
        )


class Client:
    """An SMTP client that pipelines, and can leave in every way. Replies have "|" between their lines."""

    def __init__(self, port: int, timeout: float = PATIENCE, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), timeout)
        self._buffer = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, text: str | bytes) -> None:
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def reply(self) -> str:
        """One reply; raises ConnectionError where the other side has closed."""
        lines = []
        while not lines or lines[-1][3:4] == "-":
            line = self._buffer.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("closed before its reply")
            lines.append(line.decode().rstrip("\r\n"))
        return "|".join(lines)

    def ask(self, command: str) -> str:
        self.say(command + "\r\n")
        return self.reply()

    def hello(self) -> None:
        assert self.reply().startswith("220 ")
        assert self.ask("EHLO client.example.gov").startswith("250")

    def envelope(self, recipients: Sequence[str], sender: str = SENDER) -> str:
        """MAIL to DATA in one write; the reply to DATA, or the first that is no success."""
        commands = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{each}>" for each in recipients), "DATA"]
        self.say("".join(command + "\r\n" for command in commands))
        replies = [self.reply() for _ in commands]
        refused = [reply for reply in replies[:-1] if not reply.startswith("250")]
        return replies[-1] if replies[-1].startswith("354") or not refused else refused[0]

    def content(self, content: bytes) -> str:
        """The message and its dot; the reply to it."""
        self.say(on_wire(content))
        return self.reply()

    def half_close(self) -> None:
        """Say that nothing more will come, and go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._buffer.close()
        self.socket.close()


def on_wire(content: bytes) -> bytes:
    """The content dot-stuffed, with its end (RFC 5321 4.5.2)."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


@contextmanager
def asleep(next_hop: str, **options: Any) -> Iterator[Gate]:
    """A gate that is not started yet, and is gone at the end. Args: as Gate has them."""
    gate = Gate(next_hop, **options)
    try:
        yield gate
    finally:
        gate.__exit__()


def send(gate: Gate, recipients: Sequence[str], content: bytes, sender: str = SENDER) -> str:
    """One transaction on a connection of its own; its last reply, "" where the connection was lost before it."""
    with contextlib.suppress(ConnectionError), Client(gate.port, host=gate.host) as client:
        client.hello()
        answer = client.envelope(recipients, sender)
        return client.content(content) if answer.startswith("354") else answer
    return ""


def insist(gate: Gate, recipients: Sequence[str], content: bytes, tries: int = 10) -> str:
    """Send as an MTA does: again after a loss or a 4xx, with a gate that is started again where it was killed."""
    for _ in range(tries):
        answer = send(gate, recipients, content)
        if answer and not answer.startswith("4"):
            return answer
        if _has_died(gate):
            gate.start()
    raise AssertionError(f"not taken in {tries} tries: {answer!r}: {gate.log()[-3000:]}")


def _has_died(gate: Gate, seconds: float = 0.5) -> bool:
    """True where the gate has ended, or does so very soon: its connections are lost before it is gone."""
    with contextlib.suppress(AssertionError):
        wait_for(lambda: not gate.running, str, seconds, 0.01)
        gate.wait_dead()
        return True
    return False


def restart(gate: Gate, kill_at: str = "") -> None:
    """Kill the gate, if nothing else has, and start it again."""
    gate.kill()
    gate.start(kill_at=kill_at)


def held_as(reply: str) -> str:
    """The mailing's number of a 250 that says that it is held."""
    found = re.match(r"250 2\.0\.0 Held for approval as (M-\d+): not sent yet", reply)
    assert found, f"expected a 250 for a held batch: {reply!r}"
    return found[1]


def approve(gate: Gate, mailing: str) -> None:
    gate.cli("mailing", "approve", mailing, "--by", APPROVER)


def wait_queue_empty(gate: Gate, seconds: float = PATIENCE) -> None:
    """Wait until nothing is left to send."""

    def empty() -> bool:
        text = gate.page("/metrics")[1]
        left = re.findall(r'^gatekeeper_queue\{kind="\w+"\} (\S+)', text, re.MULTILINE)
        return len(left) == 3 and not any(map(float, left))

    wait_for(empty, lambda: f"mail is left in the queue: {gate.log()[-2000:]}", seconds, 0.1)
