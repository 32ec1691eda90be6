"""Peers at the listener: real TLS, real certificates, and a certificate that is renewed under way."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatekeeper.settings import SettingsError
from tests.peers.certificates import Certificate, make_certificate
from tests.server.peer_checks import checks
from tests.server.talking import Client, Door, open_door, until

NAME = "mail.protection.example.gov"
PEERS = f"""\
peers:
  tenant: {{networks: 127.0.0.0/8, certificate: {NAME}, require: {{X-Tenant: "1"}}}}
"""
OWN, FOREIGN = b"X-Tenant: 1\r\n\r\nHello\r\n.\r\n", b"X-Tenant: 2\r\n\r\nHello\r\n.\r\n"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("theirs"), NAME)


def shown(client: Certificate | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """What a client encrypts with that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    if client:
        context.load_cert_chain(client.certificate, client.key)
    return context


async def encrypt(client: Client, context: ssl.SSLContext) -> None:
    await client.ask("EHLO client.example.gov")
    assert (await client.ask("STARTTLS")).startswith("220 ")
    await client.writer.start_tls(context)
    await client.ask("EHLO client.example.gov")


def settings(ours: Certificate, theirs: Certificate | None = None) -> dict[str, str]:
    given = {"tls_cert": str(ours.certificate), "tls_key": str(ours.key)}
    return given | ({"client_cert_ca": str(theirs.certificate)} if theirs else {})


@pytest.fixture
async def door(ours: Certificate, theirs: Certificate) -> AsyncIterator[Door]:
    async with open_door(peers=checks(PEERS), **settings(ours, theirs)) as opened:
        yield opened


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_who_shows_the_certificate_is_the_peer(door: Door, theirs: Certificate, version: ssl.TLSVersion) -> None:
    client = await door.client()
    await encrypt(client, shown(theirs, version))
    assert (await client.envelope()).startswith("354 ")
    assert await client.ask(OWN) == "250 2.0.0 taken"
    assert door.pipeline.seen[0].peer == "tenant"
    assert (await client.envelope()).startswith("354 ")
    assert (await client.ask(FOREIGN)).startswith("550 5.7.1 Not taken: the field X-Tenant has another value")
    assert len(door.pipeline.seen) == len(door.sink.mails) == 1
    assert (await client.envelope()).startswith("354 "), "the connection goes on"


async def test_in_the_clear_or_without_a_certificate_nothing_is_taken(door: Door) -> None:
    client = await door.client()
    await client.ask("EHLO client.example.gov")
    assert await client.ask("MAIL FROM:<a@doa.example.gov>") == "530 5.7.0 Must issue a STARTTLS command first"
    await encrypt(client, shown(None))
    assert (await client.ask("MAIL FROM:<a@doa.example.gov>")).startswith(
        "550 5.7.1 Not taken: none of yours was shown"
    )


async def test_a_certificate_that_nobody_knows_ends_the_handshake(door: Door, tmp_path: Path) -> None:
    client = await door.client()
    with pytest.raises((ssl.SSLError, OSError)):
        await encrypt(client, shown(make_certificate(tmp_path, NAME), ssl.TLSVersion.TLSv1_2))
    await until(lambda: door.listener.connections == 0)


async def test_a_certificate_of_another_name_is_not_the_peers(
    ours: Certificate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    other = make_certificate(tmp_path, "mail.other.example")
    async with open_door(peers=checks(PEERS), **settings(ours, other)) as door:
        client = await door.client()
        await encrypt(client, shown(other))
        refused = await client.ask("MAIL FROM:<a@doa.example.gov>")
    assert refused.startswith("550 5.7.1 Not taken: yours names mail.other.example; expected a certificate that names")
    assert "peer refused" in caplog.text and "mail.other.example" in caplog.text


async def test_tls_can_be_demanded_of_everybody(ours: Certificate) -> None:
    async with open_door(require_tls="yes", **settings(ours)) as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        assert (await client.ask("MAIL FROM:<a@doa.example.gov>")).startswith("530 5.7.0 ")
        assert (await client.ask("RCPT TO:<b@example.org>")).startswith("503 ")
        await encrypt(client, shown(None))
        assert (await client.envelope()).startswith("354 ")


async def test_a_certificate_and_cas_that_are_renewed_hold_from_the_next_handshake_on(
    ours: Certificate, theirs: Certificate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    live = Certificate(tmp_path / "live.crt", tmp_path / "live.key")
    cas = tmp_path / "cas.pem"
    for source, target in ((ours.certificate, live.certificate), (ours.key, live.key), (theirs.certificate, cas)):
        shutil.copy(source, target)
    given = settings(live) | {"client_cert_ca": str(cas)}
    async with open_door(peers=checks(PEERS), **given) as door:
        before = await door.client()
        await encrypt(before, shown(theirs))
        renewed = make_certificate(tmp_path, "localhost")
        shutil.copy(renewed.certificate, live.certificate)  # and its key comes a moment later
        between = await door.client()
        await encrypt(between, shown(theirs))
        shutil.copy(renewed.key, live.key)
        new = make_certificate(tmp_path, NAME)
        cas.write_bytes(new.certificate.read_bytes())
        after = await door.client()
        await encrypt(after, shown(new))
        der = after.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert der == ssl.PEM_cert_to_DER_cert(renewed.certificate.read_text())
        for client in (before, between, after):
            assert (await client.envelope()).startswith("354 ")
            assert await client.ask(OWN) == "250 2.0.0 taken"
    assert caplog.text.count("cannot be read") == 1 and "was read again" in caplog.text


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"require_tls": "yes"}, "--require-tls: expected --tls-cert and --tls-key too"),
        ({"client_cert_ca": "ca.pem"}, "--client-cert-ca: expected --tls-cert and --tls-key too"),
    ],
)
async def test_what_needs_a_certificate_of_ours_says_so(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        async with open_door(**given):
            pass


async def test_cas_that_are_none_are_told_at_the_start(ours: Certificate, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    with pytest.raises(SettingsError, match=r"--client-cert-ca: .*; expected PEM certificates"):
        async with open_door(**settings(ours), client_cert_ca=str(tmp_path / "ca.pem")):
            pass
