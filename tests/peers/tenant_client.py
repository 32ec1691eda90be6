"""A stand-in for Exchange Online's side: what a tenant hands to the gate by its connector.

Every tenant of the service connects from the same addresses with the same certificate; only its X-MS fields tell which
one it is. Lists are expanded before: the members are in the envelope, the list's name is in To and in ORCPT. A list is
forked at so many members, and what a server answers with 452 4.5.3 comes again in a further transaction.

    client = TenantClient(gate.port, certificate)
    client.send("news@doa.example.gov", message, to={"staff@example.gov": members})

What such a service really does beside this could not be tried (docs/exchange-online.md).
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.peers.certificates import Certificate

SERVICE = "mail.protection.example.net"  # the name on the certificate that all tenants share
OURS, THEIRS = "11112222-3333-4444-5555-666677778888", "aaaabbbb-cccc-dddd-eeee-ffff00001111"
FORK = 1000  # members of a list in one transaction


def peers_file(networks: str = "127.0.0.0/8", *, vouches: bool = True) -> str:
    """The file of --peers for the tenant OURS."""
    return f"""\
peers:
  tenant:
    networks: {networks}
    certificate: {SERVICE}
    shared: true
    require: {{X-MS-Exchange-CrossTenant-Id: {OURS}, X-OriginatorOrg: [example.gov, example.onmicrosoft.com]}}
    from: {str(vouches).lower()}
"""


def settings_for(ours: Certificate, service: Certificate, peers: str) -> list[str]:
    """The flags of a gate in front of the service. Args: `peers` is the path of the file of peers."""
    return [
        *(
            "--tls-cert",
            str(ours.certificate),
            "--tls-key",
            str(ours.key),
            "--client-cert-ca",
            str(service.certificate),
        ),
        *("--peers", peers, "--require-tls", "yes", "--authenticated", "none"),
    ]


@dataclass
class Part:
    """One transaction: what it was answered, and who was in it."""

    code: int
    text: str
    recipients: list[str]


@dataclass
class TenantClient:
    """A tenant's connector. Args: `cut` is how many recipients it hands over at most in one transaction."""

    port: int
    certificate: Certificate | None
    tenant: str = OURS
    organisation: str = "example.gov"
    fork: int = FORK
    cut: int = FORK
    host: str = "127.0.0.1"
    says_orcpt: bool = True
    parts: list[Part] = field(default_factory=list)

    def send(
        self,
        author: str,
        text: str,
        to: Mapping[str, Sequence[str]] | Sequence[str],
        *,
        sender: str | None = None,
        header: Iterable[str] = (),
        shown: Sequence[str] | None = None,
    ) -> list[Part]:
        """Hand a message over, in as many transactions as it takes; what came of each.

        Args: `to` are people, or lists with their members; `sender` of MAIL FROM is `author` where left out.
        `shown` are in the field To, where these are not the same.
        """
        lists = to if isinstance(to, Mapping) else {address: [address] for address in to}
        content = self._content(author, text, list(lists) if shown is None else shown, header)
        sent: list[Part] = []
        for recipients in self._forks(lists):
            while recipients:
                part, recipients = self._transaction(author if sender is None else sender, recipients, content)
                sent.append(part)
        self.parts += sent
        return sent

    def _content(self, author: str, text: str, shown: Sequence[str], header: Iterable[str]) -> bytes:
        lines = [
            f"From: {author}",
            f"To: {', '.join(shown)}",
            *header,
            f"X-MS-Exchange-CrossTenant-Id: {self.tenant}",
            f"X-OriginatorOrg: {self.organisation}",
            "X-MS-Exchange-CrossTenant-AuthAs: Internal",
            "",
            text,
        ]
        return "\r\n".join(lines).encode()

    def _forks(self, lists: Mapping[str, Sequence[str]]) -> Iterator[list[tuple[str, str]]]:
        """Yield the recipients of each transaction, with what the author wrote in their place."""
        all_of_them = [(member, name) for name, members in lists.items() for member in members]
        size = min(self.fork, self.cut)
        for start in range(0, len(all_of_them), size):
            yield all_of_them[start : start + size]

    def _transaction(
        self, sender: str, recipients: Sequence[tuple[str, str]], content: bytes
    ) -> tuple[Part, list[tuple[str, str]]]:
        """One transaction, and who is to come in the next because there were too many."""
        with smtplib.SMTP(self.host, self.port, f"gcc01.{SERVICE}", 60) as client:
            client.ehlo()
            if self.certificate:
                self._encrypt(client)
            code, answer = client.mail(sender)
            if code != 250:
                return Part(code, answer.decode(), []), []
            originals = self.says_orcpt and client.has_extn("dsn")
            taken, later = [], []
            for address, written in recipients:
                code, answer = client.rcpt(address, [f"ORCPT=rfc822;{written}"] if originals else [])
                if code == 250:
                    taken.append(address)
                elif code == 452 and answer.startswith(b"4.5.3") and taken:
                    later.append((address, written))
                else:
                    return Part(code, answer.decode(), taken), []
            try:
                code, answer = client.data(content)
            except smtplib.SMTPDataError as error:
                code, answer = error.smtp_code, bytes(error.smtp_error)
            return Part(code, answer.decode(), taken), later

    def _encrypt(self, client: smtplib.SMTP) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        assert self.certificate
        context.load_cert_chain(self.certificate.certificate, self.certificate.key)
        client.starttls(context=context)
        client.ehlo()
