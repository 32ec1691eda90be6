"""The identity of the client of a connection: the peer, HELO, XCLIENT and XFORWARD put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gatekeeper.model import Client

_FIELDS = {"NAME": "name", "ADDR": "address", "HELO": "helo", "PROTO": "protocol"}


@dataclass(slots=True)
class ClientIdentity:
    """What is known of a connection's client; `address` and `port` are those of the connected peer itself."""

    address: str
    port: int
    encrypted: bool = False
    certificate: tuple[str, ...] = ()  # dNSNames of the one that the peer has shown, where it was verified
    helo: str = ""
    extended: bool = False  # the client said EHLO
    login: str | None = None  # by XCLIENT
    forwarded: Mapping[str, str] = field(default_factory=dict)  # by XFORWARD, until the transaction ends
    _client: Client | None = None  # named by XCLIENT, until the connection ends
    _own: Client | None = None  # the peer itself; cached

    def speak_for(self, attributes: Mapping[str, str]) -> None:
        """Take XCLIENT's attributes: from here on the client is the one they name, who has yet to say HELO or EHLO."""
        self._client = _described(self._client or self._itself(), attributes)
        if "LOGIN" in attributes:
            self.login = attributes["LOGIN"] or None
        self.helo, self.forwarded = "", {}

    def client(self) -> Client:
        """Return the client of a transaction that begins now: by XFORWARD, else by XCLIENT, else the peer."""
        client = self._client
        if client is None:
            client = self._itself()
        elif not client.helo:
            client = replace(client, helo=self.helo)
        return _described(client, self.forwarded) if self.forwarded else client

    @property
    def upstream(self) -> str | None:
        """Return the queue id that XFORWARD gave, with the peer's address: "4XyZ@192.0.2.1"; None without one."""
        ident = self.forwarded.get("IDENT")
        return f"{ident}@{self.address}" if ident else None

    def _itself(self) -> Client:
        protocol = ("ESMTP" if self.extended else "SMTP") + ("S" if self.encrypted else "")
        if self._own is None or (self._own.helo, self._own.protocol) != (self.helo, protocol):
            self._own = Client(address=self.address, helo=self.helo, port=self.port, protocol=protocol)
        return self._own


def _described(client: Client, attributes: Mapping[str, str]) -> Client:
    """Return the client as a trusted peer describes it.

    Where no address is given, attributes left out stay as they are.
    """
    known = {field: attributes[name] for name, field in _FIELDS.items() if attributes.get(name)}
    base = Client(protocol=client.protocol) if "address" in known else client
    return Client(
        address=known.get("address", base.address),
        name=known.get("name", base.name),
        helo=known.get("helo", base.helo),
        port=int(attributes.get("PORT") or base.port),
        protocol=known.get("protocol", base.protocol),
    )
