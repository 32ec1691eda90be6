"""Cut commands out of a client's octets (RFC 5321 2.3.8, 4.5.3.1.4), and find runs of pipelined recipients whole."""

from __future__ import annotations

import re

from gatekeeper.smtp.replies import Reply, reply

BARE = reply(550, "bare CR, bare LF or NUL in a command: expected CR LF at the end of a line only", "5.5.2")
TOO_LONG = reply(500, "command line too long: expected 512 octets, 4096 with parameters", "5.5.2")

_PLAIN_LIMIT = 512  # RFC 5321 4.5.3.1.4, CRLF included
PARAMETERS_LIMIT = 4096  # extensions raise the limit: RFC 1870 3, RFC 3461 4, RFC 6531 3.4
_WITH_PARAMETERS = (b"MAIL", b"RCPT", b"XFOR", b"XCLI")

_GOOD_LINE = re.compile(rb"([^\r\n\0]*)\r\n")
_BAD_OCTET = re.compile(rb"\r(?!\n|\Z)|(?<!\r)\n|\0")
# A run of plain RCPT commands, even of thousands, is found by one match: only addresses that `parse_rcpt` would take
# unchanged, without parameters. All else goes through `parse_rcpt`. IGNORECASE would cost four times as much.
_ADDRESS = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]{1,64}@(?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z0-9\-]{1,63}"
_RCPT = rb"(?:RCPT TO|rcpt to|Rcpt To):<"  # no two alternatives begin alike: nothing is tried twice
_RUN = rb"(?>(?:" + _RCPT + _ADDRESS + rb">\r\n)+)"  # atomic: no backtracking, whatever follows
_RECIPIENT_RUN = re.compile(_RUN)
_LONE_RECIPIENT = re.compile(_RCPT + rb"(" + _ADDRESS + rb")>\r\n")
_BETWEEN_RECIPIENTS = re.compile(r">\r\n[^<>]+<")
_LONE_SENDER = re.compile(rb"(?:MAIL FROM|mail from|Mail From):<(" + _ADDRESS + rb")>\r\n")
_LONE_MAIL = re.compile(rb"MAIL (FROM:[^\r\n\0]{1,400})\r\n", re.IGNORECASE)
_LONE_GROUP = re.compile(rb"(MAIL FROM:[^\r\n\0]{1,400}\r\n)(" + _RUN + rb")DATA\r\n")
_LONE_HELLO = re.compile(rb"([Ee][Hh]|[Hh][Ee])[Ll][Oo] ([!-~]{1,255})\r\n")


def lone_recipient(octets: bytes) -> str | None:
    """Return the address where the octets are exactly one RCPT that `take_recipients` would take; else None."""
    found = _LONE_RECIPIENT.fullmatch(octets)
    return found[1].decode("ascii") if found else None


def lone_sender(octets: bytes) -> str | None:
    """Return the address where the octets are exactly one MAIL of an ordinary address without parameters; else None."""
    found = _LONE_SENDER.fullmatch(octets)
    return found[1].decode("ascii") if found else None


def lone_mail(octets: bytes) -> bytes | None:
    """Return the argument where the octets are exactly one MAIL of ordinary length; else None."""
    found = _LONE_MAIL.fullmatch(octets)
    return found[1] if found else None


def lone_group(octets: bytes) -> tuple[bytes, list[str]] | None:
    """Return MAIL's line and the addresses of RCPT where the octets are exactly MAIL, RCPTs and DATA; else None."""
    found = _LONE_GROUP.fullmatch(octets)
    return (found[1], _addresses(found[2])) if found else None


def _addresses(run: bytes) -> list[str]:
    text = run[len("RCPT TO:<") : -len(">\r\n")].decode("ascii")
    if text.count("\r") == text.count(">\r\nRCPT TO:<"):
        return text.split(">\r\nRCPT TO:<")
    return _BETWEEN_RECIPIENTS.split(text)


def lone_hello(octets: bytes) -> tuple[str, bool] | None:
    """Return the client's name, and True for EHLO, where the octets are exactly one HELO or EHLO; else None."""
    found = _LONE_HELLO.fullmatch(octets)
    return (found[2].decode("ascii"), found[1].upper() == b"EH") if found else None


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

    @property
    def recipient_next(self) -> bool:
        """Return True where the next command has arrived whole and is a RCPT: the client pipelines."""
        return self._octets[self._at : self._at + 4].upper() == b"RCPT" and self._octets.find(b"\r\n", self._at) >= 0

    def feed(self, data: bytes) -> None:
        """Add octets that the client sent."""
        self._octets = self._octets[self._at :] + data if self.pending else data
        self._at = 0

    def take_recipients(self) -> list[str]:
        """Take the plain RCPT commands that come next (ordinary ASCII address, no parameters).

        Returns the addresses.
        """
        run = None if self._dropping else _RECIPIENT_RUN.match(self._octets, self._at)
        if not run:
            return []
        self._at = run.end()
        return _addresses(run[0])

    def take(self) -> bytes | Reply | None:
        """Take the next command, without its CRLF.

        Returns the reply for a bad line, None where more octets are needed.
        """
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


def _limit(line: bytes) -> int:
    return PARAMETERS_LIMIT if line[:4].upper() in _WITH_PARAMETERS else _PLAIN_LIMIT
