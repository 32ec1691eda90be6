"""Read and check the arguments of MAIL and RCPT (RFC 5321 4.1.2): path and ESMTP parameters, kept as they were given.

Paths are read as tolerantly as mail servers read them: a space behind the colon, a path without brackets, dots where
RFC 5321 allows none. The next hop gets the path as it came in, without a source route (appendix C).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Recipient
from gatekeeper.smtp.replies import Reply, reply

_LOCAL_OCTETS = 255  # RFC 5321 4.5.3.1.1 says 64; longer ones (VERP, SRS) are common
_DOMAIN_OCTETS = 255  # RFC 5321 4.5.3.1.2
_ENVID_CHARACTERS = 100  # RFC 3461 4.4
_ORCPT_CHARACTERS = 500  # RFC 3461 4.2


class ArgumentError(ValueError):
    """A command's argument that cannot be taken; `reply` is the answer to the client."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(str(answer))
        self.reply = answer


@immutable
class MailArgument:
    """The argument of MAIL: the reverse-path without brackets ("" for the null one), parameters in canonical case."""

    address: str
    parameters: tuple[str, ...] = ()

    @property
    def utf8(self) -> bool:
        """Return True where the transaction may hold addresses and header fields in UTF-8 (RFC 6531)."""
        return "SMTPUTF8" in self.parameters

    @property
    def size(self) -> int:
        """Return the size that the client declared, in octets; 0 where it declared none (RFC 1870)."""
        return next((int(each[5:]) for each in self.parameters if each.startswith("SIZE=")), 0)


def parse_mail(argument: str, offered: Collection[str], limit: int) -> MailArgument:
    """Read what follows `MAIL `: `FROM:<a@example.gov> SIZE=1000`.

    Args: `offered` are the EHLO keywords that the client was given; `limit` is the largest SIZE taken, in octets.
    Raises ArgumentError: 501 for a malformed argument, 555 for a parameter that is not offered, 552 for a message that
    is too large, 553 for UTF-8 that was not announced.
    """
    path, rest = _split(argument, "FROM", "5.1.7")
    parameters = _read_parameters(rest, _MAIL_PARAMETERS, offered)
    mail = MailArgument("" if path == "" else _read_path(path, "5.1.7", "SMTPUTF8" in parameters), parameters)
    if mail.size > limit:
        raise ArgumentError(reply(552, f"message too large: at most {limit} octets are taken", "5.3.4"))
    return mail


def parse_rcpt(argument: str, offered: Collection[str], utf8: bool) -> Recipient:
    """Read what follows `RCPT `: `TO:<a@example.gov> NOTIFY=NEVER`.

    Args: `offered` as for `parse_mail`; `utf8` is True where MAIL said SMTPUTF8. Raises ArgumentError as `parse_mail`.
    """
    path, rest = _split(argument, "TO", "5.1.3")
    if path.lower() == "postmaster":  # RFC 5321 4.1.1.3: the one address without a domain
        return Recipient(path, _read_parameters(rest, _RCPT_PARAMETERS, offered))
    return Recipient(_read_path(path, "5.1.3", utf8), _read_parameters(rest, _RCPT_PARAMETERS, offered))


# -- paths -------------------------------------------------------------------------------------------------------

_BRACKETED = re.compile(r'<((?>[^<>"\\]++|"(?>[^"\\]++|\\.)*+"|\\.)*+)>')
_BARE = re.compile(r"([^\s<>]+)")
_LABEL = r"[A-Za-z0-9_\-\u0080-\U0010ffff]+"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_LITERAL = r"\[[A-Za-z0-9.:\-]+\]"
_DOTTED = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-\u0080-\U0010ffff]+"
_QUOTED = r'"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"'
_MAILBOX = re.compile(rf"({_DOTTED}|{_QUOTED})@({_DOMAIN}|{_LITERAL})")
_ROUTE = re.compile(rf"@{_DOMAIN}(?:,@{_DOMAIN})*:")
_SIMPLE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]{1,64}@(?:[A-Za-z0-9_\-]{1,63}\.){1,8}[A-Za-z0-9_\-]{1,63}")


