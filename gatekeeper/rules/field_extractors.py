"""How the values of fields are read from the evidence of a judgment."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from gatekeeper.model import Evidence, Standing
from gatekeeper.rules.field_kinds import UNAVAILABLE, Extractor


def unavailable(evidence: Evidence) -> Any:
    """Return UNAVAILABLE: the judge sets the value."""
    return UNAVAILABLE


def of_the_ledger(read: Callable[[Standing], Any]) -> Extractor:
    """Make the extractor of a field that needs the whole ledger, which the store reads only where needed."""

    def extract(evidence: Evidence) -> Any:
        return read(evidence.standing) if evidence.standing.whole else UNAVAILABLE

    return extract


def clean(text: str | None) -> str | None:
    """Return text that can be encoded: lone surrogates of a hostile header would stop the pattern matcher."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()


def clean_all(texts: Any) -> tuple[str, ...]:
    """Return those of the texts that are not empty, each as `clean` returns it."""
    return tuple(text for text in map(clean, texts) if text)


def network(evidence: Evidence) -> Any:
    """Return the address of the client, an IPv4 address where it is one written as IPv6; None on a unix socket."""
    try:
        address = ipaddress.ip_address(evidence.transaction.client.address)
    except ValueError:  # a client on a unix socket has no IP address
        return None
    return getattr(address, "ipv4_mapped", None) or address


def unsubscribe(evidence: Evidence) -> str | None:
    """Return how a reader may unsubscribe: "one-click" (RFC 8058), "link" (RFC 2369), or None."""
    if not evidence.facts.unsubscribe:
        return None
    return "one-click" if evidence.facts.one_click else "link"


def known(value: Any) -> Any:
    """Return the value; UNAVAILABLE for None."""
    return UNAVAILABLE if value is None else value


def from_allowed(evidence: Evidence) -> Any:
    """Return True where nothing is wrong with who the message says it is from (C5)."""
    problem = evidence.source.from_problem
    return UNAVAILABLE if problem is None else not problem


def consented(evidence: Evidence) -> Any:
    """Return True where everybody has consented who needs to; UNAVAILABLE without a list of consents."""
    unconsented = evidence.counts.unconsented
    return UNAVAILABLE if unconsented is None else unconsented == 0


def attachment_size(evidence: Evidence) -> int:
    """Return the octets of all attachments together."""
    return sum(attachment.size for attachment in evidence.facts.attachments)
