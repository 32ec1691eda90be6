"""Settings: flags of `gatekeeper serve` or GATEKEEPER_* variables of the same name.

`SETTINGS` is the one table: the command line, the environment, `gatekeeper settings` and the test that docs/settings.md
is whole are all made from it. Each room is handed its own frozen section and knows no other.
"""

from __future__ import annotations

import difflib
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatekeeper.lib import failpoints
from gatekeeper.lib.immutable import immutable
from gatekeeper.settings.readers import (
    LOOPBACK,
    OFF,
    TRUST,
    Endpoint,
    MarkFile,
    Network,
    Quota,
    SettingsError,
    contains,
    is_local,
    one_of,
    read_count,
    read_endpoint,
    read_flag,
    read_header,
    read_issuer,
    read_mark,
    read_methods,
    read_milter,
    read_networks,
    read_optional_endpoint,
    read_path,
    read_quota,
    read_size,
    read_text,
    read_time,
    read_words,
    read_workers,
)
from gatekeeper.settings.signing_in import SigningIn

__all__ = [
    "BY_NAME",
    "LOOPBACK",
    "OFF",
    "SETTINGS",
    "TRUST",
    "Endpoint",
    "Judging",
    "Listening",
    "MarkFile",
    "Network",
    "NextHopSettings",
    "Ops",
    "Quota",
    "Setting",
    "Settings",
    "SettingsError",
    "SigningIn",
    "Storing",
    "contains",
    "read_endpoint",
    "read_networks",
    "read_optional_endpoint",
    "read_settings",
    "read_size",
    "read_time",
]


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
    Setting(
        "client-cert-ca", "", read_path, "CAs, a PEM file, by which clients' certificates are verified; none asked"
    ),
    Setting("require-tls", "no", read_flag, "yes: take no mail by SMTP without STARTTLS (RFC 3207)"),
    Setting("hostname", "", read_text, "name in greetings and trace headers; the machine's own where empty"),
    Setting("rcpt", "ask", one_of("ask", TRUST), "ask the next hop at each RCPT, or trust that it takes all of them"),
    Setting("max-recipients", "10000", read_count, "recipients of a transaction"),
    Setting("max-size", "50MB", read_size, "octets of a message"),
    Setting("memory-for-content", "64MB", read_size, "octets of large messages that come in, are judged, are sent"),
    Setting("max-connections", "1000", read_count, "connections to a listener at once"),
    Setting("max-connections-per-client", "100", read_count, "connections of one address at once"),
    Setting("max-commands", "1000", read_count, "commands of a connection that further no mail, before it is closed"),
    Setting("command-timeout", "5m", read_time, "how long a client may take for a command (RFC 5321 4.5.3.2.7)"),
    Setting("data-timeout", "3m", read_time, "how long a client may pause within the message (RFC 5321 4.5.3.2.5)"),
    Setting("data-rate", "100", read_count, "octets a second that a sender of a message must keep up, on average"),
    Setting("next-hop", "", read_text, "smtp://host:port,... smtps:// smtp+starttls:// mx://domain or maildir:DIR"),
    Setting("next-hop-timeout", "5m", read_time, "how long the next hop may take for a reply (RFC 5321 4.5.3.2)"),
    Setting("mark", "", read_mark, "FIELD=FILE: header field with a secret on all mail that goes to the next hop"),
    Setting("next-hop-idle", "30s", read_time, "how long an unused connection to the next hop is kept"),
    Setting("database", "sqlite:///gatekeeper.db", read_text, "sqlite:///FILE or postgresql://user@host/name"),
    Setting("database-timeout", "5s", read_time, "how long a decision may wait for the database"),
    Setting("keep-limit", "50%", read_quota, "octets of mail that are kept, or a share of the disk; 0 for no limit"),
    Setting("keep-limit-each", "2GB", read_size, "octets that are kept of one sender until decided; 0 for no limit"),
    Setting("lease", "20s", read_time, "how long the work of a process that died waits before another takes it over"),
    Setting("rules", "rules.yaml", Path, "the ruleset"),
    Setting("peers", "", read_path, "who may hand over mail, and what tells that it is they (docs/peers.md)"),
    Setting("ops", "127.0.0.1:9125", read_optional_endpoint, "/metrics, /livez and /readyz; off for none"),
    Setting("console", "127.0.0.1:8025", read_optional_endpoint, "where the web console listens; off for none"),
    Setting("console-memory", "1GB", read_size, "what the console's process may take; 0 for no limit"),
    Setting("console-tls-cert", "", read_path, "certificate chain of the console, a PEM file"),
    Setting("console-tls-key", "", read_path, "private key of the console's certificate, a PEM file"),
    Setting("signin", "local", read_methods, "how people sign in: some of oidc,proxy,local,link; none for nobody"),
    Setting("oidc-issuer", "", read_issuer, "OpenID Connect: the issuer's address"),
    Setting("oidc-client-id", "", read_text, "OpenID Connect: what the issuer knows the console by"),
    Setting("oidc-client-secret-file", "", read_path, "OpenID Connect: file with the secret; none for a public client"),
    Setting("oidc-claim", "email", read_text, "OpenID Connect: the claim that has the address"),
    Setting("oidc-trust-claim", "no", read_flag, "OpenID Connect: yes where nobody can choose that claim there"),
    Setting("proxy-header", "", read_header, "header field in which a trusted proxy says who somebody is"),
    Setting("proxy-networks", "none", read_networks, "networks whose proxies are believed that, and keep TLS"),
    Setting("session-idle", "30m", read_time, "how long a session lasts without a click"),
    Setting("session-limit", "12h", read_time, "how long a session lasts at most"),
    Setting("public-url", "", read_text, "where links in replies and notices lead"),
    Setting("workers", "1", read_workers, "processes that take in mail; with more than 1 others look after them"),
    Setting("mode", "enforce", one_of("enforce", "observe"), "observe: judge and count; never hold, refuse or bounce"),
    Setting("outage-allowance", "0", read_count, "people a message may reach while the database is down"),
    Setting("log-format", "text", one_of("text", "json"), "lines for people and grep, or JSON objects"),
    Setting("log-addresses", "plain", one_of("plain", "hashed"), "addresses in the log as they are, or hashed"),
    Setting("log-level", "info", one_of("debug", "info", "warning", "error"), "the least that is logged"),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


