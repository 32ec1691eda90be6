"""MAIL and RCPT as a next hop is told them: parameters that it does not offer are left out, or the command refused.

The SMTP listener offers only what every next hop offers, so a client of ours seldom meets these rules; they decide when
a next hop changed its offers since, and for mail that is released later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gatekeeper.model import Client, Recipient
from gatekeeper.smtp.replies import Reply, reply

_NEEDS = {  # parameter -> what must be offered for it
    "SIZE": "SIZE",  # RFC 1870
    "BODY": "8BITMIME",  # RFC 6152
    "SMTPUTF8": "SMTPUTF8",  # RFC 6531
    "AUTH": "AUTH",  # RFC 4954 5
    "RET": "DSN",  # RFC 3461 5.2.2: relayed without, where the next hop cannot
    "ENVID": "DSN",
    "NOTIFY": "DSN",
    "ORCPT": "DSN",
}
_NO_UTF8_ADDRESS = reply(553, "The next mail server does not take addresses beyond ASCII", "5.6.7")  # RFC 6531 3.5
_NO_UTF8_HEADER = reply(550, "The next mail server does not take headers beyond ASCII", "5.6.9")
_NO_8BIT = reply(554, "The next mail server does not take 8-bit messages, and we convert none", "5.6.3")
MISSING_EXTENSION = {
    _NO_UTF8_ADDRESS: "SMTPUTF8",
    _NO_UTF8_HEADER: "SMTPUTF8",
    _NO_8BIT: "8BITMIME",
}  # what would have done
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BRACKET = re.compile(r"[<> ]")
_is_plain = re.compile(r"[!-;=?-~]*").fullmatch  # printable ASCII but space and angle brackets
_PLAIN = bytes(octet for octet in range(ord("!"), ord("~") + 1) if chr(octet) not in "<>")
_NOT_XTEXT = re.compile(rb"[^!-*,-<>-~]")


def mail_command(sender: str, parameters: Sequence[str], offers: Mapping[str, str]) -> str | Reply:
    """The MAIL command for a next hop with these offers, or the reply that refuses it."""
    return _command("MAIL FROM", sender, parameters, offers)


def rcpt_command(recipient: Recipient, offers: Mapping[str, str]) -> str | Reply:
    """The RCPT command for a next hop with these offers, or the reply that refuses it."""
    return _command("RCPT TO", recipient.address, recipient.parameters, offers)


def plain_rcpt_commands(recipients: Sequence[Recipient]) -> bytes | None:
    """The RCPT commands for all of them, as they go over the wire; None where `rcpt_command` is to look at each."""
    if not recipients:
        return b""
    addresses = [recipient.address for recipient in recipients if not recipient.parameters]
    joined = "".join(addresses)
    if len(addresses) < len(recipients) or not joined.isascii() or joined.encode("ascii").translate(None, _PLAIN):
        return None
    return b"RCPT TO:<%b>\r\n" % ">\r\nRCPT TO:<".join(addresses).encode("ascii")


def _command(verb: str, address: str, parameters: Sequence[str], offers: Mapping[str, str]) -> str | Reply:
    if not parameters and _is_plain(address):
        return f"{verb}:<{address}>"
    kept = [each for each in parameters if _NEEDS.get(_keyword(each), "") in {"", *offers}]
    line = " ".join([f"{verb}:<{address}>", *kept])
    if _CONTROL.search(line) or (_BRACKET.search(address) and not address.startswith('"')):
        return reply(553, "This address cannot be passed on: control characters or brackets in it", "5.1.3")
    if not line.isascii() and "SMTPUTF8" not in offers:
        return _NO_UTF8_ADDRESS
    return line


def _keyword(parameter: str) -> str:
    return parameter.partition("=")[0].upper()


def content_refusal(parameters: Sequence[str], content: Sequence[bytes], offers: Mapping[str, str]) -> Reply | None:
    """The reply for a message that says it needs what is not offered, None where it may go.

    We convert nothing: bytes are passed as they came. A message that declared BODY=8BITMIME and has 8-bit octets is
    refused where that is not offered (RFC 6152 3), as is one with a header beyond ASCII (RFC 6531 3.5). 8-bit octets
    that nobody declared pass, as they do through most MTAs.
    """
    if not parameters:
        return None
    declared = {parameter.upper() for parameter in parameters}
    if "SMTPUTF8" in declared and "SMTPUTF8" not in offers and not _header_is_ascii(content):
        return _NO_UTF8_HEADER
    if "BODY=8BITMIME" in declared and "8BITMIME" not in offers and not all(chunk.isascii() for chunk in content):
        return _NO_8BIT
    return None


def _header_is_ascii(content: Sequence[bytes]) -> bool:
    for chunk in content:
        end = chunk.find(b"\r\n\r\n")
        if not chunk[: end if end >= 0 else len(chunk)].isascii():
            return False
        if end >= 0:
            return True
    return True


# -- for whom we speak -------------------------------------------------------------------------------------------


def identity_command(verb: str, client: Client, offered: str) -> str | None:
    """XCLIENT or XFORWARD with the attributes that are offered; None where none is (Postfix XCLIENT, XFORWARD)."""
    known = {
        "NAME": client.name or "[UNAVAILABLE]",
        "ADDR": f"IPV6:{client.address}" if ":" in client.address else client.address or "[UNAVAILABLE]",
        "PORT": str(client.port) if client.port else "[UNAVAILABLE]",
        "PROTO": client.protocol,
        "HELO": client.helo or "[UNAVAILABLE]",
    }
    pairs = [f"{name}={_xtext(value)}" for name, value in known.items() if name in offered.upper().split()]
    return " ".join([verb, *pairs]) if pairs else None


def _xtext(value: str) -> str:
    """Encode as RFC 3461 4 does."""
    octets = value.encode("utf-8", "surrogateescape")
    return _NOT_XTEXT.sub(lambda match: b"+%02X" % match[0][0], octets).decode("ascii")
