"""`gatekeeper account ...`: who may sign in to the console, and the links by which they set it up."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from gatekeeper.cli import main
from gatekeeper.ledger.credentials import Passkey, enrol_passkey
from gatekeeper.ledger.signins import Signins
from gatekeeper.store import Database, Store
from tests.store.databases import lay_out

CIO = "cio@example.gov"


@pytest.fixture
def database(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEKEEPER_DATABASE", f"sqlite:///{tmp_path}/gate.db")
    monkeypatch.setenv("GATEKEEPER_PUBLIC_URL", "https://gate.example.gov/")
    store = Store(Database(lay_out(tmp_path / "gate.db"), 5))
    store.open()
    yield store
    store.close()


def run(*words):
    return CliRunner().invoke(main, ["account", *words])


def listed():
    return [(each["address"], each["state"]) for each in json.loads(run("list", "--json").stdout)]


def test_an_account_from_invitation_to_its_end(database):
    assert run("list").stdout == "" and listed() == []
    made = run("add", "CIO@example.gov")
    assert re.fullmatch(r"https://gate\.example\.gov/signin/enrol/[\w-]{43}\n", made.stdout) and made.exit_code == 0
    assert listed() == [(CIO, "invited")]
    key = Passkey(b"1" * 16, CIO, "Phone", b"public", 0, 0.0)
    enrol_passkey(Signins(database, clock=database.now), made.stdout.strip().rpartition("/")[2], key)
    assert re.search(rf"^{CIO} +enrolled +1 passkey ", run("list").stdout, re.MULTILINE)
    again = run("add", CIO)
    assert again.exit_code == 65 and "account reset" in again.output
    assert json.loads(run("disable", CIO, "--json").stdout) == {"address": CIO, "state": "disabled"}
    assert run("add", CIO).exit_code == 65 and listed() == [(CIO, "disabled")]
    reset = json.loads(run("reset", CIO, "--json").stdout)
    assert (reset["address"], reset["hours"]) == (CIO, 24) and listed() == [(CIO, "invited")]


def test_what_is_wrong_is_said(database):
    assert run("add", "cio").exit_code == run("disable", "").exit_code == 64
    assert run("reset", "nobody@example.gov").exit_code == 66


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--console", "192.0.2.10:8025"), "--console-tls-cert"),
        (("--console", "unix:/run/gate"), "--public-url"),
        (("--console", "off"), "off"),
    ],
)
def test_no_link_leads_to_a_place_that_is_not_safe(database, monkeypatch, words, told):
    monkeypatch.delenv("GATEKEEPER_PUBLIC_URL")
    done = run("add", CIO, *words)
    assert done.exit_code == 78 and told in done.output and listed() == []
