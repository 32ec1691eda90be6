"""Where the console listens: with TLS of its own, on a unix socket, not at all where it would not be safe."""

from __future__ import annotations

import http.client
import re
import socket
from contextlib import closing

import pytest

from tests.peers import free_port, wait_for
from tests.peers.certificates import make_certificate
from tests.peers.gate import Gate

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
