"""A gate as `gatekeeper init --for exchange-online` or `google` sets it up, between two sides of a tenant.

Its directory comes from Graph or Google, its mail by the tenant's connector; its next hop is the tenant's front door.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatekeeper.cli import main
from tests.directory.loaders.test_entra import key_file
from tests.peers import wait_for
from tests.peers.certificates import Certificate, make_certificate
from tests.peers.gate import Gate
from tests.peers.graph import Cloud
from tests.peers.tenant_client import OURS, SERVICE, THEIRS, Part, TenantClient
from tests.peers.tenant_hop import TenantHop

EXCHANGE = "mail.protection.outlook.com"
PEOPLE = [f"u{number}@{'doa' if number % 2 else 'dphhs'}.example.gov" for number in range(2400)]
MARK = "0123456789abcdef0123456789abcdef"
AUTHOR, OTHER = "u1@doa.example.gov", "u2@dphhs.example.gov"
TO_REPLACE = "replace-by-a-random-secret"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("service"), SERVICE)


@pytest.fixture
def google(ours: Certificate) -> Iterator[Cloud]:
    """The same people as an account of Google Workspace."""
    users = [{"primaryEmail": mail, "orgUnitPath": "/"} for mail in PEOPLE]
    groups = [{"id": "a", "email": "all@example.gov"}]
    cloud = Cloud(
        users=users, groups=groups, members={"all@example.gov": [{"type": "CUSTOMER", "id": "C01"}]}, page=500
    )
    with cloud.by_https(ours):
        yield cloud


@pytest.fixture
def graph(ours: Certificate) -> Iterator[Cloud]:
    """The tenant's directory: everybody, and a group of all of them."""
    users = [{"id": f"{number}", "mail": mail, "userType": "Member"} for number, mail in enumerate(PEOPLE)]
    members = [{"@odata.type": "#microsoft.graph.user", **user} for user in users]
    groups = [{"id": "g", "mail": "all@example.gov", "proxyAddresses": ["SMTP:all@example.gov"]}]
    cloud = Cloud(users=users, groups=groups, members={"g": members}, page=999)
    with cloud.by_https(ours):
        yield cloud


def set_up(folder: Path, kind: str, source: str, ours: Certificate, service: Certificate, hop: TenantHop) -> Gate:
    """Follow the checklist: what init writes, with the names of this tenant. Args: `source` of the directory."""
    assert CliRunner().invoke(main, ["init", "--for", kind, str(folder)]).exit_code == 0
    text = {path.name: path.read_text() for path in folder.iterdir()}
    before, after = re.split(r"^# directory:\n(?:#   .*\n)+", text["rules.yaml"], flags=re.MULTILINE)
    rules = f"{before}directory: [{{{source}, ca: '{ours.certificate}'}}]\n{after}"
    peers = re.sub(r"networks:(?: \[.*\]|(?:\n +- .*)+)", "networks: [127.0.0.0/8]", text["peers.yaml"])
    peers = peers.replace(EXCHANGE, SERVICE).replace(TO_REPLACE, MARK).replace("require:", "shared: true\n    require:")
    settings = dict(re.findall(r"^(GATEKEEPER_\w+)=(.*)$", text["gatekeeper.env"], flags=re.MULTILINE))
    files = {"peers.yaml": peers, "mark": f"{MARK}\n", "secret": "s3cr3t\n"}
    gate = Gate(f"smtp://127.0.0.1:{hop.port}", rules=rules, files=files)
    there = {
        "MODE": "enforce",
        "CLIENTS": "127.0.0.0/8",
        "PEERS": str(gate.home / "peers.yaml"),
        "TLS_CERT": str(ours.certificate),
        "TLS_KEY": str(ours.key),
        "MARK": f"X-Example-Gate={gate.home / 'mark'}",
        "NEXT_HOP": f"smtp://127.0.0.1:{hop.port}?recipients=100",
    }
    there |= {"CLIENT_CERT_CA": str(service.certificate)} if "GATEKEEPER_CLIENT_CERT_CA" in settings else {}
    own = {name: gate.environment[name] for name in gate.environment if name.startswith("GATEKEEPER_")}
    gate.environment |= settings | own | {f"GATEKEEPER_{name}": value for name, value in there.items()}
    (gate.home / "mark").chmod(0o600)
    return gate


def entra(cloud: Cloud) -> str:
    return (
        f"entra: example.onmicrosoft.com, client: app, secret_file: secret, "
        f"server: '{cloud.origin}', login: '{cloud.origin}'"
    )


@pytest.fixture
async def hop() -> AsyncIterator[TenantHop]:
    async with TenantHop(recipient_limit=100) as tenant:
        yield tenant


def delivered(hop: TenantHop, subject: str) -> list[str]:
    mails = [mail for mail in list(hop.mails) if f"Subject: {subject}\r\n".encode() in mail.content]
    return sorted(address for mail in mails for address in mail.addresses)


