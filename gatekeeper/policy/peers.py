"""Tells whether mail is that of the peer whose networks it comes from (--peers), before anything of it is counted.

Pure. Where several peers send from one network, as two tenants of one service do, mail must be that of one of them.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from gatekeeper import address
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Facts, Transaction
from gatekeeper.policy.active import Policy
from gatekeeper.policy.sender_identity import UNTRUSTED, is_lent
from gatekeeper.rules.peers import Peer, Peers
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.replies import Reply

_MOST_ADDRESSES = 4_096  # whose peers are remembered
_TLS = "TLS is missing"
# A GUID or a domain, in which upper and lower case are the same; anything else may be a secret.
_WITHOUT_CASE = re.compile(
    r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|(?:[A-Za-z0-9-]+\.)+[A-Za-z][A-Za-z0-9-]*"
)
_BLANK_FOLD = re.compile(rb"\r\n[ \t]+(?=\r\n)")


@immutable
class Connection:
    """What is known of the connection that mail comes by."""

    host: str  # IP address of the connected host
    client: str  # of the one that it relays for; the same where it relays for nobody
    encrypted: bool = False
    names: tuple[str, ...] = ()  # dNSNames of its certificate, which --client-cert-ca has verified
    direct: bool = True  # it is a connection to the gate, so that --clients has let it in


class PeerChecks:
    """Compares mail with the peers that are in force."""

    def __init__(self, policy: Callable[[], Policy] | None = None) -> None:
        """Args: `policy` returns the one in force; without it there are no peers."""
        self._policy = policy
        self._peers = Peers()
        self._known: dict[str, tuple[Peer, ...]] = {}  # those at recent addresses

    def obstacle(self, connection: Connection) -> Reply | None:
        """Return the reply to MAIL where no message of the connection can be a peer's of there; None where one can."""
        for seen, peers in self._asked(connection):
            if (reason := _reason({peer.name: connection_problem(peer, seen) for peer in peers})) is not None:
                return self._refusal(reason)
        return None

    def peer_of(self, connection: Connection, content: bytes) -> str | Reply:
        """Return the name of the peer that a message is of, or the reply that refuses it; "" where there is no peer."""
        name = ""
        for seen, peers in self._asked(connection):
            problems = {peer.name: connection_problem(peer, seen) or header_problem(peer, content) for peer in peers}
            if (reason := _reason(problems)) is not None:
                return self._refusal(reason)
            name = next(each for each, problem in problems.items() if not problem)
        return name

    def _asked(self, connection: Connection) -> Iterator[tuple[Connection, Sequence[Peer]]]:
        """Yield what is seen of the connected host, and of the one that it relays for, with the peers there.

        Of the latter neither TLS nor certificate is seen. A mail server may take mail from the whole internet, and
        passes on that of services too: these are asked about only where they connect to the gate.
        """
        if at_host := self._at(connection.host, direct=connection.direct):
            yield connection, at_host
        if connection.client != connection.host and (at_client := self._at(connection.client, direct=False)):
            yield Connection(connection.client, connection.client, direct=False), at_client

    def _at(self, host: str, *, direct: bool) -> tuple[Peer, ...]:
        peers = self._policy().peers if self._policy else Peers()
        if peers is not self._peers or len(self._known) > _MOST_ADDRESSES:
            self._peers, self._known = peers, {}
        if host not in self._known:
            self._known[host] = peers.at(host)
        found = self._known[host]
        return found if direct else tuple(peer for peer in found if not peer.foreign)

    def _refusal(self, reason: str) -> Reply:
        if reason == _TLS:
            return policy_replies.tls_first()
        return policy_replies.not_of_peer(reason, self._policy().ruleset.contact if self._policy else "")


def _reason(problems: Mapping[str, str]) -> str | None:
    """Return why mail is of none of these peers, by the one that it comes nearest to; None where it is of one."""
    if "" in problems.values():
        return None
    return max(problems.values(), key=lambda problem: (problem.startswith("the field"), problem != _TLS))


# -- one peer ----------------------------------------------------------------------------------------------------


