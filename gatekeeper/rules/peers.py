"""The peers of --peers: who may hand mail to the gate, and what tells that it is they.

`language/read_peers.py` reads the file, `policy/peers.py` compares connections and messages with it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import field

from gatekeeper.lib.immutable import immutable
from gatekeeper.settings import Network, contains

# Networks that serve every tenant of a service, and names on its certificates. Both change: a peer of other networks of
# the internet is taken for shared too, unless it says otherwise.
_SERVICES = {
    "Exchange Online": (
        "40.92.0.0/15 40.107.0.0/16 52.100.0.0/14 52.238.78.88/32 104.47.0.0/17 2a01:111:f400::/48 2a01:111:f403::/48",
        ("outlook.com", "microsoft.com", "office365.us", "outlook.cn"),
    ),
    "Google Workspace": (
        "35.190.247.0/24 64.233.160.0/19 66.102.0.0/20 66.249.80.0/20 72.14.192.0/18 74.125.0.0/16 "
        "108.177.8.0/21 108.177.16.0/23 108.177.96.0/19 142.250.220.0/23 172.217.0.0/19 172.217.32.0/20 "
        "172.217.128.0/19 172.217.160.0/20 172.217.192.0/19 172.253.56.0/21 172.253.112.0/20 173.194.0.0/16 "
        "209.85.128.0/17 216.58.192.0/19 216.239.32.0/19 2001:4860:4000::/36 2404:6800:4000::/36 "
        "2607:f8b0:4000::/36 2800:3f0:4000::/36 2a00:1450:4000::/36 2c0f:fb50:4000::/36",
        ("google.com", "gmail.com", "1e100.net"),
    ),
}
_NETWORKS = {name: tuple(map(ipaddress.ip_network, networks.split())) for name, (networks, _) in _SERVICES.items()}
# Networks that no service on the internet sends from (RFC 1918, 6598, 4193, 3927, 4291; 5737 and 3849 for examples).
_OWN = tuple(
    map(
        ipaddress.ip_network,
        [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "100.64.0.0/10",
            "192.0.2.0/24",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
            "2001:db8::/32",
        ],
    )
)


@immutable
class Peer:
    """One peer: where it sends from, and what its connections and messages must show."""

    name: str
    networks: tuple[Network, ...] = ()
    certificate: tuple[str, ...] = ()  # names of which its certificate has one; () where none is asked for
    require: Mapping[str, frozenset[str]] = field(default_factory=dict)  # field of the header -> values it may have
    vouches: bool = False  # From is as good as a login
    tls: bool = False
    foreign: str = ""  # a service whose networks no peer of the file names: nothing is taken from there


@immutable
class Peers:
    """All peers of the file."""

    peers: tuple[Peer, ...] = ()
    digest: str = ""

    def at(self, address: str) -> tuple[Peer, ...]:
        """Return the peers that send from an IP address: its mail must be that of one of them; () for any mail."""
        named = tuple(peer for peer in self.peers if contains(peer.networks, address))
        service = "" if named else service_at(address)
        return (Peer("", foreign=service),) if service else named

    def named(self, name: str) -> Peer | None:
        """Return the peer of that name."""
        return next((peer for peer in self.peers if peer.name == name), None)


# -- networks that serve many tenants ----------------------------------------------------------------------------


def networks_of(service: str) -> tuple[Network, ...]:
    """Return the networks of a service by its name, such as Exchange Online."""
    return _NETWORKS[service]


def service_at(address: str) -> str:
    """Return the service that sends the mail of many tenants from this IP address; "" for none that is known."""
    return next((name for name, networks in _NETWORKS.items() if contains(networks, address)), "")


def service_of(networks: Iterable[Network], names: Iterable[str]) -> str:
    """Return the service that has some of these networks, or a certificate of one of these names; "" for none."""
    networks, names = tuple(networks), tuple(names)
    for service, (_, domains) in _SERVICES.items():
        if overlapping(networks, _NETWORKS[service]):
            return service
        if any(name == domain or name.endswith(f".{domain}") for name in names for domain in domains):
            return service
    return ""


def is_public(network: Network) -> bool:
    """Return True for a network of the internet, where somebody else may send too."""
    return not any(own.version == network.version and network.subnet_of(own) for own in _OWN)  # type: ignore[arg-type]


def overlapping(networks: Iterable[Network], others: Iterable[Network]) -> tuple[Network, ...]:
    """Return those of the networks that share an address with one of the others."""
    others = tuple(others)
    return tuple(each for each in networks if any(each.version == one.version and each.overlaps(one) for one in others))