def _split(argument: str, keyword: str, enhanced: str) -> tuple[str, str]:
    """Split `FROM:<path> rest` into path and rest. Raises ArgumentError."""
    head, colon, tail = argument.partition(":")
    if not colon or head.strip().upper() != keyword:
        raise ArgumentError(reply(501, f"expected {keyword}:<address>", "5.5.4"))
    tail = tail.lstrip(" ")
    path = _BRACKETED.match(tail) if tail.startswith("<") else _BARE.match(tail)
    if not path:
        raise ArgumentError(reply(501, "malformed address: expected <local-part@domain>", enhanced))
    rest = tail[path.end() :]
    if rest and not rest.startswith(" "):
        raise ArgumentError(reply(501, "malformed address: expected a space or nothing behind it", enhanced))
    return path[1], rest


def _read_path(path: str, enhanced: str, utf8: bool) -> str:
    """Check a mailbox and return it without a source route. Raises ArgumentError."""
    if _SIMPLE.fullmatch(path):
        return path
    route = _ROUTE.match(path)
    address = path[route.end() :] if route else path
    if not utf8 and not address.isascii():
        raise ArgumentError(reply(553, "address not in ASCII: expected SMTPUTF8 with MAIL", "5.6.7"))
    mailbox = _MAILBOX.fullmatch(address)
    if not mailbox:
        raise ArgumentError(reply(501, "malformed address: expected <local-part@domain>", enhanced))
    if len(mailbox[1].encode()) > _LOCAL_OCTETS or len(mailbox[2].encode()) > _DOMAIN_OCTETS:
        raise ArgumentError(reply(501, f"address too long: expected at most {_LOCAL_OCTETS} octets a side", enhanced))
    return address


# -- parameters --------------------------------------------------------------------------------------------------

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([^\x00- =\x7f]+))?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_XTEXT_OCTET = re.compile(rb"\+([0-9A-F]{2})")
_ORCPT = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*);(.+)")
_UTF8_ADDRESS = re.compile(r"(?:[!-*,-<>-\[\]-~\u0080-\U0010ffff]|\\x\{[0-9A-F]{2,6}\}|\+[0-9A-F]{2})*")  # RFC 6533 3

_ValueReader = Callable[[str], str | None]  # returns a value's canonical form; None for a malformed value
_KnownParameters = dict[str, tuple[str, _ValueReader | None]]  # parameter -> EHLO keyword, reader of the value


def decode_xtext(text: str) -> str | None:
    """Decode xtext (RFC 3461 4), its octets as UTF-8. Returns None for malformed xtext."""
    if not _XTEXT.fullmatch(text):
        return None
    octets = _XTEXT_OCTET.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode())
    return octets.decode("utf-8", "replace")


def original_address(parameters: Iterable[str]) -> str:
    """Return the address that ORCPT says a recipient was written as (RFC 3461 4.2); "" where it says none."""
    for parameter in parameters:
        if parameter[:6].upper() == "ORCPT=":
            kind, _, encoded = parameter[6:].partition(";")
            if kind.lower() == "rfc822":
                return decode_xtext(encoded) or ""
            return encoded if kind.lower() == "utf-8" else ""
    return ""


def _read_parameters(text: str, known: _KnownParameters, offered: Collection[str]) -> tuple[str, ...]:
    if not text.strip():
        return ()
    taken: dict[str, str] = {}
    for word in text.split():
        keyword, value = _split_parameter(word)
        if keyword in taken:
            raise ArgumentError(reply(501, f"{keyword} given twice: expected it once", "5.5.4"))
        taken[keyword] = _read_parameter(keyword, value, known, offered)
    return tuple(taken.values())


def _split_parameter(word: str) -> tuple[str, str | None]:
    match = _PARAMETER.fullmatch(word)
    if not match:
        raise ArgumentError(reply(501, f"malformed parameter {word[:60]}: expected KEYWORD or KEYWORD=value", "5.5.4"))
    return match[1].upper(), match[2]


