"""Says which settings do not go together with the peers of --peers. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gatekeeper.rules.peers import Peers, overlapping
from gatekeeper.settings import Listening, Network


def peer_warnings(peers: Peers, listening: Listening) -> Iterator[str]:
    """Yield a sentence for each setting that makes a peer useless, or takes back what it is to be asked for."""
    for peer in peers.peers:
        if peer.certificate and not listening.client_cert_ca:
            yield f"peer {peer.name} is known by its certificate, and without --client-cert-ca none is asked for"
        elif peer.tls and not listening.tls_cert:
            yield f"peer {peer.name} needs TLS, and without --tls-cert none is offered"
        if far := [network for network in peer.networks if not _is_within(network, listening.clients)]:
            yield f"peer {peer.name} may not connect from {_named(far)}: expected these in --clients"
        if known := overlapping(peer.networks, listening.authenticated):
            yield (
                f"--authenticated covers {_named(known)} of peer {peer.name}: any MAIL FROM of its mail is believed, "
                "vouched for or not"
            )
        for other in peers.peers if peer.require else ():
            if not other.require and (shared := overlapping(peer.networks, other.networks)):
                yield (
                    f"peer {other.name} requires nothing, and has addresses of {_named(shared)} too: what peer "
                    f"{peer.name} requires is not asked for there"
                )
        for flag, networks in (("--xclient", listening.xclient), ("--xforward", listening.xforward)):
            if speaking := overlapping(peer.networks, networks):
                yield f"{flag} covers {_named(speaking)} of peer {peer.name}: it may say that it is another client"


def _is_within(network: Network, others: tuple[Network, ...]) -> bool:
    return any(
        each.version == network.version and network.subnet_of(each)  # type: ignore[arg-type]
        for each in others
    )


def _named(networks: tuple[Network, ...] | list[Network]) -> str:
    return ", ".join(map(str, networks[:3])) + (f" and {len(networks) - 3} more" if len(networks) > 3 else "")