async def send(
    client: TenantClient, subject: str, people: Sequence[str] = PEOPLE, author: str = AUTHOR, account: str = MARK
) -> list[Part]:
    """Mail to the group of all, which its author has put in Bcc. Args: `account` is the secret of Google's rule."""
    header, text = [f"Subject: {subject}", f"X-Example-Account: {account}"], "The doors are open from eight."
    to = {"all@example.gov": people}
    return await asyncio.to_thread(client.send, author, text, to, header=header, shown=[author])


async def test_an_internal_mailing_is_counted_held_approved_and_back_in_parts_without_a_loop(
    tmp_path: Path, graph: Cloud, ours: Certificate, service: Certificate, hop: TenantHop
) -> None:
    async with set_up(tmp_path, "exchange-online", entra(graph), ours, service, hop) as gate:
        hop.bring_back(gate.port, unless=f"X-Example-Gate: {MARK}".encode())
        sources = gate.cli("directory", "list").stdout
        assert "entra" in sources and "fresh" in sources, sources
        parts = await send(TenantClient(gate.port, service), "Open day")
        assert {part.code for part in parts} == {250} and "Held for approval" in parts[-1].text, parts
        assert delivered(hop, "Open day") == []
        (held,) = gate.mailings("held")
        assert (held["users"], set(held["agencies"])) == (2400, {"DOA", "DPHHS"})
        (refused,) = await send(TenantClient(gate.port, service, tenant=THEIRS), "Evil", PEOPLE[:10])
        assert refused.code == 550
        gate.cli("mailing", "approve", held["id"], "--by", "cio@example.gov")
        await asyncio.to_thread(wait_for, lambda: len(delivered(hop, "Open day")) >= 2400, gate.log, 60)
        await hop.idle()
        assert delivered(hop, "Open day") == sorted(PEOPLE), "each person once"
        assert max(len(mail.addresses) for mail in hop.mails) <= 100
        assert all(f"X-Example-Gate: {MARK}".encode() in mail.content for mail in hop.mails)
        assert hop.returned == [], "the mark told the tenant's rule that it was here"
        assert OURS.encode() in hop.mails[-1].content, "fields of the service pass"


async def test_while_the_gate_is_away_the_tenant_waits_and_a_mailing_stays_one(
    tmp_path: Path, graph: Cloud, ours: Certificate, service: Certificate, hop: TenantHop
) -> None:
    """Its first part came before; the rest is tried again until somebody answers."""
    async with set_up(tmp_path, "exchange-online", entra(graph), ours, service, hop) as gate:
        client = TenantClient(gate.port, service)
        (part,) = await send(client, "Moved", PEOPLE[:1000])
        assert part.code == 250
        gate.kill()
        with pytest.raises(ConnectionRefusedError):
            await send(client, "Moved", PEOPLE[1000:])
        gate.start()
        parts = await send(client, "Moved", PEOPLE[1000:])
        assert "Held for approval" in parts[-1].text and delivered(hop, "Moved") == []
        (held,) = gate.mailings("held")
        assert held["users"] == 2400
        gate.cli("mailing", "approve", held["id"], "--by", "cio@example.gov")
        await asyncio.to_thread(wait_for, lambda: len(delivered(hop, "Moved")) >= 2400, gate.log, 60)
        assert delivered(hop, "Moved") == sorted(PEOPLE)


async def test_google_tells_ours_by_a_secret_and_a_pilot_agency_is_the_first_whose_mail_is_held(
    tmp_path: Path, google: Cloud, ours: Certificate, service: Certificate, hop: TenantHop
) -> None:
    """Agency by agency (docs/google-workspace.md): the others' mailings pass and are counted; then all are held."""
    source = f"google: example.gov, subject: reader@example.gov, key_file: key.json, server: '{google.origin}'"
    gate = set_up(tmp_path, "google", source, ours, service, hop)
    gate.write("key.json", key_file(google))
    rules = (gate.home / "rules.yaml").read_text()
    gate.write("rules.yaml", f"{rules}\nenforce: [DOA]\n")
    async with gate:
        client = TenantClient(gate.port, service, fork=500)
        (refused,) = await send(client, "Evil", PEOPLE[:10], account="guessed")
        assert refused.code == 550 and hop.mails == []
        pilot = await send(client, "Open day")
        assert "Held for approval" in pilot[-1].text and delivered(hop, "Open day") == []
        await send(client, "Vaccination", author=OTHER)
        await asyncio.to_thread(wait_for, lambda: len(delivered(hop, "Vaccination")) >= 2400, gate.log, 60)
        assert delivered(hop, "Vaccination") == sorted(PEOPLE), "each person once, in parts of a hundred"
        gate.write("rules.yaml", rules)
        gate.reload()
        everybody = lambda: json.loads(gate.cli("mode", "--json").stdout)["enforced_agencies"] is None  # noqa: E731
        await asyncio.to_thread(wait_for, everybody, gate.log)
        assert "Held for approval" in (await send(client, "Flu", author=OTHER))[-1].text
        assert delivered(hop, "Flu") == []
