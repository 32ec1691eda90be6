"""Mails that commands write are the gate's: its host name and its links, so that threads hold."""

from __future__ import annotations

from functools import partial

import click

from gatekeeper.cli.common import settings_of
from gatekeeper.cli.ledger_commands import open_ledger
from gatekeeper.store import rulesets
from gatekeeper.store.rulesets import StoredRuleset
from tests.ledger.scene import RULES

NAMES = ("gate.example.gov", "https://gate.example.gov")


def names(database_url, **given):
    settings = settings_of({"database": database_url, **given})
    with click.Context(click.Command("show")), open_ledger(settings) as service:
        return service.letterhead.hostname, service.letterhead.public_url


def put(store, *names):
    stored = StoredRuleset("d", "rules.yaml", RULES, *names)
    store.call(partial(rulesets.put_in_force, ruleset=stored, now=1.0))


def test_a_command_writes_under_the_names_of_the_gate(store, database_url, monkeypatch):
    monkeypatch.setenv("GATEKEEPER_HOSTNAME", "laptop.example.gov")
    put(store, *NAMES)
    assert names(database_url) == NAMES
    put(store, "gate.example.gov", "")
    assert names(database_url, public_url=None) == ("gate.example.gov", "")


def test_a_flag_wins(store, database_url):
    put(store, *NAMES)
    assert names(database_url, hostname="hub.example.gov") == ("hub.example.gov", NAMES[1])


def test_without_the_names_its_own_settings_count(store, database_url, monkeypatch):
    monkeypatch.setenv("GATEKEEPER_HOSTNAME", "laptop.example.gov")
    put(store)
    assert names(database_url)[0] == "laptop.example.gov"


def test_the_same_rules_under_another_name_are_stored_again(store):
    put(store, *NAMES)
    put(store, *NAMES)
    put(store, "other.example.gov", "")
    assert store.call(rulesets.in_force).hostname == "other.example.gov"
