"""Settings of the console: where it may listen, and what each way to sign in needs."""

from __future__ import annotations

import pytest

from gatekeeper.settings import SettingsError, read_settings


def settings(**given):
    return read_settings({"hostname": "gate.example.gov", "next_hop": "maildir:x", **given}, {})


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8025"),
        ({"console": "[::1]:1", "public_url": "https://gate.example.gov/"}, "https://gate.example.gov"),
        (
            {"console": "192.0.2.10:443", "console_tls_cert": "c.pem", "console_tls_key": "k.pem"},
            "https://192.0.2.10:443",
        ),
        ({"console": "192.0.2.10:80", "proxy_networks": "192.0.2.80", "public_url": "https://g"}, "https://g"),
        (
            {"console": "unix:/run/x", "public_url": "https://g", "signin": "proxy", "proxy_header": "X-User"},
            "https://g",
        ),
    ],
)
def test_the_console_has_an_address_where_it_is_safe(given, url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).write_text("")
    assert settings(**given).console_url == url


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"console": "0.0.0.0:8025", "public_url": "https://g"}, "--console-tls-cert"),
        ({"console": "192.0.2.10:8025"}, "--proxy-networks"),
        ({"console": "0.0.0.0:8025", "proxy_networks": "192.0.2.80"}, "--public-url"),
        ({"console_tls_cert": "none.pem", "console_tls_key": "none.pem"}, "no such file"),
        ({"console_tls_cert": "none.pem"}, "go together"),
        ({"signin": "proxy"}, "--proxy-header"),
        ({"signin": "proxy", "proxy_header": "X-User"}, "--proxy-networks"),
        ({"signin": "oidc"}, "--oidc-issuer"),
        ({"signin": "oidc", "oidc_issuer": "https://login.example.gov"}, "--oidc-client-id"),
        ({"oidc_issuer": "http://login.example.gov"}, "expected https"),
        ({"oidc_issuer": "login.example.gov"}, "such as https"),
        ({"oidc_issuer": "https://login.example.gov?x"}, "such as https"),
        ({"oidc_issuer": "https://login.example.gov/common/v2.0", "oidc_trust_claim": "yes"}, "of one tenant"),
        ({"oidc_trust_claim": "maybe"}, "yes or no"),
        ({"oidc_client_secret_file": "none"}, "no such file"),
        ({"signin": "ldap"}, "expected some of"),
        ({"proxy_header": "X User:"}, "no header field"),
        ({"session_idle": "soon"}, "length of time"),
    ],
)
def test_what_would_not_be_safe_or_cannot_work_is_refused(given, told):
    with pytest.raises(SettingsError, match=told):
        assert settings(**given).console_url


def test_ways_in_are_kept_in_their_order():
    assert settings(signin="link, local,link").signing_in.signin == ("link", "local")
    assert settings(signin="none").signing_in.signin == settings(signin="").signing_in.signin == ()
