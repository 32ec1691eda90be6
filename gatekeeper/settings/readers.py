"""Readers of settings: each takes the text of one setting and returns its value, or says what was expected."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from gatekeeper.lib.immutable import immutable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK = "127.0.0.0/8,::1/128"
OFF = "off"
TRUST = "trust"  # of --rcpt


class SettingsError(ValueError):
    """A setting that cannot be used; the text names the flag and what was expected."""


# -- how a value is read -----------------------------------------------------------------------------------------


@immutable
class Endpoint:
    """Where to listen: host and port, or a unix socket's path."""

    host: str = ""
    port: int = 0
    path: str = ""
    before_queue: bool = False

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" + (",before-queue" if self.before_queue else "")


def read_endpoint(text: str) -> Endpoint:
    """Read `host:port`, `[v6]:port`, `unix:PATH`, each with `,before-queue` where it is one."""
    address, _, option = text.partition(",")
    if option not in ("", "before-queue"):
        raise SettingsError(f"{option!r} after the comma: expected before-queue or nothing")
    if address.startswith("unix:"):
        return Endpoint(path=address[5:], before_queue=bool(option))
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{text!r} is no address to listen on: expected host:port, such as 127.0.0.1:10025")
    return Endpoint(host=host.strip("[]"), port=int(port), before_queue=bool(option))


def is_local(place: Endpoint) -> bool:
    """Return True where only this machine reaches an address."""
    return bool(place.path) or place.host in ("127.0.0.1", "::1", "localhost")


def read_optional_endpoint(text: str) -> Endpoint | None:
    """As `read_endpoint`; None for `off`."""
    return None if text == OFF else read_endpoint(text)


def read_milter(text: str) -> Endpoint | None:
    """As `read_optional_endpoint`; there is no queue that it could be before or behind."""
    endpoint = read_optional_endpoint(text)
    if endpoint and endpoint.before_queue:
        raise SettingsError(f"{text!r}: before-queue is for --listen; expected off, host:port or unix:PATH")
    return endpoint


def read_networks(text: str) -> tuple[Network, ...]:
    """Read addresses and networks with commas between them; `none` is the empty list."""
    names = [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]
    try:
        return tuple(ipaddress.ip_network(name, strict=False) for name in names)
    except ValueError as error:
        raise SettingsError(f"{error}: expected networks such as 192.0.2.0/24,2001:db8::/32") from None


def contains(networks: tuple[Network, ...], address: str) -> bool:
    """True where the IP address is in one of the networks; False for what is no IP address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    return any(mapped in network for network in networks if network.version == mapped.version)


def read_words(text: str) -> tuple[str, ...]:
    """Read words with commas or spaces between them, in lower case."""
    return tuple(word.lower() for word in re.split(r"[,\s]+", text) if word)


_SIZE = re.compile(r"(\d+)\s*(?:([kmg])i?b?)?", re.IGNORECASE)
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def read_size(text: str) -> int:
    """Read a number of octets: `52428800`, `50MB` (powers of 1024)."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise SettingsError(f"{text!r} is no size: expected a number of octets, such as 50MB")
    power = " kmg".index((match[2] or " ").lower())
    return int(match[1]) << (10 * power)


@immutable
class Quota:
    """An amount of octets, or a share of a disk; no limit where both are 0."""

    octets: int = 0
    percent: int = 0

    def of(self, disk: int | None) -> int | None:
        """Return the octets; None for no limit, also of a share where the size of the disk is not known."""
        if self.percent:
            return None if disk is None else disk * self.percent // 100
        return self.octets or None


def read_quota(text: str) -> Quota:
    """Read a number of octets, or a share of the disk: `100GB`, `50%`; 0 for no limit."""
    share = text.strip().removesuffix("%").strip()
    if not text.strip().endswith("%"):
        return Quota(octets=read_size(text))
    if not share.isdecimal() or not 0 < int(share) <= 100:
        raise SettingsError(f"{text!r} is no share: expected 1% to 100%, or a size such as 100GB")
    return Quota(percent=int(share))


def read_time(text: str) -> float:
    """Read a length of time in seconds: `90`, `90s`, `5m`, `4h`."""
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise SettingsError(f"{text!r} is no length of time: expected a number and a unit, such as 90s or 5m")
    return float(match[1]) * _SECONDS[(match[2] or "s").lower()]


def read_count(text: str) -> int:
    """Read a whole number of at least 0."""
    if not text.strip().isdigit():
        raise SettingsError(f"{text!r} is no count: expected a whole number")
    return int(text)


def read_workers(text: str) -> int:
    """Read a whole number of at least 1."""
    count = read_count(text)
    if not count:
        raise SettingsError("0 workers take in no mail: expected 1 or more")
    return count


def read_path(text: str) -> Path | None:
    """Read a path; None where it is empty."""
    return Path(text) if text else None


_MARK = re.compile(r"(?=.{3,60}=)x-(?!gatekeeper-|ms-|originatororg=)[a-z0-9-]+=.+", re.IGNORECASE)


@immutable
class MarkFile:
    """The header field of the mark (--mark), and the file that has its secret."""

    field: str
    path: Path


def read_mark(text: str) -> MarkFile | None:
    """Read FIELD=FILE, such as `X-Gate-Mark=/etc/gatekeeper/mark`; None where it is empty."""
    if not text:
        return None
    if not _MARK.fullmatch(text):
        expected = "FIELD=FILE with a field of your own, such as X-Gate-Mark=/etc/gatekeeper/mark"
        raise SettingsError(f"{text!r}: expected {expected}")
    field, _, path = text.partition("=")
    return MarkFile(field, Path(path))


def read_text(text: str) -> str:
    """Take the text as it stands."""
    return text


def one_of(*choices: str) -> Callable[[str], str]:
    """Make a reader that takes one of the words named."""

    def read_choice(text: str) -> str:
        if text not in choices:
            raise SettingsError(f"{text!r}: expected {' or '.join(choices)}")
        return text

    return read_choice


SIGNIN_METHODS = ("oidc", "proxy", "local", "link")
_HEADER = re.compile(r"[A-Za-z0-9-]+")


def read_flag(text: str) -> bool:
    """Read yes or no."""
    return one_of("yes", "no")(text) == "yes"


def read_methods(text: str) -> tuple[str, ...]:
    """Read the ways in which people sign in, with commas between them; `none` is the empty list."""
    words = tuple(dict.fromkeys(word for word in read_words(text) if word != "none"))
    for word in words:
        if word not in SIGNIN_METHODS:
            raise SettingsError(f"{word!r}: expected some of {', '.join(SIGNIN_METHODS)}, or none")
    return words


def read_header(text: str) -> str:
    """Read the name of a header field; empty for none."""
    if text and not _HEADER.fullmatch(text):
        raise SettingsError(f"{text!r} is no header field: expected letters and dashes, such as X-Remote-User")
    return text


def read_issuer(text: str) -> str:
    """Read the address of an OpenID Connect issuer: https, or http on loopback; empty for none."""
    parts = urlsplit(text)
    is_local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if text and (parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment):
        raise SettingsError(f"{text!r}: expected the issuer's address, such as https://login.example.gov")
    if parts.scheme == "http" and not is_local:
        raise SettingsError(f"{text!r}: expected https, since its answers say who somebody is")
    return text
