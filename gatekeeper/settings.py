"""Settings: flags of `gatekeeper serve` or GATEKEEPER_* variables of the same name.

`SETTINGS` is the one table: the command line, the environment, `gatekeeper settings` and the test that docs/settings.md
is whole are all made from it. Each room is handed its own frozen section and knows no other.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

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


_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):([^/@\s]*)@|((?:password|passwd|pwd)=)[^&\s,]+", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """Return a text for people and logs: where an address in it has a password, three stars stand for that."""
    return _PASSWORD.sub(lambda found: f"{found[3]}***" if found[3] else f"{found[1]}:***@", text)


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


# -- the table ---------------------------------------------------------------------------------------------------


@immutable
class Setting:
    """One setting: its flag without the dashes, its default as it would be typed, how it is read, what it is for."""

    flag: str
    default: str
    read: Callable[[str], Any]
    help: str

    @property
    def name(self) -> str:
        return self.flag.replace("-", "_")

    @property
    def variable(self) -> str:
        return "GATEKEEPER_" + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting("listen", "127.0.0.1:10025", read_endpoint, "SMTP listener; add ,before-queue behind it where it is one"),
    Setting("milter", OFF, read_milter, "milter listener: host:port or unix:PATH; off for none"),
    Setting("clients", LOOPBACK, read_networks, "networks that may connect to a listener"),
    Setting("sender-domains", "", read_words, "domains of MAIL FROM that are let in; all inside domains where empty"),
    Setting("authenticated", LOOPBACK, read_networks, "networks whose senders are known to be who they say"),
    Setting("xclient", "none", read_networks, "networks that may speak for others by XCLIENT"),
    Setting("xforward", LOOPBACK, read_networks, "networks that may tell by XFORWARD whom they relay for"),
    Setting("tls-cert", "", read_path, "certificate chain for STARTTLS, a PEM file"),
    Setting("tls-key", "", read_path, "private key of the certificate, a PEM file"),
    Setting("hostname", "", read_text, "name in greetings and trace headers; the machine's own where empty"),
    Setting("rcpt", "ask", one_of("ask", TRUST), "ask the next hop at each RCPT, or trust that it takes all of them"),
    Setting("max-recipients", "10000", read_count, "recipients of a transaction"),
    Setting("max-size", "50MB", read_size, "octets of a message"),
    Setting("memory-for-content", "64MB", read_size, "octets of large messages that come in, and of those judged"),
    Setting("max-connections", "1000", read_count, "connections to a listener at once"),
    Setting("max-connections-per-client", "100", read_count, "connections of one address at once"),
    Setting("max-commands", "1000", read_count, "commands of a connection that further no mail, before it is closed"),
    Setting("command-timeout", "5m", read_time, "how long a client may take for a command (RFC 5321 4.5.3.2.7)"),
    Setting("data-timeout", "3m", read_time, "how long a client may pause within the message (RFC 5321 4.5.3.2.5)"),
    Setting("data-rate", "100", read_count, "octets a second that a sender of a message must keep up, on average"),
    Setting("next-hop", "", read_text, "smtp://host:port,... smtps:// smtp+starttls:// mx://domain or maildir:DIR"),
    Setting("next-hop-timeout", "5m", read_time, "how long the next hop may take for a reply (RFC 5321 4.5.3.2)"),
    Setting("next-hop-idle", "30s", read_time, "how long an unused connection to the next hop is kept"),
    Setting("database", "sqlite:///gatekeeper.db", read_text, "sqlite:///FILE or postgresql://user@host/name"),
    Setting("database-timeout", "5s", read_time, "how long a decision may wait for the database"),
    Setting("lease", "20s", read_time, "how long the work of a process that died waits before another takes it over"),
    Setting("rules", "rules.yaml", Path, "the ruleset"),
    Setting("ops", "127.0.0.1:9125", read_optional_endpoint, "/metrics, /livez and /readyz; off for none"),
    Setting("console", "127.0.0.1:8025", read_optional_endpoint, "where the web console listens; off for none"),
    Setting("console-memory", "1GB", read_size, "what the console's process may take; 0 for no limit"),
    Setting("public-url", "", read_text, "where links in replies and notices lead"),
    Setting("workers", "1", read_workers, "processes that take in mail; with more than 1 others look after them"),
    Setting("mode", "enforce", one_of("enforce", "observe"), "observe: judge and count; never hold, refuse or bounce"),
    Setting("outage-allowance", "0", read_count, "people a message may reach while the database is down"),
    Setting("log-format", "text", one_of("text", "json"), "lines for people and grep, or JSON objects"),
    Setting("log-addresses", "plain", one_of("plain", "hashed"), "addresses in the log as they are, or hashed"),
    Setting("log-level", "info", one_of("debug", "info", "warning", "error"), "the least that is logged"),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


def read_settings(given: Mapping[str, str | None], environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings in force: what was given on the command line, else the environment, else the default.

    Args: `given` maps names (`next_hop`) to text or None. Raises SettingsError naming the flag.
    """
    texts, origins = {}, {}
    for setting in SETTINGS:
        texts[setting.name], origins[setting.name] = _in_force(setting, given, environment)
    return Settings.from_texts(texts, origins)


