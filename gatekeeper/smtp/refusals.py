"""Says in a word why mail was refused before any rule was asked, for the metric: a closed vocabulary."""

from __future__ import annotations

from gatekeeper.smtp.replies import Reply

STAGES = ("connect", "command", "mail", "rcpt", "data")
_OTHER = "other"
PEER, TLS = "peer", "tls"  # of replies whose status code others share
_REASONS = {  # by enhanced status code (RFC 3463)
    **dict.fromkeys(("5.7.0", "5.7.1"), "not-allowed"),
    **dict.fromkeys(("5.1.3", "5.1.7", "5.6.7"), "address"),
    **dict.fromkeys(("4.5.3", "5.5.3"), "recipients"),
    **dict.fromkeys(("5.5.1", "5.5.2", "5.5.4"), "syntax"),
    "5.1.1": "unknown",
    "5.3.4": "size",
    "5.4.6": "hops",
    "4.3.1": "storage",
    "4.3.2": "busy",
    "4.4.2": "slow",
    "4.7.0": "limit",
    "4.3.0": "fault",
}
REASONS = (*dict.fromkeys(_REASONS.values()), PEER, TLS, _OTHER)


def reason_of(reply: Reply) -> str:
    """Return the word for a reply that refuses something."""
    return reply.reason or _REASONS.get(reply.enhanced or "", _OTHER)
