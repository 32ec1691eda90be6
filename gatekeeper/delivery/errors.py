"""What goes wrong at a next hop. `kind` is the label of the metric gatekeeper_next_hop_errors_total."""

from __future__ import annotations

from gatekeeper.smtp.replies import Reply

KINDS = (
    "dns",  # no answer about the domain of mx://, or none that names a host
    "connect",  # no connection
    "greeting",  # it does not want us: greeting, EHLO or XCLIENT refused
    "tls",  # STARTTLS is not offered or failed, or the certificate is not the host's
    "auth",  # the login was refused
    "timeout",  # no answer within the deadline
    "closed",  # the connection was closed, or 421
    "protocol",  # what it said is no reply, or none that can be given there
    "replay",  # asked again after a loss, it answered otherwise
    "unknown",  # lost after the dot: nobody knows whether the message was taken
    "storage",  # a maildir that cannot be written
)


class NextHopError(Exception):
    """A next hop that cannot be used now; `reply` is the last thing it said, where it said anything."""

    def __init__(self, kind: str, text: str, reply: Reply | None = None) -> None:
        super().__init__(text)
        self.kind, self.reply = kind, reply
