"""Write MAIL and RCPT for a next hop: parameters that the next hop does not offer are left out, or the command refused.

The SMTP listener offers only what every next hop offers, so these rules seldom act. They decide when a next hop has
changed its offers since, and for mail that is released later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gatekeeper.model import Client, Recipient
from gatekeeper.smtp.replies import Reply, reply

_NEEDS = {  # parameter -> EHLO keyword that must be offered
    "SIZE": "SIZE",  # RFC 1870
    "BODY": "8BITMIME",  # RFC 6152
    "SMTPUTF8": "SMTPUTF8",  # RFC 6531
    "AUTH": "AUTH",  # RFC 4954 5
    "RET": "DSN",  # RFC 3461 5.2.2: relayed without, where the next hop has no DSN
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
}  # refusal -> what the next hop lacks
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BRACKET = re.compile(r"[<> ]")
_is_plain = re.compile(r"[!-;=?-~]*").fullmatch  # printable ASCII but space and angle brackets
_PLAIN = bytes(octet for octet in range(ord("!"), ord("~") + 1) if chr(octet) not in "<>")
_NOT_XTEXT = re.compile(rb"[^!-*,-<>-~]")


def mail_command(sender: str, parameters: Sequence[str], offers: Mapping[str, str]) -> str | Reply:
    """Return the MAIL command for a next hop with these offers, or the reply that refuses the command."""
    return _command("MAIL FROM", sender, parameters, offers)


def rcpt_command(recipient: Recipient, offers: Mapping[str, str]) -> str | Reply:
    """Return the RCPT command for a next hop with these offers, or the reply that refuses the command."""
    return _command("RCPT TO", recipient.address, recipient.parameters, offers)


def plain_rcpt_commands(recipients: Sequence[Recipient]) -> bytes | None:
    """Return all RCPT commands as they go over the wire; None where `rcpt_command` has to make each of them."""
    if not recipients:
        return b""
    if len(recipients) == 1:
        ((address, parameters),) = recipients
        return f"RCPT TO:<{address}>\r\n".encode("ascii") if not parameters and _is_plain(address) else None
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
    """Return the reply that refuses a message which declares a need that is not offered; None where it may be sent.

    The gate converts nothing: octets are passed as they came. A message that declared BODY=8BITMIME and has 8-bit
    octets is refused where that is not offered (RFC 6152 3), and so is one that declared SMTPUTF8 and has a header
    beyond ASCII (RFC 6531 3.5). 8-bit octets that nobody declared pass, as they do through most MTAs.
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


# -- the client's identity ---------------------------------------------------------------------------------------


def identity_command(verb: str, client: Client, offered: str) -> str | None:
    """Return XCLIENT or XFORWARD (as in Postfix) with the offered attributes; None where none is offered."""
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
    """Encode text as xtext (RFC 3461 4)."""
    octets = value.encode("utf-8", "surrogateescape")
    return _NOT_XTEXT.sub(lambda match: b"+%02X" % match[0][0], octets).decode("ascii")
