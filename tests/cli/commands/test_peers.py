"""`gatekeeper peers`: what is wrong with the file, who is in it, and its schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatekeeper.cli import main

ROOT = Path(__file__).parents[3]
GOOD = """\
peers:
  tenant:
    networks: [104.47.0.0/17, 192.0.2.1]
    certificate: mail.protection.outlook.com
    require: {X-OriginatorOrg: example.gov, X-Secret: hunter2}
    from: true
  relay: {networks: 127.0.0.1}
"""
AROUND = ("--clients", "104.47.0.0/17,192.0.2.1,127.0.0.1", "--authenticated", "none", "--xforward", "none")
TLS = ("--tls-cert", "a.pem", "--tls-key", "a.key", "--client-cert-ca", "ca.pem")


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "peers.yaml"
    path.write_text(GOOD)
    return path


def run(*words, **environment):
    return CliRunner().invoke(main, ["peers", *words], env=environment)


def test_a_good_file(file):
    assert run("check", "peers.yaml", *AROUND, *TLS).output == "peers.yaml: good\n"
    assert run("check", *AROUND, *TLS, GATEKEEPER_PEERS="peers.yaml").output == "peers.yaml: good\n"


def test_settings_that_do_not_go_with_it_are_warnings(file):
    done = run("check", "peers.yaml", "--clients", "104.47.0.0/17")
    assert done.exit_code == 0
    *warnings, last = done.output.splitlines()
    assert last == "peers.yaml: good, 5 warnings"
    assert warnings[0].startswith("peers.yaml:1:1: warning: peer tenant is known by its certificate, and without")


def test_mistakes_are_told_with_their_place(file):
    file.write_text(GOOD.replace("certificate", "certificat").replace("from: true", "from: perhaps"))
    done = run("check", "peers.yaml")
    assert done.exit_code == 65
    assert [line.split(" ")[0] for line in done.output.splitlines()] == ["peers.yaml:4:5:", "peers.yaml:6:11:"]
    (first, _) = json.loads(run("check", "peers.yaml", "--json").output)
    assert (first["line"], first["column"], first["severity"]) == (4, 5, "error")
    assert run("check", "peers.yaml", "--format", "github").output.startswith("::error file=peers.yaml,line=4,col=5::")


def test_who_is_in_it_and_no_secret(file):
    shown = run("show", "peers.yaml").output
    assert "hunter2" not in shown and "X-OriginatorOrg X-Secret" in shown and "vouched for" in shown
    tenant, relay = json.loads(run("show", "peers.yaml", "--json").output)
    assert tenant["networks"] == ["104.47.0.0/17", "192.0.2.1/32"] and tenant["tls"] and tenant["from"]
    assert relay == {
        "name": "relay",
        "networks": ["127.0.0.1/32"],
        "certificate": [],
        "require": [],
        "from": False,
        "tls": False,
    }


def test_a_file_that_is_not_there_or_not_named(file):
    assert run("check", "none.yaml").exit_code == run("show", "none.yaml").exit_code == 66
    assert run("check").exit_code == run("show").exit_code == 64
    file.write_text("peers: 7\n")
    assert run("show", "peers.yaml").exit_code == 65


def test_the_schema_in_the_tree_is_the_one_that_is_printed():
    assert json.loads((ROOT / "peers.schema.json").read_text()) == json.loads(run("schema").stdout)