def _in_force(setting: Setting, given: Mapping[str, str | None], environment: Mapping[str, str]) -> tuple[str, str]:
    flagged = given.get(setting.name)
    if flagged is not None:
        return flagged, "flag"
    if setting.variable in environment:
        return environment[setting.variable], "environment"
    return setting.default, "default"


def _read_all(texts: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for setting in SETTINGS:
        try:
            values[setting.name] = setting.read(texts[setting.name])
        except SettingsError as error:
            raise SettingsError(f"--{setting.flag}: {error}") from None
    return values


# -- a section a room --------------------------------------------------------------------------------------------


@immutable
class Listening:
    """What the listeners go by."""

    listen: Endpoint
    milter: Endpoint | None
    hostname: str
    clients: tuple[Network, ...]
    sender_domains: tuple[str, ...]
    authenticated: tuple[Network, ...]
    xclient: tuple[Network, ...]
    xforward: tuple[Network, ...]
    tls_cert: Path | None
    tls_key: Path | None
    rcpt: str
    max_recipients: int
    max_size: int
    memory_for_content: int
    max_connections: int
    max_connections_per_client: int
    max_commands: int
    command_timeout: float
    data_timeout: float
    data_rate: int


@immutable
class NextHopSettings:
    """Where mail goes on to; `hostname` is what we say in EHLO."""

    next_hop: str
    next_hop_timeout: float
    next_hop_idle: float
    hostname: str


@immutable
class Storing:
    """The database."""

    database: str
    database_timeout: float
    lease: float


@immutable
class Judging:
    """What the pipeline goes by."""

    rules: Path
    mode: str
    outage_allowance: int
    public_url: str
    hostname: str


@immutable
class Ops:
    """What ops look at."""

    ops: Endpoint | None
    log_format: str
    log_addresses: str
    log_level: str


@immutable
class Settings:
    """All settings in force, by section; `texts` and `origins` are what `gatekeeper settings` prints."""

    listening: Listening
    next_hop: NextHopSettings
    storing: Storing
    judging: Judging
    ops: Ops
    console: Endpoint | None
    console_memory: int
    workers: int
    texts: Mapping[str, str]
    origins: Mapping[str, str]

    @classmethod
    def from_texts(cls, texts: Mapping[str, str], origins: Mapping[str, str]) -> Settings:
        """Make the sections of the settings' texts; raises SettingsError."""
        values = _read_all(texts)
        values["hostname"] = values["hostname"] or _own_name()
        if bool(values["tls_cert"]) != bool(values["tls_key"]):
            raise SettingsError("--tls-cert and --tls-key go together: expected both or neither")
        sections = {name: _section(kind, values) for name, kind in _SECTIONS.items()}
        own = {name: values[name] for name in ("console", "console_memory", "workers")}
        return cls(**sections, **own, texts=texts, origins=origins)

    @property
    def console_url(self) -> str:
        """The address at which browsers find the console. Raises SettingsError where it would not be safe.

        Without TLS of its own it listens on loopback or a unix socket only, where a proxy with TLS stands before it.
        """
        place, public = self.console, self.judging.public_url.rstrip("/")
        if place is None:
            raise SettingsError("--console is off: expected host:port, such as 127.0.0.1:8025")
        if not is_local(place):
            raise SettingsError(f"--console {place}: expected loopback or unix:PATH, behind a proxy with TLS")
        if place.path and not public:
            raise SettingsError(f"--console {place}: expected --public-url too, the address that browsers see")
        return public or f"http://{place}"

    @property
    def is_trial(self) -> bool:
        """True where nobody but this machine can be concerned: mail ends in a maildir, and all listen on loopback."""
        places = (self.listening.listen, self.listening.milter, self.ops.ops, self.console)
        embedded = self.next_hop.next_hop.startswith("maildir:") and self.storing.database.startswith("sqlite:")
        return embedded and not self.judging.public_url and all(is_local(each) for each in places if each)

    def share_of_worker(self) -> Settings:
        """The settings of one of the workers: what holds for the gate as a whole is divided among them."""
        connections = -(-self.listening.max_connections // self.workers)
        memory = self.listening.memory_for_content // self.workers
        return replace(
            self,
            listening=replace(self.listening, max_connections=connections, memory_for_content=memory),
            judging=replace(self.judging, outage_allowance=self.judging.outage_allowance // self.workers),
        )


_SECTIONS: dict[str, Any] = {
    "listening": Listening,
    "next_hop": NextHopSettings,
    "storing": Storing,
    "judging": Judging,
    "ops": Ops,
}


def _section(kind: Any, values: Mapping[str, Any]) -> Any:
    return kind(**{name: values[name] for name in kind.__dataclass_fields__})


def _own_name() -> str:
    return socket.getfqdn() or "localhost"