def connection_problem(peer: Peer, connection: Connection) -> str:
    """Return why a connection is not the peer's; "" where it may be."""
    if peer.foreign:
        return (
            f"{peer.foreign} sends the mail of many organisations from {connection.host}, and the mail gate does not "
            "know which of it is its own; its administrator names yours in --peers"
        )
    if (peer.tls or peer.certificate) and not connection.encrypted:
        return _TLS
    if peer.certificate and not any(is_named(name, connection.names) for name in peer.certificate):
        shown = f"yours names {', '.join(connection.names[:3])}" if connection.names else "none of yours was shown"
        return f"{shown}; expected a certificate that names {' or '.join(peer.certificate)}"
    return ""


def is_named(name: str, presented: Sequence[str]) -> bool:
    """Return True where one of the dNSNames of a certificate is the name (RFC 6125 6.4).

    `*` stands for one whole label, the first, before at least two others.
    """
    _, _, parent = name.partition(".")
    wild = f"*.{parent}" if "." in parent else None
    return any(each.rstrip(".").lower() in (name, wild) for each in presented)


def header_problem(peer: Peer, content: bytes) -> str:
    """Return why a message is not the peer's, by its own header alone; "" where it is.

    A field counts once, on one line, before any line that might end the header for some programs.
    """
    if not peer.require:
        return ""
    header = b"\r\n" + content[: _header_end(content)]
    certain = found.start() if (found := _BLANK_FOLD.search(header)) else len(header)
    problems = (_field_problem(name, values, header, certain) for name, values in peer.require.items())
    return next(filter(None, problems), "")


def _header_end(content: bytes) -> int:
    if content.startswith(b"\r\n"):
        return 0
    end = content.find(b"\r\n\r\n")
    return len(content) if end < 0 else end + 2


def _field_problem(name: str, values: frozenset[str], header: bytes, certain: int) -> str:
    # A name with blanks before its colon is obsolete, and read by some programs (RFC 5322 4.5).
    field = re.compile(rb"\r\n(%b)([ \t]*):([^\r\n]*)(\r\n[ \t])?" % re.escape(name.encode()), re.IGNORECASE)
    found = list(field.finditer(header))
    if not found:
        return f"the field {name} is missing in the header; {_EXPECTED}"
    if len(found) > 1:
        return f"the field {name} is in the header {len(found)} times; {_EXPECTED}"
    (one,) = found
    if one[2] or one[4] or one.start() >= certain:
        return f"the field {name} is folded, or has a blank before its colon or stands behind a blank line; {_EXPECTED}"
    if not _is_one_of(one[3].strip(b" \t"), values):
        return f"the field {name} has another value than that of the organisation whose mail is taken here"
    return ""


_EXPECTED = "expected it once, on one line, as your mail service writes it"


def _is_one_of(value: bytes, values: frozenset[str]) -> bool:
    """Compare in constant time: a value may be a secret."""
    return any(hmac.compare_digest(_comparable(value), _comparable(each.encode())) for each in values)


def _comparable(value: bytes) -> bytes:
    text = value.decode("latin-1")
    return value.lower() if _WITHOUT_CASE.fullmatch(text) else value


# -- what a peer vouches for -------------------------------------------------------------------------------------


def vouched(transaction: Transaction, facts: Facts, policy: Policy) -> Transaction:
    """Return a transaction with the login that its peer vouches for: Sender, where there is one, else From.

    A peer vouches for addresses of the organisation only, and only where every program shows the same one. It has
    checked From; so a Sender that neither From nor MAIL FROM bears out is nobody's login.
    """
    peer = policy.peers.named(transaction.peer) if transaction.peer else None
    if peer is None or not peer.vouches or transaction.login:
        return transaction
    sender = _sender(facts)
    if not sender or not policy.is_inside(sender) or not _is_borne_out(sender, transaction, facts, policy):
        return transaction
    return replace(transaction, login=sender, authenticated=True)


def _is_borne_out(sender: str, transaction: Transaction, facts: Facts, policy: Policy) -> bool:
    """Return True where each From is the sender's own or lent to them, or MAIL FROM is their own."""
    user = policy.directory.user
    if user(address.envelope_origin(transaction.sender, transaction.addresses)) == user(sender):
        return True
    authors = (address.normalise(box.address) for box in facts.author)
    return all(user(author) == user(sender) or is_lent(sender, author, policy) for author in authors)


def _sender(facts: Facts) -> str:
    """Return the address of who sends (RFC 5322 3.6.2); "" where it cannot be told for certain."""
    boxes = facts.sender or facts.author
    if len(boxes) != 1 or (facts.defects and not UNTRUSTED.isdisjoint(facts.defects)):
        return ""
    return address.normalise(boxes[0].address)