_PREFIX = "GATEKEEPER_"
_BESIDE_SETTINGS = frozenset({"GATEKEEPER_BY", failpoints.VARIABLE})
# What Kubernetes and the links of Docker set for a service of that name.
_OF_PLATFORMS = re.compile(r"GATEKEEPER_(?:SERVICE_\w+|PORT(?:_\w+)?)")


def read_settings(given: Mapping[str, str | None], environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings in force: what was given on the command line, else the environment, else the default.

    Args: `given` maps names (`next_hop`) to text or None. Raises SettingsError naming the flag, or a variable that is
    misspelt.
    """
    _check_names(environment)
    texts, origins = {}, {}
    for setting in SETTINGS:
        texts[setting.name], origins[setting.name] = _in_force(setting, given, environment)
    return Settings.from_texts(texts, origins)


def _check_names(environment: Iterable[str]) -> None:
    """Raise SettingsError for a GATEKEEPER_* variable that is none, which would leave a setting as it was, unseen."""
    known = {setting.variable for setting in SETTINGS} | _BESIDE_SETTINGS
    words = [name.removeprefix(_PREFIX) for name in known]
    for name in sorted(environment):
        if name.startswith(_PREFIX) and name not in known and not _OF_PLATFORMS.fullmatch(name):
            near = difflib.get_close_matches(name.removeprefix(_PREFIX), words, n=1)
            expected = f"did you mean {_PREFIX}{near[0]}?" if near else "see `gatekeeper settings`"
            raise SettingsError(f"{name} in the environment: no such setting; {expected}")


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
    client_cert_ca: Path | None
    require_tls: bool
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
    mark: MarkFile | None = None


@immutable
class NextHopSettings:
    """Where mail goes on to; `hostname` is what we say in EHLO."""

    next_hop: str
    next_hop_timeout: float
    next_hop_idle: float
    hostname: str
    mark: MarkFile | None = None

    @property
    def kind(self) -> str:
        """The scheme of the first next hop, such as "smtp" or "maildir"."""
        return self.next_hop.partition(":")[0]


@immutable
class Storing:
    """The database."""

    database: str
    database_timeout: float
    keep_limit: Quota
    keep_limit_each: int
    lease: float


@immutable
class Judging:
    """What the pipeline goes by."""

    rules: Path
    mode: str
    outage_allowance: int
    public_url: str
    hostname: str
    peers: Path | None = None


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
    signing_in: SigningIn
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
        for name in ("client_cert_ca", "require_tls"):
            if values[name] and not values["tls_cert"]:
                raise SettingsError(f"--{name.replace('_', '-')}: expected --tls-cert and --tls-key too, for STARTTLS")
        if bool(values["console_tls_cert"]) != bool(values["console_tls_key"]):
            raise SettingsError("--console-tls-cert and --console-tls-key go together: expected both or neither")
        sections = {name: _section(kind, values) for name, kind in _SECTIONS.items()}
        own = {name: values[name] for name in ("console", "console_memory", "workers")}
        return cls(**sections, **own, texts=texts, origins=origins)

    @property
    def console_url(self) -> str:
        """The address at which browsers find the console. Raises SettingsError where it would not be safe.

        Without TLS of its own it listens on loopback, on a unix socket, or for the proxies of --proxy-networks.
        """
        place, public, own = self.console, self.judging.public_url.rstrip("/"), self.signing_in
        if place is None:
            raise SettingsError("--console is off: expected host:port, such as 127.0.0.1:8025")
        if not (is_local(place) or own.console_tls_cert or own.proxy_networks):
            raise SettingsError(
                f"--console {place}: expected --console-tls-cert and --console-tls-key, or --proxy-networks with the "
                "proxy that keeps TLS; else loopback or unix:PATH"
            )
        if not public and (place.path or place.host in ("0.0.0.0", "::")):
            raise SettingsError(f"--console {place}: expected --public-url too, the address that browsers see")
        own.check(place)
        return public or f"http{'s' if own.console_tls_cert else ''}://{place}"

    @property
    def is_trial(self) -> bool:
        """True where nobody but this machine can be concerned: mail ends in a maildir, and all listen on loopback."""
        places = (self.listening.listen, self.listening.milter, self.ops.ops, self.console)
        embedded = self.next_hop.kind == "maildir" and self.storing.database.startswith("sqlite:")
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
    "signing_in": SigningIn,
}


def _section(kind: Any, values: Mapping[str, Any]) -> Any:
    return kind(**{name: values[name] for name in kind.__dataclass_fields__})


def _own_name() -> str:
    return socket.getfqdn() or "localhost"
