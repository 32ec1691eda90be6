"""Where mail goes on to: the value of --next-hop, read.

smtp://mail.example.gov:25,backup.example.gov        several in order, in the clear
smtps://mail.example.gov:465                         TLS from the start
smtp+starttls://mail.example.gov?ca=/etc/ca.pem      STARTTLS demanded, certificate verified
smtps://mail.example.gov?cert=OURS.pem&key=KEY.pem   we show a certificate, too
smtps://gate@mail.example.gov?password-file=PATH     AUTH PLAIN, over TLS only
mx://example.gov                                     the MX hosts of a domain, STARTTLS where offered
smtp://mail.example.gov?recipients=100               at most so many recipients a transaction, mx:// too
maildir:DIR                                          files, to try the gate out
"""

from __future__ import annotations

import re
from dataclasses import field
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from gatekeeper.delivery.client_tls import ClientTls
from gatekeeper.lib.immutable import immutable
from gatekeeper.settings import SettingsError

EXPECTED = "expected smtp://host:port,host2:port2 or smtps:// or smtp+starttls:// or mx://domain or maildir:DIR"
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?)(?::(?P<port>\d{1,5}))?")
_RECIPIENTS = "recipients"
_OPTIONS = {"ca", "cert", "key", "password-file", _RECIPIENTS}
_OF_MX = {_RECIPIENTS}


class Security(Enum):
    """How a connection is encrypted."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # STARTTLS where offered, no certificate verified (RFC 7435)
    STARTTLS = "starttls"  # demanded and verified
    TLS = "tls"  # from the start, verified


@immutable
class Login:
    """A SASL login."""

    user: str
    password: str = field(repr=False)


@immutable
class Host:
    """One host to connect to. `address` is its IP address where that is known already."""

    name: str
    port: int
    address: str = ""
    security: Security = Security.NONE
    tls: ClientTls | None = field(default=None, repr=False, compare=False)
    login: Login | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.name}[{self.address}]:{self.port}" if self.address else f"{self.name}:{self.port}"


@immutable
class FixedHosts:
    """Hosts as they were named, in order. `recipients` are the most in one transaction; None for no limit."""

    hosts: tuple[Host, ...]
    recipients: int | None = None


@immutable
class MxDomain:
    """A domain whose MX hosts take the mail."""

    domain: str
    port: int = 25
    recipients: int | None = None


@immutable
class MaildirFolder:
    """A maildir that takes the mail."""

    path: Path
    recipients: None = None


Route = FixedHosts | MxDomain | MaildirFolder

_SCHEMES = {  # -> encryption, default port
    "smtp": (Security.NONE, 25),
    "smtps": (Security.TLS, 465),
    "smtp+starttls": (Security.STARTTLS, 25),
}


def read_next_hop(text: str) -> Route:
    """Read the value of --next-hop, and the CA and password files that it names.

    Raises SettingsError with what was expected.
    """
    if text.startswith("maildir:"):
        return _folder(text.removeprefix("maildir:"))
    scheme, separator, rest = text.partition("://")
    if separator and scheme == "mx":
        return _exchangers(rest)
    if not separator or scheme not in _SCHEMES:
        raise SettingsError(f"--next-hop {text!r}: {EXPECTED}")
    return _fixed(scheme, rest)


def _folder(path: str) -> MaildirFolder:
    if not path:
        raise SettingsError("--next-hop maildir: names no folder; expected maildir:DIR")
    return MaildirFolder(Path(path.removeprefix("//")))


def _exchangers(rest: str) -> MxDomain:
    place, _, query = rest.partition("?")
    name, port = _host_and_port(place, "mx://", 25)
    if name.startswith("[") or "." not in name.rstrip("."):
        raise SettingsError(f"--next-hop mx://{rest}: expected a domain, such as mx://example.gov")
    return MxDomain(name, port, _most_recipients(_options(query, _OF_MX)))


def _fixed(scheme: str, rest: str) -> FixedHosts:
    places, _, query = rest.partition("?")
    user, at, names = places.rpartition("@")
    options = _options(query, _OPTIONS)
    security, default_port = _SCHEMES[scheme]
    login = _login(unquote(user) if at else "", options.get("password-file", ""), security)
    tls = _tls(options, security)
    pairs = [_host_and_port(name.strip(), f"{scheme}://", default_port) for name in names.split(",")]
    hosts = tuple(Host(name.strip("[]"), port, "", security, tls, login) for name, port in pairs)
    return FixedHosts(hosts, _most_recipients(options))


def _host_and_port(text: str, scheme: str, default_port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if not match or not 0 < int(match["port"] or default_port) < 65536:
        raise SettingsError(f"--next-hop: {text!r} behind {scheme} is no host; expected host or host:port")
    return match["host"], int(match["port"] or default_port)


def _options(query: str, known: set[str]) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - known)
    if unknown:
        raise SettingsError(f"--next-hop: option {unknown[0]!r} is not known; expected {', '.join(sorted(known))}")
    return options


def _most_recipients(options: dict[str, str]) -> int | None:
    text = options.get(_RECIPIENTS)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise SettingsError(f"--next-hop: recipients {text!r}: expected a whole number, such as ?recipients=100")
    return int(text)


def _login(user: str, password_file: str, security: Security) -> Login | None:
    if not user and not password_file:
        return None
    if not user or not password_file or ":" in user:
        raise SettingsError("--next-hop: expected user@host with ?password-file=PATH; a password is never in the flag")
    if security is Security.NONE:
        raise SettingsError("--next-hop: a login goes over TLS only; expected smtps:// or smtp+starttls://")
    try:
        return Login(user, Path(password_file).read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--next-hop: password file cannot be read: {error}; expected a readable file") from error


def _tls(options: dict[str, str], security: Security) -> ClientTls | None:
    certificate, key = options.get("cert", ""), options.get("key", "")
    if key and not certificate:
        raise SettingsError("--next-hop: key names the key of no certificate; expected ?cert=FILE&key=FILE")
    if security is not Security.NONE:
        return ClientTls(options.get("ca"), certificate, key)
    if certificate:
        raise SettingsError("--next-hop: a certificate is shown over TLS only; expected smtps:// or smtp+starttls://")
    return None
