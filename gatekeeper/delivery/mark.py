"""The mark on all mail that goes to the next hop: a header field with a secret, by which it knows what came from us.

A rule there asks for it, so that it does not route the mail to the gate again. Whoever knew the secret could pass the
gate by: so the field of any mail that comes in is removed, and a secret can be replaced while both are good.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gatekeeper.delivery.transaction import OnReplies, RelayTransaction
from gatekeeper.lib.renewed import Renewed
from gatekeeper.model import Recipient, Transaction
from gatekeeper.ops.log import event
from gatekeeper.settings import MarkFile, SettingsError
from gatekeeper.smtp.replies import Reply

log = logging.getLogger("gatekeeper.delivery")
_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]{16,200}")
_HEADER_BYTES = 262_144
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:\s*(\S+)", re.MULTILINE)
_EXPECTED = "expected one or two lines of 16 to 200 letters, digits and ._~+/=- each"


class Mark:
    """The field, with the secrets as their file has them now: the first is written, both are known."""

    def __init__(self, setting: MarkFile) -> None:
        """Raises SettingsError where the file cannot be used."""
        self.name = setting.field.encode("ascii")
        try:
            self._secrets = Renewed(partial(_read, setting.path), (setting.path,), log, f"the mark {setting.path}")
        except (OSError, ValueError) as error:
            raise SettingsError(f"--mark: {_say(error)}; {_EXPECTED}") from error

    def field(self) -> bytes:
        """Return the header field, CRLF included."""
        return self.name + b": " + self._secrets.now()[0] + b"\r\n"

    def is_in(self, content: bytes) -> bool:
        """Return True for mail that bears one of the secrets: the next hop has brought it back."""
        end = content.find(b"\r\n\r\n", 0, _HEADER_BYTES)
        header = content[: end if end >= 0 else _HEADER_BYTES]
        name = self.name.lower()
        found = {value for field, value in _FIELD.findall(header) if field.lower() == name}
        return not found.isdisjoint(self._secrets.now())


def _read(path: Path) -> tuple[bytes, ...]:
    """Read the secrets; the error of a bad file does not quote it."""
    lines = path.read_text(encoding="utf-8", errors="replace").split()
    if not 1 <= len(lines) <= 2 or not all(map(_SECRET.fullmatch, lines)):
        raise ValueError(f"{path} is no such file")
    return tuple(line.encode("ascii") for line in lines)


def _say(error: OSError | ValueError) -> str:
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)


def tell_marked(mark: Mark | None, transaction: Transaction) -> None:
    """Log that mail bears the mark which comes in: a rule at the next hop routes what it should let through."""
    if mark is not None and mark.is_in(transaction.content):
        about = {"client": transaction.client.address, "nrcpt": len(transaction.recipients)}
        event("mail that bears our mark came in", about, logging.WARNING)


class MarkedTransaction:
    """A RelayTransaction whose message bears the mark."""

    def __init__(self, transaction: RelayTransaction, mark: Mark) -> None:
        self._transaction, self._mark = transaction, mark

    @property
    def outcome_unknown(self) -> bool:
        """True after `data` where the next hop may have the message and did not answer."""
        return self._transaction.outcome_unknown

    def ask(self, recipients: Sequence[Recipient], then: OnReplies) -> None:
        """Ask about recipients."""
        self._transaction.ask(recipients, then)

    async def data(self, content: bytes | Sequence[bytes]) -> Reply:
        """Send the message behind the mark; return the next hop's final reply."""
        chunks = [content] if isinstance(content, bytes) else content
        return await self._transaction.data([self._mark.field(), *chunks])

    async def abandon(self) -> None:
        """End the transaction without a message."""
        await self._transaction.abandon()
