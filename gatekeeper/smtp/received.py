"""Write the Received field that the gate puts before a message (RFC 5321 4.4), and count those of a message."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache

from gatekeeper.model import Transaction

MOST_HOPS = 50  # Received fields
_UNFIT = re.compile(r"[^A-Za-z0-9.:_\-\[\]]")  # characters that would end an atom, open a comment or fold the field
_ID = re.compile(rb" id ([A-Za-z0-9]+);\r\n\t[^\r\n]*\r\n\Z")
_HEADER_BYTES = 262_144  # octets in which trace fields are counted; a longer header is a defect of its own
_TRACE_FIELD = re.compile(rb"^Received[ \t]*:", re.IGNORECASE | re.MULTILINE)


def received_field(transaction: Transaction, hostname: str, now: datetime, id: str) -> bytes:
    """Build the Received field of a transaction, CRLF included (RFC 5321 4.4); no recipient is named in it.

    Args: `hostname` is the gate's own name, `now` an aware time, `id` the transaction's id in the log, "" without one.
    """
    client = transaction.client
    way = _way(client.helo, client.name, client.address, hostname, _protocol(transaction))
    named = f" id {_atom(id)}" if id else ""
    return f"{way}{named};\r\n\t{_date(now.replace(microsecond=0), now.utcoffset())}\r\n".encode("ascii")


def id_of(field: bytes) -> str:
    """Return the id that `received_field` wrote into a field; "" for none."""
    found = _ID.search(field)
    return found[1].decode("ascii") if found else ""


@lru_cache(maxsize=256)  # a few mail servers send nearly all mail
def _way(helo: str, name: str, address: str, hostname: str, protocol: str) -> str:
    peer = _peer(name, address)
    return f"Received: from {_atom(helo) or 'unknown'} ({peer})\r\n\tby {_atom(hostname)} with {protocol}"


@lru_cache(maxsize=4)  # many messages share one second
def _date(now: datetime, _offset: timedelta | None) -> str:
    """Format a time. The offset belongs to the cache key, because equal times of two zones are written differently."""
    return format_datetime(now)


def is_looping(content: bytes) -> bool:
    """Return True for a message with more than MOST_HOPS Received fields, which must be in a loop (RFC 5321 6.3)."""
    end = content.find(b"\r\n\r\n", 0, _HEADER_BYTES)
    lines = content.count(b"\n", 0, end if end >= 0 else _HEADER_BYTES)
    return lines >= MOST_HOPS and count_received(content) > MOST_HOPS  # a quick test first: short headers have too few


def count_received(content: bytes) -> int:
    """Count the Received fields of a message's header, one for each hop the message has taken (RFC 5321 6.3)."""
    if content.startswith(b"\r\n"):
        return 0  # there is no header
    end = content.find(b"\r\n\r\n", 0, _HEADER_BYTES)
    return len(_TRACE_FIELD.findall(content, 0, end if end >= 0 else _HEADER_BYTES))


def _peer(name: str, address: str) -> str:
    known = _atom(name) or "unknown"
    if not address:
        return known
    prefix = "IPv6:" if ":" in address else ""
    return f"{known} [{prefix}{_atom(address)}]"


def _protocol(transaction: Transaction) -> str:
    protocol = _atom(transaction.client.protocol) or "SMTP"
    if "SMTPUTF8" in transaction.parameters and protocol.startswith("ESMTP"):
        return "UTF8" + protocol[1:]  # RFC 6531 4.3: UTF8SMTP, UTF8SMTPS
    return protocol


def _atom(text: str) -> str:
    return _UNFIT.sub("?", text)[:255]
