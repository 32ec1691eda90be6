"""Commands that cannot do what was asked say so in a line, and end with a code of sysexits.h."""

from __future__ import annotations

import socket

import pytest
from click.testing import CliRunner

from gatekeeper.cli import main
from tests.peers.gate import RULES


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "hello.eml").write_bytes(b"From: jo@doa.example.gov\n\nHello\n")
    return tmp_path


def run(*words: str):
    return CliRunner().invoke(main, words)


FAILING = {
    "no such command": (64, "nonsense"),
    "a flag is missing": (64, "explain", "hello.eml"),
    "a state that is none": (64, "mailing", "list", "--state", "lost"),
    "a number that is none": (64, "mailing", "show", "M-\u00b2"),
    "a number that no database holds": (64, "mailing", "show", f"M-{'9' * 20}"),
    "no such message": (66, "explain", "none.eml", "--sender", "jo@doa.example.gov"),
    "no such ruleset": (78, "explain", "hello.eml", "--sender", "jo@doa.example.gov", "--rules", "none.yaml"),
    "no such ruleset to check": (66, "rules", "check", "none.yaml"),
    "no such database": (66, "mailing", "list"),
    "a setting that cannot be read": (78, "settings", "--mode", "strict"),
    "no next hop": (78, "serve"),
    "no gate": (69, "demo", "--ops", "127.0.0.1:9", "--listen", "127.0.0.1:9"),
    "a certificate that is not there": (
        78, "serve", "--next-hop", "maildir:out", "--listen", "127.0.0.1:0", "--ops", "off",
        "--tls-cert", "none.pem", "--tls-key", "none.pem",
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", FAILING.values(), ids=FAILING)
def test_a_failure_is_a_line_and_a_code(home, words):
    code, *command = words
    result = run(*command)
    assert result.exit_code == code, result.output
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(("gatekeeper: ", "Error: ")) and "Errno" not in last


def test_an_address_that_is_taken(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run("serve", "--next-hop", "maildir:out", "--listen", listen, "--ops", "off")
    assert result.exit_code == 69, result.output
    assert "--listen" in result.stderr and "in use" in result.stderr
