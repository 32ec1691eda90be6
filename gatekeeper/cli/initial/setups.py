"""What `gatekeeper init --for` writes beside or in the place of the usual: one set-up for each kind of mail server."""

from __future__ import annotations

from collections.abc import Mapping

from gatekeeper.lib.immutable import immutable
from gatekeeper.rules.peers import networks_of

_GATHER = "  gather: {at: [50, 100, 500, 1000], quiet: 20s, limit: 5m}       # or {from: 50}, or off\n"
_GATHER_FROM = "  gather: {from: 50, quiet: 30s, limit: 10m}          # they cut a mailing at sizes of their own\n"
_DOMAINS = "domains: [example.gov]              # inside as well, but of no agency\n"
_TENANT = "domains: [example.gov, example.onmicrosoft.com]     # inside as well, but of no agency\n"
_DIRECTORY = """\
# directory:
#   - {csv: directory.csv}          # columns: address, user, agency
#   - {aliases: /etc/aliases}       # Postfix alias syntax
"""
_ENTRA = """\
# directory:
#   - entra: example.onmicrosoft.com                # or files by `gatekeeper directory convert` (docs/directory.md)
#     client: 11111111-2222-3333-4444-555555555555
#     secret_file: /etc/gatekeeper/entra-secret
#     agency: department
#     agencies: {Department of Administration: DOA}
#     age: 24h
"""
_GOOGLE = """\
# directory:
#   - google: example.gov                           # or files by `gatekeeper directory convert` (docs/directory.md)
#     subject: directory-reader@example.gov
#     key_file: /etc/gatekeeper/google-key.json
#     agency: orgUnitPath
#     agencies: {/Administration: DOA}
#     age: 24h
"""
_HIDDEN = "  # Some mail program shows in such a message a file,"  # the rule before which another is put
_TNEF = """\
  - id: rich-text
    when: {mass: true, tnef: true}
    then: warn
    say: Send this as HTML, not as rich text; its attachments cannot be seen on the way, nor by many recipients.

"""
_OF_A_TENANT = {
    "mode": "observe",
    "listen": "0.0.0.0:25",
    "hostname": "gate.example.gov",
    "peers": "/etc/gatekeeper/peers.yaml",
    "tls_cert": "/etc/gatekeeper/gate.pem",
    "tls_key": "/etc/gatekeeper/gate.key",
    "require_tls": "yes",
    "authenticated": "127.0.0.0/8",
    "xforward": "none",
    "mark": "X-Example-Gate=/etc/gatekeeper/mark",
    "public_url": "https://gate.example.gov",
}


@immutable
class SetUp:
    """One kind of mail server in front of the gate or behind it."""

    name: str
    page: str  # of docs/, which tells all of it
    settings: Mapping[str, str]  # by name
    rules: tuple[tuple[str, str], ...] = ()  # what stands in the initial rules, and what is written in its place
    service: str = ""  # whose networks its peers have; "" where it has no peers


def _clients(service: str) -> str:
    return ",".join(["127.0.0.0/8", *map(str, networks_of(service))])


SET_UPS = {
    each.name: each
    for each in (
        SetUp(
            "exchange-online",
            "exchange-online.md",
            {
                **_OF_A_TENANT,
                "clients": _clients("Exchange Online"),
                "client_cert_ca": "/etc/ssl/certs/ca-certificates.crt",
                "next_hop": "smtp+starttls://example-gov.mail.protection.outlook.com:25?recipients=100"
                "&cert=/etc/gatekeeper/out.pem&key=/etc/gatekeeper/out.key",
            },
            ((_GATHER, _GATHER_FROM), (_DOMAINS, _TENANT), (_DIRECTORY, _ENTRA), (_HIDDEN, _TNEF + _HIDDEN)),
            service="Exchange Online",
        ),
        SetUp(
            "google",
            "google-workspace.md",
            {
                **_OF_A_TENANT,
                "clients": _clients("Google Workspace"),
                "next_hop": "smtp+starttls://smtp-relay.gmail.com:587?recipients=100",
            },
            ((_GATHER, _GATHER_FROM), (_DIRECTORY, _GOOGLE)),
            service="Google Workspace",
        ),
        SetUp("postfix", "postfix.md", {"mode": "observe", "next_hop": "smtp://mail.example.gov:25"}),
    )
}


def rules_for(text: str, set_up: SetUp) -> str:
    """Return the initial rules as the set-up has them. Raises ValueError where they have changed beneath it."""
    for stands, wanted in set_up.rules:
        if text.count(stands) != 1:
            raise ValueError(f"the initial rules no longer have once: {stands}")
        text = text.replace(stands, wanted)
    return text


def peers_for(text: str, set_up: SetUp) -> str:
    """Return the initial peers with all networks of the service."""
    return text.replace("@networks@\n", "".join(f"      - {each}\n" for each in networks_of(set_up.service)))
