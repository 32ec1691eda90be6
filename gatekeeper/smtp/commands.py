"""Cut commands out of a client's octets (RFC 5321 2.3.8, 4.5.3.1.4), and find runs of pipelined recipients whole."""

from __future__ import annotations

import re

from gatekeeper.smtp.parameters import MailArgument
from gatekeeper.smtp.replies import Reply, reply

BARE = reply(550, "bare CR, bare LF or NUL in a command: expected CR LF at the end of a line only", "5.5.2")
TOO_LONG = reply(500, "command line too long: expected 512 octets, 4096 with parameters", "5.5.2")

_PLAIN_LIMIT = 512  # RFC 5321 4.5.3.1.4, CRLF included
PARAMETERS_LIMIT = 4096  # extensions raise the limit: RFC 1870 3, RFC 3461 4, RFC 6531 3.4
_WITH_PARAMETERS = (b"MAIL", b"RCPT", b"XFOR", b"XCLI")

_SHORT_LINE = re.compile(rb"([^\r\n\0]{0,%d})\r\n" % (_PLAIN_LIMIT - len("\r\n")))
_GOOD_LINE = re.compile(rb"([^\r\n\0]*)\r\n")
_BAD_OCTET = re.compile(rb"\r(?!\n|\Z)|(?<!\r)\n|\0")
# A run of plain RCPT commands, even of thousands, is found by one match, and so is a plain MAIL: only addresses that
# `parse_rcpt` and `parse_mail` would take unchanged, without parameters. IGNORECASE would cost four times as much.
_ADDRESS = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]{1,64}@(?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z0-9\-]{1,63}"
_RCPT = rb"(?:RCPT TO|rcpt to|Rcpt To):<"  # no two alternatives begin alike: nothing is tried twice
_RUN = rb"(?>(?:" + _RCPT + rb"(" + _ADDRESS + rb")>\r\n)+)"  # atomic: no backtracking, whatever follows
_RECIPIENT_RUN = re.compile(_RUN)
_LONE_RECIPIENT = re.compile(_RCPT + rb"(" + _ADDRESS + rb")>\r\n")
_PLAIN_MAIL = re.compile(rb"(?:MAIL FROM|mail from|Mail From):<(" + _ADDRESS + rb")>\r\n")
_BETWEEN_RECIPIENTS = re.compile(r">\r\n[^<>]+<")


class CommandReader:
    """A reader that takes octets, cut anywhere, and returns the commands in them. It does no I/O.

    A bad line reaches to the next CRLF, so that nothing behind a bare LF is run as a command.
    """

    def __init__(self) -> None:
        self._octets = b""
        self._at = 0
        self._dropping = False  # the rest of a bad line is skipped; its reply was given already

    @property
    def pending(self) -> bool:
        """Return True where octets are waiting, of a whole command or of a part of one."""
        return self._at < len(self._octets)

    def feed(self, data: bytes) -> None:
        """Add octets that the client sent."""
        self._octets = self._octets[self._at :] + data if self._at < len(self._octets) else data
        self._at = 0

    def lone_recipient(self, data: bytes) -> str | None:
        """Return the address where octets that the client sent are one plain RCPT, and all that there is; else None."""
        if self._at < len(self._octets) or self._dropping:
            return None
        found = _LONE_RECIPIENT.fullmatch(data)
        return found[1].decode("ascii") if found else None

    def take(self) -> bytes | MailArgument | list[str] | Reply | None:
        """Take the next command, without its CRLF; of plain ones what is in them.

        A plain MAIL or RCPT has an ordinary ASCII address and no parameters. Returns the argument of a plain MAIL, the
        addresses of all plain RCPTs that come next, the reply for a bad line, None where more octets are needed.
        """
        if self._at >= len(self._octets):
            return None
        if not self._dropping:
            if run := _RECIPIENT_RUN.match(self._octets, self._at):
                start, self._at = self._at, run.end()
                is_one = run.start(1) - start == len("RCPT TO:<")  # the last address is the first
                return [run[1].decode("ascii")] if is_one else _addresses(run[0])
            if mail := _PLAIN_MAIL.match(self._octets, self._at):
                self._at = mail.end()
                return MailArgument(mail[1].decode("ascii"))
            if line := _SHORT_LINE.match(self._octets, self._at):
                self._at = line.end()
                return line[1]
        return self._take_odd()

    def _take_odd(self) -> bytes | Reply | None:
        """Take a line that is long, bad, or has not come to its end."""
        while True:
            line = _GOOD_LINE.match(self._octets, self._at)
            end = line.end() if line else self._octets.find(b"\r\n", self._at) + 2
            if end < 2:
                return self._take_unended()
            start, self._at = self._at, end
            if self._dropping:
                self._dropping = False
                continue
            if not line:
                return BARE
            return TOO_LONG if end - start > _limit(line[1]) else line[1]

    def _take_unended(self) -> Reply | None:
        """Return the reply to a line that is bad already, before its end has come; None for a line that may be good."""
        rest = self._octets[self._at :]
        bad = _BAD_OCTET.search(rest)
        if not self._dropping and not bad and len(rest) <= PARAMETERS_LIMIT:
            return None
        answer = None if self._dropping else BARE if bad else TOO_LONG
        # A line that ends with a bare LF, with nothing behind, is over: so a person who types by hand can go on.
        self._dropping = self._dropping or not (bad and bad.end() == len(rest) and rest.endswith(b"\n"))
        self._octets, self._at = b"\r" if rest.endswith(b"\r") else b"", 0
        return answer


def _addresses(run: bytes) -> list[str]:
    text = run[len("RCPT TO:<") : -len(">\r\n")].decode("ascii")
    if text.count("\r") == text.count(">\r\nRCPT TO:<"):
        return text.split(">\r\nRCPT TO:<")
    return _BETWEEN_RECIPIENTS.split(text)


def _limit(line: bytes) -> int:
    return PARAMETERS_LIMIT if line[:4].upper() in _WITH_PARAMETERS else _PLAIN_LIMIT
