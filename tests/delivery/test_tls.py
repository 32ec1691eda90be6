"""TLS and login to a next hop: demanded means demanded."""

import asyncio
import shutil
import socket
import ssl

import pytest

from tests.peers.certificates import make_certificate
from tests.peers.sink import Sink, say, say_and_close


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def route(scheme, sink, certificate, user="", options="", host="localhost"):
    return f"{scheme}://{user}{host}:{sink.port}?ca={certificate.certificate}{options}"


async def test_starttls(hop_to, certificate):
    async with Sink(certificate=certificate) as sink:
        hop = hop_to(route("smtp+starttls", sink, certificate))
        for _ in range(2):
            assert (await hop.send(content=b"x" * 3_000_000 + b"\r\n"))[1].ok
        assert [mail.tls for mail in sink.mails] == [True, True] and sink.connections == 1
        assert sink.commands["EHLO"] == 2, "what was offered in the clear does not count"


async def test_tls_from_the_start(hop_to, certificate):
    async with Sink(certificate=certificate, implicit_tls=True) as sink:
        assert (await hop_to(route("smtps", sink, certificate)).send())[1].ok
        assert sink.mails[0].tls


@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "502 5.5.1 what"])
async def test_starttls_refused_is_down(hop_to, certificate, answer):
    async with Sink(certificate=certificate) as sink:
        sink.at("STARTTLS", say(answer))
        hop = hop_to(route("smtp+starttls", sink, certificate))
        assert (await hop.send())[1].enhanced == "4.4.1"
        assert sink.commands["MAIL"] == 0 and hop.errors["tls"] == 1


async def test_starttls_not_offered_is_down(hop_to, certificate):
    async with Sink() as sink:
        hop = hop_to(route("smtp+starttls", sink, certificate))
        assert (await hop.send())[1].enhanced == "4.4.1"
        assert sink.commands["MAIL"] == 0 and hop.errors["tls"] == 1


async def test_what_follows_the_answer_to_starttls_in_the_clear_is_not_taken(hop_to, certificate):
    async with Sink(certificate=certificate) as sink:
        sink.at("STARTTLS", say_and_close("220 2.0.0 go ahead\r\n250-injected\r\n250 AUTH PLAIN"))
        hop = hop_to(route("smtp+starttls", sink, certificate))
        assert (await hop.send())[1].enhanced == "4.4.1"
        assert hop.errors["tls"] == 1


@pytest.mark.parametrize("implicit", [True, False])
async def test_a_certificate_of_another_is_refused(hop_to, certificate, tmp_path, implicit):
    other = make_certificate(tmp_path, "other.example.org")
    async with Sink(certificate=other, implicit_tls=implicit) as sink:
        scheme = "smtps" if implicit else "smtp+starttls"
        for trusted in (certificate, other):  # an unknown CA; another name
            hop = hop_to(route(scheme, sink, trusted))
            assert (await hop.send())[1].enhanced == "4.4.1"
            assert hop.errors["tls"] == 1
        assert sink.commands["MAIL"] == 0


async def test_login(hop_to, certificate, tmp_path):
    (tmp_path / "password").write_text("s3cret\n")
    async with Sink(certificate=certificate, login=("gate", "s3cret")) as sink:
        text = route("smtp+starttls", sink, certificate, "gate@", f"&password-file={tmp_path}/password")
        assert (await hop_to(text).send())[1].ok
        sink.login = ("gate", "changed")
        hop = hop_to(text)
        assert (await hop.send())[1].enhanced == "4.4.1"
        assert hop.errors["auth"] == 1


# -- a next hop that knows us by our certificate -------------------------------------------------------------------

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def ours(tmp_path):
    (tmp_path / "ours").mkdir()
    return make_certificate(tmp_path / "ours", "gate.example.gov")


