"""Where the console listens: with TLS of its own, on a unix socket, not at all where it would not be safe."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import re
import socket
from contextlib import closing
from functools import partial

import pytest

from gatekeeper.rules import read_ruleset
from gatekeeper.service import console
from gatekeeper.service.messages import CONSOLE, StartParameters
from gatekeeper.settings import read_settings
from gatekeeper.store import Database, Store, rulesets
from gatekeeper.store.rulesets import StoredRuleset
from tests.peers import free_port, wait_for
from tests.peers.certificates import make_certificate
from tests.peers.gate import RULES, Gate
from tests.store.databases import lay_out

CIO = "cio@example.gov"


def ask(connection, method, path, **headers):
    """An answer, and its cookies."""
    connection.request(method, path, headers={"Sec-Fetch-Site": "same-origin", **headers})
    answer = connection.getresponse()
    answer.read()
    return answer


def test_with_tls_of_its_own_browsers_are_told_to_come_by_it_alone(tmp_path):
    certificate, port = make_certificate(tmp_path), free_port()
    own = {
        "GATEKEEPER_CONSOLE": f"127.0.0.1:{port}",
        "GATEKEEPER_CONSOLE_TLS_CERT": str(certificate.certificate),
        "GATEKEEPER_CONSOLE_TLS_KEY": str(certificate.key),
    }
    with Gate("maildir:out", environment=own) as gate:
        link = gate.cli("account", "link", CIO).stdout.strip()
        assert link.startswith(f"https://127.0.0.1:{port}/signin/start/")

        def answers():
            try:
                with closing(connect()) as connection:
                    return ask(connection, "GET", "/livez").status == 200
            except OSError:
                return False

        def connect():
            return http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=certificate.client_context())

        wait_for(answers, gate.log)
        with closing(connect()) as connection:
            answer = ask(connection, "POST", link.partition(str(port))[2])
        assert answer.status == 303 and answer.headers["strict-transport-security"] == "max-age=31536000"
        cookies = answer.headers.get_all("set-cookie")
        assert all(re.match(r"__Host-gatekeeper(-step)?=.*; Path=/; SameSite=lax; Secure$", each) for each in cookies)
        assert "HttpOnly" in cookies[0] and "Domain" not in cookies[0]


class UnixConnection(http.client.HTTPConnection):
    """A proxy's connection to a unix socket."""

    def __init__(self, path):
        super().__init__("gate.example.gov", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def test_a_proxy_at_a_unix_socket_says_who_somebody_is(tmp_path):
    path = str(tmp_path / "console")
    own = {
        "GATEKEEPER_CONSOLE": f"unix:{path}",
        "GATEKEEPER_PUBLIC_URL": "https://gate.example.gov",
        "GATEKEEPER_SIGNIN": "proxy",
        "GATEKEEPER_PROXY_HEADER": "X-Remote-User",
    }
    with Gate("maildir:out", environment=own) as gate:

        def signed_in():
            try:
                with closing(UnixConnection(path)) as connection:
                    return ask(connection, "POST", "/signin/proxy", **{"X-Remote-User": CIO}).status == 303
            except OSError:
                return False

        wait_for(signed_in, gate.log)
        assert "signed in who=<cio@example.gov> client=unix by=console:proxy" in gate.log()


@pytest.mark.parametrize("place", ["0.0.0.0:0", "192.0.2.10:8025"])
def test_elsewhere_without_tls_or_a_proxy_it_does_not_start(tmp_path, place):
    with Gate("maildir:out", environment={"GATEKEEPER_CONSOLE": "off"}) as gate:
        words = ("console", "--console", place, "--public-url", "https://gate.example.gov")
        done = gate.cli(*words, check=False)
        assert done.returncode == 78 and "--console-tls-cert" in done.stderr


@pytest.mark.parametrize(("url", "is_told"), [("http://gate.example.gov", True), ("https://gate.example.gov", False)])
def test_the_log_says_that_by_plain_http_no_form_is_taken(tmp_path, caplog, url, is_told):
    with closing(Store(Database(lay_out(tmp_path / "gate.db"), 30))) as store:
        store.open()
        console._desk(read_settings({"next_hop": "smtp://127.0.0.1:25", "public_url": url}, {}), store)
    assert ("--public-url" in caplog.text and "https:" in caplog.text) is is_told


def test_a_certificate_that_is_none_is_an_error_of_the_settings(tmp_path):
    (tmp_path / "none.pem").write_text("no certificate")
    own = {
        "GATEKEEPER_CONSOLE": f"127.0.0.1:{free_port()}",
        "GATEKEEPER_CONSOLE_TLS_CERT": str(tmp_path / "none.pem"),
        "GATEKEEPER_CONSOLE_TLS_KEY": str(tmp_path / "none.pem"),
    }
    gate = Gate("maildir:out", environment=own)
    gate.start(wait=False)
    assert gate.wait_dead() == 78 and "--console-tls-cert and --console-tls-key:" in gate.log()


async def test_a_console_that_cannot_serve_ends_and_is_not_said_to_be_ready(tmp_path, monkeypatch):
    """Whatever the server fails of: the gate starts another one, where it would wait for ever for this one."""

    async def fail(self, sockets):
        raise OSError("no")

    monkeypatch.setattr(console._ChildServer, "serve", fail)
    monkeypatch.setattr(console, "_give_way", lambda memory: None)
    database = lay_out(tmp_path / "gate.db")
    with closing(Store(Database(database, 30))) as store:
        store.open()
        stored = StoredRuleset(read_ruleset(write_rules(tmp_path)).digest, str(tmp_path / "rules.yaml"), RULES)
        store.call(partial(rulesets.put_in_force, ruleset=stored, now=0.0))
    settings = read_settings({"database": database, "next_hop": "smtp://127.0.0.1:25"}, {})
    ours, theirs = socket.socketpair()
    with closing(ours), closing(socket.socket()) as listening:
        orders = StartParameters(settings.texts, settings.origins, "00" * 16, {CONSOLE: (os.dup(listening.fileno()),)})
        ours.sendall(orders.encode())
        with pytest.raises(OSError, match=r"^no$"):
            await asyncio.wait_for(console.live(theirs), 20)
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            assert ours.recv(1) == b""  # it has reported nothing


def write_rules(folder):
    path = folder / "rules.yaml"
    path.write_text(RULES)
    return path
