"""TLS and login to a next hop: demanded means demanded."""

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
