"""--next-hop as people type it."""

import pytest

from gatekeeper.delivery.route_url import FixedHosts, Login, MaildirFolder, MxDomain, Security, read_next_hop
from gatekeeper.settings import SettingsError
from tests.peers.certificates import make_certificate


def places(text):
    route = read_next_hop(text)
    assert isinstance(route, FixedHosts)
    return [(host.name, host.port) for host in route.hosts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtp://mail.example.gov", [("mail.example.gov", 25)]),
        ("smtp://127.0.0.1:2525", [("127.0.0.1", 2525)]),
        ("smtp://[2001:db8::1]:26", [("2001:db8::1", 26)]),
        ("smtp://a.example.gov:1,b.example.gov:2, c", [("a.example.gov", 1), ("b.example.gov", 2), ("c", 25)]),
        ("smtps://mail.example.gov", [("mail.example.gov", 465)]),
        ("smtp+starttls://mail.example.gov", [("mail.example.gov", 25)]),
    ],
)
def test_hosts_in_order(text, expected):
    assert places(text) == expected


def test_encryption_is_what_the_scheme_says():
    kinds = {"smtp": Security.NONE, "smtps": Security.TLS, "smtp+starttls": Security.STARTTLS}
    for scheme, security in kinds.items():
        (host,) = read_next_hop(f"{scheme}://mail.example.gov").hosts
        assert host.security is security and (host.tls is None) == (security is Security.NONE)


def test_other_routes(tmp_path):
    assert read_next_hop("mx://example.gov") == MxDomain("example.gov", 25) == MxDomain("example.gov")
    assert read_next_hop(f"maildir:{tmp_path}") == MaildirFolder(tmp_path)


def test_the_most_recipients_of_a_transaction():
    assert read_next_hop("smtp://a.example.gov,b.example.gov?recipients=100").recipients == 100
    assert read_next_hop("mx://example.gov?recipients=500") == MxDomain("example.gov", 25, 500)
    assert read_next_hop("smtp://mail.example.gov").recipients is None


def test_a_password_comes_from_a_file_and_is_not_shown(tmp_path):
    (tmp_path / "password").write_text("s3cret:é\n")
    (host,) = read_next_hop(f"smtps://gate%40example.gov@mail.example.gov?password-file={tmp_path}/password").hosts
    assert host.login == Login("gate@example.gov", "s3cret:é")
    assert "s3cret" not in repr(host) + str(host) + repr(host.login)


def test_a_ca_file_is_trusted_alone(tmp_path):
    files = make_certificate(tmp_path)
    (host,) = read_next_hop(f"smtps://localhost?ca={files.certificate}").hosts
    assert len(host.tls.context().get_ca_certs()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mail.example.gov:25",
        "http://mail.example.gov",
        "smtp://",
        "smtp://a,,b",
        "smtp://host:0",
        "smtp://host:70000",
        "smtp://host:x",
        "smtp://-host",
        "smtp://ho st",
        "smtp://host/path",
        "smtp://host?colour=red",
        "smtp://host?recipients=0",
        "smtp://host?recipients=",
        "smtp://host?recipients=-1",
        "smtp://host?recipients=ten",
        "mx://example.gov?ca=/etc/hostname",
        "smtp://gate@host?password-file=/dev/null",
        "smtps://gate@host",
        "smtps://gate:secret@host",
        "smtps://host?password-file=/dev/null",
        "smtps://gate@host?password-file=/does/not/exist",
        "smtps://host?ca=/does/not/exist",
        "smtps://host?cert=/does/not/exist",
        "smtps://host?cert=/etc/hostname",
        "smtps://host?key=/etc/hostname",
        "smtp://host?cert=/etc/hostname",
        "mx://",
        "mx://localhost",
        "mx://[192.0.2.1]",
        "mx://a.example,b.example",
        "maildir:",
    ],
)
def test_what_cannot_be_used_says_what_was_expected(text):
    with pytest.raises(SettingsError, match=r"--next-hop.*expected"):
        read_next_hop(text)
