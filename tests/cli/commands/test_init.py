"""An empty folder becomes one that a gate can be started in."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from gatekeeper.cli import main
from gatekeeper.cli.commands.init import environment_file
from gatekeeper.cli.initial.setups import SET_UPS
from gatekeeper.rules.peers import networks_of
from gatekeeper.settings import BY_NAME, SETTINGS, read_settings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    return CliRunner().invoke(main, words)


def test_the_rules_it_writes_are_good_and_explained(folder):
    done = run("init")
    assert done.exit_code == 0 and "gatekeeper serve --next-hop maildir:out" in done.output
    text = (folder / "rules.yaml").read_text()
    note, good = run("rules", "check", "--strict").output.splitlines()
    assert " note: scope: " in note and good == "rules.yaml: good"
    assert sum(line.lstrip().startswith("#") for line in text.splitlines()) > 20
    assert text.startswith("# yaml-language-server: $schema=rules.schema.json\n") and text.count("$schema") == 1
    schema = json.loads((folder / "rules.schema.json").read_text())
    jsonschema.validate(json.loads(json.dumps(yaml.safe_load(text), default=str)), schema)
    assert text.startswith("# yaml-language-server: $schema=rules.schema.json\n")


def test_it_names_every_setting_and_changes_none(folder):
    lines = environment_file().splitlines()
    given = dict(line.removeprefix("#").split("=", 1) for line in lines if line.startswith("#GATEKEEPER_"))
    assert given == {setting.variable: setting.default for setting in SETTINGS}
    assert not [line for line in lines if line and not line.startswith("#")]
    assert all(shlex.split(f"X={value}") == [f"X={value}"] for value in given.values()), "to be quoted"
    assert read_settings({}, given) == read_settings({}, given | {"GATEKEEPER_MODE": "enforce"})


def test_it_makes_the_folder_that_is_named(folder):
    assert run("init", "etc/gate").exit_code == 0
    assert sorted(path.name for path in (folder / "etc/gate").iterdir()) == [
        "gatekeeper.env",
        "rules.schema.json",
        "rules.yaml",
    ]


def test_it_never_writes_over_anything(folder):
    (folder / "gatekeeper.env").write_text("mine")
    done = run("init")
    assert done.exit_code == 73 and "gatekeeper.env is there already" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["gatekeeper.env"]


def test_a_folder_that_cannot_be_made_is_said(folder):
    (folder / "file").write_text("")
    done = run("init", "file/inside")
    assert done.exit_code == 73 and done.stderr.startswith("gatekeeper: file")


@pytest.mark.parametrize("server", list(SET_UPS))
def test_for_a_mail_server_it_writes_what_its_page_has(folder, server):
    done = run("init", "--for", server)
    assert done.exit_code == 0 and f"docs/{SET_UPS[server].page}" in done.output
    assert run("rules", "check").output.endswith("rules.yaml: good\n")
    lines = [line for line in (folder / "gatekeeper.env").read_text().splitlines() if line.startswith("GATEKEEPER_")]
    given = dict(line.split("=", 1) for line in lines)
    assert given.keys() == {BY_NAME[name].variable for name in SET_UPS[server].settings}
    assert all(shlex.split(f"X={value}") == [f"X={value}"] for value in given.values())
    assert read_settings({}, given).judging.mode == "observe"
    assert "- [ ] " in (folder / "CHECKLIST.md").read_text()
    assert (folder / "peers.yaml").exists() is bool(SET_UPS[server].service)


@pytest.mark.parametrize("server", [name for name, each in SET_UPS.items() if each.service])
def test_its_peers_can_be_used_and_are_those_of_the_page(folder, server):
    assert run("init", "--for", server).exit_code == 0
    done = run("peers", "check", "peers.yaml")
    assert done.exit_code == 0, done.output
    page = (ROOT / "docs" / SET_UPS[server].page).read_text()
    for line in (folder / "peers.yaml").read_text().splitlines()[2:]:
        stated = line.partition(" #")[0].strip().partition(":")[0]
        assert stated in page, line


@pytest.mark.parametrize(
    ("server", "service"), [("exchange-online", "Exchange Online"), ("google", "Google Workspace")]
)
def test_the_networks_are_all_that_the_gate_knows_of_the_service(folder, server, service):
    """In the settings, among the peers and on the page: from a network that is left out, mail would be refused."""
    networks = [str(each) for each in networks_of(service)]
    assert run("init", "--for", server).exit_code == 0
    page = (ROOT / "docs" / SET_UPS[server].page).read_text()
    stated = re.search(r"^    networks:\n(?:      - .*\n)+", page, flags=re.MULTILINE)
    for text in ((folder / "peers.yaml").read_text(), "peers:\n  x:\n" + (stated[0] if stated else "")):
        (peer,) = yaml.safe_load(text)["peers"].values()
        assert peer["networks"] == networks
    assert SET_UPS[server].settings["clients"].split(",") == ["127.0.0.0/8", *networks]


@pytest.mark.parametrize("server", [name for name, each in SET_UPS.items() if each.service])
def test_the_settings_are_those_of_the_page(server):
    page = (ROOT / "docs" / SET_UPS[server].page).read_text()
    for name, value in SET_UPS[server].settings.items():
        assert f"{BY_NAME[name].variable}={value}" in page.replace("example.edu", "example.gov"), name