def asking(certificate, client, version=ssl.TLSVersion.TLSv1_3, **options):
    """A sink that speaks this version of TLS, and wants a certificate of its clients."""
    sink = Sink(certificate=certificate, **options)
    sink.tls.minimum_version = sink.tls.maximum_version = version
    knows_only(sink, client)
    return sink


def knows_only(sink, client):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = sink.tls.minimum_version, sink.tls.maximum_version
    context.load_cert_chain(sink.certificate.certificate, sink.certificate.key)
    context.load_verify_locations(client.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    sink.tls = context


def shown(files):
    return f"&cert={files.certificate}&key={files.key}"


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_our_certificate_is_shown(hop_to, certificate, ours, version, scheme):
    async with asking(certificate, ours, version, implicit_tls=scheme == "smtps") as sink:
        assert (await hop_to(route(scheme, sink, certificate, options=shown(ours))).send())[1].ok
        assert sink.mails[0].tls


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_who_shows_none_is_refused_for_now(hop_to, certificate, ours, version, scheme, caplog, tmp_path):
    async with asking(certificate, ours, version, implicit_tls=scheme == "smtps") as sink:
        for options in ("", shown(make_certificate(tmp_path, "other.example.gov"))):
            hop = hop_to(route(scheme, sink, certificate, options=options))
            assert str((await hop.send())[1]).startswith("451 4.4.1")
            assert hop.errors["tls"] == 1 and sink.commands["MAIL"] == 0
    assert caplog.text.count("kind=tls") == 2
    assert version is VERSIONS[0] or caplog.text.count("it may want a certificate of ours") == 2


async def test_an_alert_after_the_handshake_is_in_the_log(hop_to, certificate, ours, caplog):
    sink = asking(certificate, ours)  # for its context: asyncio's servers end without an alert, OpenSSL's send one
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sink.port = listening.getsockname()[1]
        hop = hop_to(route("smtps", sink, certificate))
        sending = asyncio.create_task(hop.send())
        connection, _ = await asyncio.to_thread(listening.accept)
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(sink.tls.wrap_socket, connection, server_side=True)
        assert str((await sending)[1]).startswith("451 4.4.1")
    assert "ALERT_CERTIFICATE_REQUIRED" in caplog.text and hop.errors["tls"] == 1


async def test_a_certificate_is_renewed_without_a_restart(hop_to, certificate, ours, tmp_path, caplog):
    caplog.set_level("INFO")
    async with asking(certificate, ours) as sink:
        hop = hop_to(route("smtp+starttls", sink, certificate, options=shown(ours)), idle=0.0)
        assert (await hop.send())[1].ok
        new = make_certificate(tmp_path, "gate.example.gov")
        shutil.copy(new.certificate, ours.certificate)  # and its key comes a moment later
        assert (await hop.send())[1].ok, "in the middle of a renewal the one before is shown"
        assert (await hop.send())[1].ok
        assert caplog.text.count("cannot be read") == 1
        shutil.copy(new.key, ours.key)
        knows_only(sink, new)
        assert (await hop.send())[1].ok
        assert "was read again" in caplog.text and len(sink.mails) == 4
        ours.key.unlink()
        assert (await hop.send())[1].ok


async def test_certificates_that_are_renewed_under_load_lose_no_mail(hop_to, certificate, ours, tmp_path):
    """Each message is taken, whichever of the two its connection was made with."""
    new = make_certificate(tmp_path, "renewed.example.gov")
    async with asking(certificate, ours) as sink:
        sink.tls.load_verify_locations(new.certificate)
        hop, sent = hop_to(route("smtp+starttls", sink, certificate, options=shown(ours)), idle=0.0), 0
        for source, target in ((new.certificate, ours.certificate), (new.key, ours.key), (None, None)):
            answers = await asyncio.gather(*(hop.send() for _ in range(8)))
            assert {reply.code for _, reply in answers} == {250}
            sent += len(answers)
            if source:
                shutil.copy(source, target)
        assert len(sink.mails) == sent == 24
