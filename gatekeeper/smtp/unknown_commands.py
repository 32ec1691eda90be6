"""Answers commands that are none here. What may be followed by octets that are no commands ends the connection."""

from __future__ import annotations

import re

from gatekeeper.smtp import session_replies as replies
from gatekeeper.smtp.replies import Reply

# Of HTTP, whose body may be a page's choice: of such a request nothing is taken for SMTP. Whatever its method, a
# request's first line ends with the version (RFC 9112 3).
_OF_BROWSERS = frozenset(b"GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PRI".split())
_OF_HTTP = re.compile(rb"(?:^| )HTTP/\d(?:\.\d)? *\Z")
_NOT_OFFERED = frozenset({b"AUTH", b"EXPN", b"TURN", b"ETRN", b"SEND", b"SOML", b"SAML"})


def answer_to_unknown(verb: bytes, argument: bytes) -> tuple[Reply, bool]:
    """Return the reply to a command with this verb, in capitals, and whether the connection ends with it."""
    if verb in _OF_BROWSERS or _OF_HTTP.search(argument):
        return replies.NO_MAIL_CLIENT, True
    if verb == b"BDAT":
        return replies.NOT_OFFERED, True  # RFC 3030 2: the chunk comes without waiting for the reply
    return (replies.NOT_OFFERED if verb in _NOT_OFFERED else replies.UNKNOWN), False
