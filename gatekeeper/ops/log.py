"""Writes the log: a line an event that a mail admin can grep, or a JSON object a line.

`smtp 5f1c09 from=<a@example.gov> nrcpt=2400 size=5120 status=held rules=approval mailing=M-17 client=192.0.2.1 ...`

Where journald reads the lines, each begins with its priority (sd-daemon(3)), which journald takes away.

No value can break out of its line: what is not printable is escaped. Addresses are as an MTA's log has them, or keyed
hashes (`--log-addresses hashed`), which tell two apart without telling whose they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import TextIO

from gatekeeper.lib.url_passwords import without_passwords
from gatekeeper.model import Action
from gatekeeper.settings import Ops

STATUSES: Mapping[Action, str] = {
    Action.RELAY: "relayed",
    Action.WARN: "warned",
    Action.DEFER: "deferred",
    Action.HOLD: "held",
    Action.REJECT: "rejected",
}
_LOGGER = logging.getLogger("gatekeeper")
_is_plain = re.compile(r"[A-Za-z0-9.,:;@_+\-/<>()\[\]*#%&!?~$^|{}']*").fullmatch
_OF_LOCAL_PART = r"""[^\s<>()\[\],;:"=@\\]"""
_IN_TEXT = re.compile(  # a local part is begun where its characters begin, else it would be tried from each of them
    rf"""(?:"(?:[^"\\]|\\.){{1,300}}"|(?<!{_OF_LOCAL_PART}){_OF_LOCAL_PART}++)"""
    r"""@(?:\[[^\]\s]{1,80}\]|[\w.-]{0,300}\w)"""
)
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_LONGEST_VALUE = 1000  # characters; a Message-ID may be as long as a header


class Address(str):
    """Marks a text as somebody's address: it is logged between brackets, hashed where the setting says so."""

    __slots__ = ()


class Id(str):
    """Marks the first field as the name of what a line is about: text has it behind the subject, without `id=`."""

    __slots__ = ()


@dataclass(slots=True)
class TransactionLine:
    """The log line of one transaction.

    (Not frozen, which takes a third of the time to make: there is one a message.)
    """

    id: str  # as in the Received field that the gate adds
    listener: str
    sender: str
    recipients: int
    size: int  # octets
    status: str  # one of STATUSES
    client: str
    rules: tuple[str, ...] = ()
    mailing: str | None = None
    login: str | None = None
    message_id: str | None = None
    reply: str = ""  # what the client was told
    relay: str = ""  # what the next hop said, where it was asked
    observed: str = ""  # what the status would have been, had the gate not only observed
    watched: tuple[str, ...] = ()  # rules that are only observed, and matched
    repeated: bool = False  # a resend of a batch that is kept already
    delay: float = 0.0  # seconds from the final dot to our reply
    trace: str = ""  # trace id of OpenTelemetry, where spans are exported


def transaction(line: TransactionLine) -> None:
    """Log one transaction at info."""
    if not _LOGGER.isEnabledFor(logging.INFO):
        return
    fields: dict[str, object] = {
        "id": Id(line.id),
        "from": Address(line.sender),
        "nrcpt": line.recipients,
        "size": line.size,
        "status": line.status,
        "rules": ",".join(line.rules),
        "mailing": line.mailing or "",
        "client": line.client,
        "login": Address(line.login) if line.login else "",
        "msgid": f"<{line.message_id}>" if line.message_id else "",
        "reply": line.reply,
        "relay": line.relay,
        "observed": line.observed,
        "watched": ",".join(line.watched),
        "repeated": "yes" if line.repeated else "",
        "delay": f"{line.delay:.3f}",
        "trace": line.trace,
    }
    always = ("from", "rules", "mailing")  # so that a grep for what is empty finds it
    event(line.listener, {k: v for k, v in fields.items() if v != "" or k in always})


def event(
    subject: str,
    fields: Mapping[str, object] = {},
    level: int = logging.INFO,
    error: BaseException | None = None,
) -> None:
    """Log `subject` with fields, `name=value` each, and the traceback of `error`. Wrap an address in `Address`."""
    if not _LOGGER.isEnabledFor(level):
        return
    only = _LOGGER.handlers[0] if len(_LOGGER.handlers) == 1 and not _LOGGER.propagate else None
    if isinstance(only, _Handler) and error is None:
        only.say(level, subject, fields)  # as the record below would, which takes longer to make than to write
    else:
        extra = {"subject": subject, "fields": dict(fields)}
        _LOGGER.log(level, "%s", _in_words(subject, fields), exc_info=error, extra=extra)


def _in_words(subject: str, fields: Mapping[str, object]) -> str:
    """Return what other programs' handlers show of a line: no addresses, which only ours hash, and no password."""
    pairs = (_pair(name, value) for name, value in fields.items() if not isinstance(value, Address))
    return without_passwords(" ".join([subject, *pairs]))


def configure(settings: Ops, key: bytes = b"", stream: TextIO | None = None) -> None:
    """Send the log to `stream` (standard error where None) in the format that the settings ask for.

    Args: `key` keys the hashes of addresses; keep it to be able to compare logs over restarts. Without one a key is
    made up for this process.
    """
    is_hashed = settings.log_addresses == "hashed"
    show = hashed(key or secrets.token_bytes(16)) if is_hashed else plain_address
    kind = JsonFormatter if settings.log_format == "json" else TextFormatter
    formatter = kind(show, partial(hashed_in, show=show) if is_hashed else str)
    _LOGGER.handlers[:] = [_Handler(stream or sys.stderr, formatter)]
    _LOGGER.setLevel(settings.log_level.upper())
    _LOGGER.propagate = False


# -- addresses ---------------------------------------------------------------------------------------------------


def plain_address(address: str) -> str:
    """Return the address as it is."""
    return f"<{address}>"


def hashed(key: bytes) -> Callable[[str], str]:
    """Return a function that makes a keyed hash of 64 bits of an address; the null sender stays `<>`."""

    def show(address: str) -> str:
        digest = hashlib.blake2b(address.lower().encode("utf-8", "replace"), key=key[:64], digest_size=8)
        return f"<{'#' + digest.hexdigest() if address else ''}>"

    return show


def hashed_in(text: str, show: Callable[[str], str]) -> str:
    """Return a text with every address in it hashed, without brackets: replies of a next hop name addresses."""
    if "@" not in text:
        return text
    return _IN_TEXT.sub(lambda found: show(found[0])[1:-1], text)


# -- lines -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)  # many lines a second have it
def _second(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class _Formatter(logging.Formatter):
    def __init__(self, show_address: Callable[[str], str], show_text: Callable[[str], str] = str) -> None:
        super().__init__()
        self._show_address = show_address
        self._show_text: Callable[[str], str] = lambda text: show_text(without_passwords(text))

    def format(self, record: logging.LogRecord) -> str:
        traced = self.formatException(record.exc_info) if record.exc_info else ""
        subject = getattr(record, "subject", None) or record.getMessage()
        fields = getattr(record, "fields", {})
        return self.line(record.created, record.levelname.lower(), subject, fields, traced)

    def line(self, at: float, level: str, subject: str, fields: Mapping[str, object], traced: str = "") -> str:
        raise NotImplementedError

    def _shown(self, name: str, value: object) -> object:
        if not isinstance(value, str):
            return value
        if isinstance(value, Address):
            return self._show_address(value)
        return value if name == "msgid" or isinstance(value, Id) else self._show_text(value)


def _time(at: float) -> str:
    return f"{_second(int(at))}.{int(at % 1 * 1000):03d}Z"


class TextFormatter(_Formatter):
    """`TIME level subject name=value ...`; the lines of a traceback follow, each after a tab."""

    def line(self, at: float, level: str, subject: str, fields: Mapping[str, object], traced: str = "") -> str:
        pairs = [_pair(name, self._shown(name, value)) for name, value in fields.items()]
        line = " ".join([_time(at), level, _escaped(self._show_text(subject)), *pairs])
        return "\n\t".join([line, *map(_escaped, self._show_text(traced).splitlines())]) if traced else line


class JsonFormatter(_Formatter):
    """One object a line: time, level, event, the fields, and `error` with the traceback where there is one."""

    def line(self, at: float, level: str, subject: str, fields: Mapping[str, object], traced: str = "") -> str:
        document: dict[str, object] = {"time": _time(at), "level": level, "event": self._show_text(subject)}
        document |= {name: self._shown(name, value) for name, value in fields.items()}
        if traced:
            document["error"] = self._show_text(traced)
        return json.dumps(document, default=str)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines as they come, those of one turn of an event loop in one piece; warnings and worse at once."""

    def __init__(self, stream: TextIO, formatter: _Formatter) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)
        self._has_priorities = _is_of_journal(stream)
        self._formatter = formatter
        self._waiting: list[str] = []
        self._turn: asyncio.AbstractEventLoop | None = None  # the loop that writes what waits as its turn ends

    def emit(self, record: logging.LogRecord) -> None:
        self._put(record.levelno, self.format(record))

    def say(self, level: int, subject: str, fields: Mapping[str, object]) -> None:
        """Write a line without making a log record."""
        line = self._formatter.line(time.time(), logging.getLevelName(level).lower(), subject, fields)
        self.acquire()
        try:
            self._put(level, line)
        finally:
            self.release()

    def _put(self, level: int, line: str) -> None:
        if self._has_priorities:
            mark = f"<{_PRIORITIES.get(level, 6)}>"
            line = mark + line.replace("\n", f"\n{mark}")  # a line of a traceback is an entry of its own
        self._waiting.append(line + self.terminator)
        loop = asyncio._get_running_loop()
        if loop is None or level >= logging.WARNING:
            self.flush()
        elif loop is not self._turn:
            self._turn = loop
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write the lines that wait; a log that cannot be written stops no mail."""
        self.acquire()
        try:
            lines, self._waiting, self._turn = self._waiting, [], None
            if lines:
                with suppress(OSError, ValueError):
                    self.stream.write("".join(lines))
                    self.stream.flush()
        finally:
            self.release()


def _is_of_journal(stream: TextIO) -> bool:
    """Return True where journald reads the stream: systemd names the socket that it has given to the service."""
    with suppress(OSError, ValueError):
        status = os.fstat(stream.fileno())
        return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    return False


def _pair(name: str, value: object) -> str:
    return _escaped(value) if isinstance(value, Id) else f"{name}={_quoted(str(value))}"


def _quoted(value: str) -> str:
    value = value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "..."
    if _is_plain(value):
        return value
    return '"' + _escaped(value.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
