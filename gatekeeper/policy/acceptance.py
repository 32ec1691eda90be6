"""Says what the SMTP listener accepts of a message that nobody sends: the checks before any rule is asked.

It holds the listener's own dialog (smtp/session.py) without a client and without a next hop, so that both refuse alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gatekeeper.directory.snapshot import Directory
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Client, Transaction
from gatekeeper.smtp.client_identity import ClientIdentity
from gatekeeper.smtp.data import ContentReader, Fault
from gatekeeper.smtp.dot_stuffing import stuffed
from gatekeeper.smtp.replies import Reply, reply
from gatekeeper.smtp.session import Session
from gatekeeper.smtp.session_replies import helo_reply
from gatekeeper.smtp.wanted import Ask, FindOffers, Judge, Read, TakeMessage, Wanted

CLIENT = Client("127.0.0.1", "localhost", "localhost")
_HOST = "localhost"
_OFFERED = dict.fromkeys(("8BITMIME", "SMTPUTF8"), "")
_TAKEN = reply(250, "ok", "2.0.0")
_NOT_PRINTABLE = "501 5.1.3 expected an address without control characters"


def is_sender_allowed(mail_from: str, domains: Sequence[str], directory: Directory) -> bool:
    """Return True for a MAIL FROM of --sender-domains, or of the inside domains where these are none."""
    return mail_from.rpartition("@")[2].lower() in domains if domains else directory.is_inside(mail_from)


@immutable
class Refusal:
    """A command that the listener refuses, and the reply that the client reads."""

    command: str  # MAIL, RCPT or DATA
    reply: str
    recipient: str = ""


@immutable
class TakenIn:
    """What the listener takes of a message; `transaction` is None where nothing of it comes to the rules."""

    transaction: Transaction | None
    refusals: tuple[Refusal, ...]


def take_in(
    sender: str,
    recipients: Iterable[str],
    content: bytes,
    login: str | None,
    may_send: Callable[[str], bool],
    most_octets: int,
) -> TakenIn:
    """Hold the dialog of one message, with any number of recipients.

    Args: `content` has CR LF; `may_send` tells by MAIL FROM whose mail is taken; `most_octets` is --max-size.
    """
    dialog = _Dialog(may_send, most_octets, content)
    dialog.say(f"EHLO {_HOST}")
    if refused := dialog.say(_mail(_bare(sender))):
        return TakenIn(None, (Refusal("MAIL", refused),))
    addresses = list(map(_bare, recipients))
    found = [Refusal("RCPT", refused, to) for to in addresses if (refused := dialog.say(f"RCPT TO:<{to}>"))]
    if len(found) < len(addresses) and (refused := dialog.say("DATA")):
        found.append(Refusal("DATA", refused))
    taken = dialog.transaction and replace(
        dialog.transaction, client=CLIENT, login=login, authenticated=login is not None
    )
    return TakenIn(taken, tuple(found))


def _bare(address: str) -> str:
    return address.strip().removeprefix("<").removesuffix(">")


def _mail(sender: str) -> str:
    return f"MAIL FROM:<{sender}>" + ("" if sender.isascii() else " SMTPUTF8")


class _Dialog:
    """A session whose client and next hop take everything."""

    def __init__(self, may_send: Callable[[str], bool], most_octets: int, content: bytes) -> None:
        self.transaction: Transaction | None = None
        self._content, self._farewell = content, ""
        listener = _Listener(may_send, most_octets)
        self._session = Session(listener, ClientIdentity(CLIENT.address, 0), more=lambda: False)
        self._dialog = self._session.dialog()
        self._wanted: Wanted = next(self._dialog)

    def say(self, command: str) -> str:
        """Send a command; return the reply that refuses it, "" where none does."""
        if self._farewell or not command.isprintable():
            return self._farewell or _NOT_PRINTABLE
        self._session.replies.clear()
        try:
            self._wanted = self._dialog.send(command.encode("utf-8", "replace") + b"\r\n")
            while not isinstance(self._wanted, Read):
                self._wanted = self._dialog.send(self._answer(self._wanted))
        except StopIteration:  # the listener closes the connection
            self._farewell = self._last_reply()
        last = self._last_reply()
        return last if last[0] in "45" else ""

    def _last_reply(self) -> str:
        return self._session.replies[-1].decode().strip()

    def _answer(self, wanted: Wanted) -> Any:
        match wanted:
            case FindOffers():
                return _OFFERED
            case Ask(recipients=recipients):
                return [_TAKEN] * (1 + len(recipients))  # to MAIL as well: all are asked about at once
            case TakeMessage(limit=limit):
                return self._taken(limit)
            case Judge(transaction=transaction):
                self.transaction = transaction
                return _TAKEN
        return None

    def _taken(self, limit: int) -> bytes | Fault:
        reader = ContentReader(limit)
        for octets in stuffed([self._content]):
            reader.feed(bytes(octets))
        return reader.fault or reader.content()


class _Listener:
    """What the session asks its listener. Recipients are not bounded: others come in a further transaction."""

    hostname, has_tls, trusts = _HOST, False, True
    max_commands = max_recipients = 1_000_000_000

    def __init__(self, may_send: Callable[[str], bool], most_octets: int) -> None:
        self._may_send, self._most_octets = may_send, most_octets

    def hello(self, offered: Mapping[str, str], peer: str, *, starttls: bool) -> Reply:
        return helo_reply(_HOST)

    def size_limit(self, offered: Mapping[str, str]) -> int:
        return self._most_octets

    def peer_obstacle(self, identity: ClientIdentity) -> Reply | None:
        return None

    def peer_of(self, identity: ClientIdentity, client: Client, content: bytes) -> str | Reply:
        return ""

    def obstacle(self) -> Reply | None:
        return None

    def sender_allowed(self, sender: str, peer: str) -> bool:
        return self._may_send(sender)

    def answers_any(self, addresses: Sequence[str]) -> bool:
        return False

    def answer_to(self, address: str) -> Reply | None:
        return None

    def put_off(self, sender: str) -> dict[str, Reply]:
        return {}

    def note_put_off(self, sender: str, replies: Mapping[str, Reply]) -> None:
        """Nobody is put off."""

    def refused(self, stage: str, reply: Reply) -> None:
        """Nothing is counted."""

    def may_xforward(self, peer: str) -> bool:
        return False

    def may_xclient(self, peer: str) -> bool:
        return False

    def is_authenticated(self, client: str) -> bool:
        return False
