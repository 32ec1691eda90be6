"""`gatekeeper settings`: what is in force, and where it comes from."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from gatekeeper.cli import main
from gatekeeper.lib.url_passwords import without_passwords
from gatekeeper.settings import SETTINGS


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.setenv("GATEKEEPER_NEXT_HOP", "maildir:out")
    monkeypatch.setenv("GATEKEEPER_WORKERS", "1")  # as it is anyway


def run(*words):
    done = CliRunner().invoke(main, ["settings", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_all_are_shown_with_where_they_come_from():
    shown = run("--mode", "observe").splitlines()
    assert len(shown) == len(SETTINGS)
    assert [line.split() for line in shown if line.startswith("--mode ")] == [["--mode", "observe", "(flag)"]]
    assert [line.split()[-1] for line in shown if line.startswith("--next-hop ")] == ["(environment)"]


def test_what_was_changed_is_what_is_not_at_its_default():
    assert [line.split()[0] for line in run("--changed", "--mode", "observe").splitlines()] == ["--next-hop", "--mode"]
    (changed,) = json.loads(run("--changed", "--json"))
    assert (changed["name"], changed["value"], changed["origin"]) == ("next-hop", "maildir:out", "environment")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("postgresql://gate:s3cret@db/mail", "postgresql://gate:***@db/mail"),
        (
            "postgresql://gate@db/mail?password=s3cret&sslmode=require",
            "postgresql://gate@db/mail?password=***&sslmode=require",
        ),
        ("postgresql://gate@db/mail", "postgresql://gate@db/mail"),
        ("sqlite:///other.db", "sqlite:///other.db"),
    ],
)
def test_no_password_of_an_address_is_shown(written, shown):
    for words in (("--changed",), ("--changed", "--json")):
        printed = run(*words, "--database", written)
        assert shown in printed and "s3cret" not in printed
    assert without_passwords("smtp://a:s3cret@one:25,smtps://b:s3cret@two") == "smtp://a:***@one:25,smtps://b:***@two"


def test_a_variable_that_is_none_ends_every_command(monkeypatch):
    monkeypatch.setenv("GATEKEEPER_NEXTHOP", "smtp://mail.example.gov")
    for words in (["settings"], ["serve"], ["queue"]):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 78, words
        assert (
            "GATEKEEPER_NEXTHOP in the environment: no such setting; did you mean GATEKEEPER_NEXT_HOP?" in done.stderr
        )
    monkeypatch.delenv("GATEKEEPER_NEXTHOP")
    monkeypatch.setenv("GATEKEEPER_COLOUR", "blue")
    assert "no such setting; see `gatekeeper settings`" in CliRunner().invoke(main, ["settings"]).stderr


def test_what_container_platforms_and_people_set_is_passed_over(monkeypatch):
    for name in ("SERVICE_HOST", "SERVICE_PORT_SMTP", "PORT", "PORT_10025_TCP_ADDR", "BY"):
        monkeypatch.setenv(f"GATEKEEPER_{name}", "tcp://10.0.0.1:10025")
    run()
