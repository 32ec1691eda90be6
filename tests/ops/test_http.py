"""The pages for ops, asked over real HTTP."""

import socket
import struct
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from gatekeeper.ops.http import OpsServer, always_well
from gatekeeper.ops.metrics import Metrics
from gatekeeper.settings import Endpoint, SettingsError


@contextmanager
def serving(ready=always_well, alive=always_well, host="127.0.0.1", metrics=None):
    server = OpsServer(Endpoint(host, 0), (metrics or Metrics()).registry, ready, alive)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def ask(server, path, method="GET", host="127.0.0.1"):
    request = urllib.request.Request(f"http://{host}:{server.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics_are_served():
    metrics = Metrics()
    metrics.message("smtp", "hold")
    with serving(metrics=metrics) as server:
        status, text = ask(server, "/metrics")
    assert status == 200 and 'gatekeeper_messages_total{listener="smtp",verdict="hold"} 1.0' in text


def test_readiness_says_why_not_and_then_that_it_is():
    answers = [(False, ("the database cannot be opened", "no ruleset")), (True, ())]
    with serving(ready=lambda: answers.pop(0)) as server:
        assert ask(server, "/readyz") == (503, "not ok\nthe database cannot be opened\nno ruleset\n")
        assert ask(server, "/readyz") == (200, "ok\n")


def test_liveness_is_another_question():
    with serving(ready=lambda: (False, ())) as server:
        assert ask(server, "/livez") == (200, "ok\n")
    with serving(alive=lambda: (False, ("the event loop hangs",))) as server:
        assert ask(server, "/livez") == (503, "not ok\nthe event loop hangs\n")


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/", "GET", 404), ("/readyz", "POST", 405), ("/metrics", "HEAD", 200)]
)
def test_other_requests(path, method, status):
    with serving() as server:
        assert ask(server, path, method)[0] == status


def test_a_client_that_says_nothing_delays_neither_others_nor_the_end():
    with serving() as server, socket.create_connection(("127.0.0.1", server.port)):
        assert ask(server, "/livez")[0] == 200


def test_the_port_is_given_back_and_can_be_had_again():
    with serving() as server:
        port = server.port
    again = OpsServer(Endpoint("127.0.0.1", port), Metrics().registry, always_well)
    again.start()
    assert ask(again, "/livez")[0] == 200
    again.stop()
    again.stop()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_a_port_that_is_taken_is_an_error():
    with serving() as server, pytest.raises(OSError):
        OpsServer(Endpoint("127.0.0.1", server.port), Metrics().registry, always_well).start()


def test_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serving(host="::1") as server:
        assert ask(server, "/livez", host="[::1]")[0] == 200


def test_a_sockets_path_is_refused():
    with pytest.raises(SettingsError, match="expected host:port"):
        OpsServer(Endpoint(path="/run/ops"), Metrics().registry, always_well)


@pytest.mark.parametrize("sent", [b"", b"GET /livez HT", b"GET /metrics HTTP/1.1\r\n"], ids=["silent", "cut", "half"])
def test_an_idle_client_and_one_that_leaves_write_nothing(sent, monkeypatch, capfd, caplog):
    monkeypatch.setattr("gatekeeper.ops.http._Handler.timeout", 0.2)
    with serving() as server:
        for leaves in (False, True):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(sent)
                if leaves:  # a reset, before the answer can be written
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    client.settimeout(10)
                    assert client.recv(1) == b""
        assert ask(server, "/livez")[0] == 200
    assert "Traceback" not in capfd.readouterr().err and not [
        each for each in caplog.records if each.levelname == "ERROR"
    ]


def test_a_fault_of_a_page_is_logged(caplog):
    def broken():
        raise OSError("no such thing")

    with serving(ready=broken) as server:
        assert ask(server, "/readyz")[0] == 500
