"""The replies of a session to commands, as far as they are always the same (RFC 5321 4.2, RFC 3463)."""

from __future__ import annotations

from functools import lru_cache

from gatekeeper.smtp.replies import Reply, reply

OK = reply(250, "ok", "2.0.0")
BYE = reply(221, "bye", "2.0.0")
GO_AHEAD = Reply(354, ("End data with <CR><LF>.<CR><LF>",))
SENDER_OK = reply(250, "sender ok", "2.1.0")
RECIPIENT_OK = reply(250, "recipient ok", "2.1.5")
CANNOT_VERIFY = reply(252, "cannot verify, send and see", "2.1.5")
HELP = reply(214, "RFC 5321; this is a mail gate, ask your administrator", "2.0.0")

# out of order
SAY_HELLO = reply(503, "expected EHLO first", "5.5.1")
SAY_MAIL = reply(503, "expected MAIL first", "5.5.1")
SAY_RCPT = reply(503, "expected RCPT first", "5.5.1")
NESTED = reply(503, "expected the transaction to end before the next: DATA or RSET", "5.5.1")
ENCRYPTED = reply(503, "encrypted already", "5.5.1")
NO_VALID = reply(554, "no valid recipients", "5.5.1")

# malformed
NOT_OFFERED = reply(502, "command not offered here", "5.5.1")
UNKNOWN = reply(500, "command not known", "5.5.2")
NO_ARGUMENT = reply(501, "expected no argument", "5.5.4")
NO_NAME = reply(501, "expected the name of your host", "5.5.4")
NO_PATH = reply(501, "expected TO:<address>", "5.5.4")
NOT_TEXT = reply(501, "argument is not UTF-8", "5.5.4")

# not allowed
NOT_YOURS = reply(550, "this command is not for your network", "5.7.0")
SENDER_REFUSED = reply(
    550, "sender not let in: use an address in one of the organisation's domains, or ask the administrator", "5.7.1"
)
TOO_MANY_RECIPIENTS = reply(452, "too many recipients: send the others in another transaction", "4.5.3")

# the last reply of a connection
GOING_DOWN = reply(421, "going down, try again later", "4.3.2")
TOO_SLOW = reply(421, "nothing came in time, closing the connection", "4.4.2")
FAULT = reply(421, "a fault of the gate, try again later", "4.3.0")
NO_MAIL_CLIENT = reply(421, "this is a mail server: expected SMTP, closing the connection", "4.7.0")
TOO_MANY_COMMANDS = reply(421, "too many commands without a message, closing the connection", "4.7.0")
TOO_MANY_ERRORS = reply(421, "too many errors, closing the connection", "4.7.0")
EARLY = reply(554, "input before the greeting: expected a client that waits for it", "5.5.1")
PAST_DATA = reply(554, "input behind DATA: expected a client that waits for the reply", "5.5.1")
PAST_TLS = reply(554, "input behind STARTTLS: expected a client that waits for the reply", "5.5.1")


@lru_cache
def greeting(hostname: str) -> Reply:
    """Return the reply that a session begins with, on a host of that name."""
    return Reply(220, (f"{hostname} ESMTP Gatekeeper",))


@lru_cache
def helo_reply(hostname: str) -> Reply:
    """Return the reply to HELO, on a host of that name."""
    return Reply(250, (hostname,))