def _read_parameter(keyword: str, value: str | None, known: _KnownParameters, offered: Collection[str]) -> str:
    extension, read = known.get(keyword, (None, None))
    if extension not in offered:
        raise ArgumentError(reply(555, f"parameter {keyword[:60]} is not offered here", "5.5.4"))
    if read is None and value is None:
        return keyword
    canonical = read(value) if read and value is not None else None
    if canonical is None:
        raise ArgumentError(reply(501, f"malformed value of parameter {keyword}", "5.5.4"))
    return f"{keyword}={canonical}"


def _word(*choices: str) -> _ValueReader:
    return lambda value: value.upper() if value.upper() in choices else None


def _size(value: str) -> str | None:
    return value if value.isascii() and value.isdigit() and len(value) <= 20 else None  # RFC 1870 4


def _envid(value: str) -> str | None:
    decoded = decode_xtext(value)
    if decoded is None or len(value) > _ENVID_CHARACTERS or not (decoded.isascii() and decoded.isprintable()):
        return None
    return value


def _notify(value: str) -> str | None:
    words = value.upper().split(",")
    known = words == ["NEVER"] or set(words) <= {"SUCCESS", "FAILURE", "DELAY"}
    return ",".join(words) if known and len(set(words)) == len(words) else None


def _orcpt(value: str) -> str | None:
    match = _ORCPT.fullmatch(value)
    if not match or len(value) > _ORCPT_CHARACTERS:
        return None
    if match[1].lower() == "utf-8":
        return value if _UTF8_ADDRESS.fullmatch(match[2]) else None
    decoded = decode_xtext(match[2])
    return value if decoded is not None and decoded.isprintable() else None


_MAIL_PARAMETERS: _KnownParameters = {
    "SIZE": ("SIZE", _size),
    "BODY": ("8BITMIME", _word("7BIT", "8BITMIME")),
    "SMTPUTF8": ("SMTPUTF8", None),
    "RET": ("DSN", _word("FULL", "HDRS")),
    "ENVID": ("DSN", _envid),
}
_RCPT_PARAMETERS: _KnownParameters = {
    "NOTIFY": ("DSN", _notify),
    "ORCPT": ("DSN", _orcpt),
}


# -- XFORWARD and XCLIENT ----------------------------------------------------------------------------------------

XFORWARD = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
XCLIENT = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "REVERSE_NAME")
_UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")


def parse_attributes(argument: str, known: Collection[str]) -> dict[str, str]:
    """Read what follows `XFORWARD ` or `XCLIENT ` (Postfix XFORWARD_README, XCLIENT_README), xtext decoded.

    A value that the peer does not know becomes "". An address loses its "IPV6:". Raises ArgumentError (501).
    """
    attributes = {}
    for word in argument.split():
        name, equals, value = word.partition("=")
        name = name.upper()
        if not equals or name not in known:
            raise ArgumentError(reply(501, f"unknown attribute {name[:60]}: expected NAME=value", "5.5.4"))
        attributes[name] = _read_attribute(name, value)
    if not attributes:
        raise ArgumentError(reply(501, "expected attributes such as NAME=value", "5.5.4"))
    return attributes


def _read_attribute(name: str, value: str) -> str:
    if value.upper() in _UNKNOWN:
        return ""
    decoded = decode_xtext(value)
    if decoded is None or not decoded.isprintable() or len(decoded) > 255:
        raise ArgumentError(reply(501, f"malformed value of attribute {name}: expected xtext", "5.5.4"))
    plain = decoded[5:] if name == "ADDR" and decoded[:5].upper() == "IPV6:" else decoded
    return _check_attribute(name, plain)


def _check_attribute(name: str, value: str) -> str:
    """Return the value. Raises ArgumentError where an address is no IP address or a port no number."""
    bad_port = name == "PORT" and not (value.isascii() and value.isdigit() and int(value) <= 65535)
    if bad_port or (name == "ADDR" and not _is_address(value)):
        raise ArgumentError(reply(501, f"malformed value of attribute {name}", "5.5.4"))
    return value


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
