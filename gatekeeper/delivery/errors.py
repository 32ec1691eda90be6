"""Errors of a next hop. `kind` is the label of the metric gatekeeper_next_hop_errors_total."""

from __future__ import annotations

from gatekeeper.smtp.replies import Reply

KINDS = (
    "dns",  # no answer about the domain of mx://, or none that names a host
    "connect",  # no connection
    "greeting",  # the greeting, EHLO or XCLIENT was refused
    "tls",  # STARTTLS is not offered or failed; the certificate is not the host's, or ours is refused
    "auth",  # the login was refused
    "timeout",  # no answer within the deadline
    "closed",  # the connection was closed, or 421
    "protocol",  # the answer is no SMTP reply, or one that is not allowed there
    "replay",  # asked again after a lost connection, it answered differently
    "unknown",  # lost after the dot: it is unknown whether the message was accepted
    "storage",  # a maildir that cannot be written
)


class NextHopError(Exception):
    """A next hop that cannot be used now; `reply` is its last reply, where there was one."""

    def __init__(self, kind: str, text: str, reply: Reply | None = None) -> None:
        super().__init__(text)
        self.kind, self.reply = kind, reply
