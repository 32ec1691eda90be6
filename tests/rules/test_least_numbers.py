"""From which number on counts matter: below it they need not be exact, and nothing is read for them."""

from __future__ import annotations

import pytest

from gatekeeper.rules import parse_ruleset, read_ruleset
from tests.rules.making import HEAD, ROOT

RULE = "rules:\n  - {id: a, then: hold, say: Ask., when: %s}\n"


def read(when, mass="people: {over: 200}"):
    text = f"{HEAD}mass: {{{mass}}}\n{RULE % when}"
    return parse_ruleset(text, "rules.yaml", ROOT)


@pytest.mark.parametrize(
    ("when", "least"),
    [
        ("{users: {over: 2000}, agencies: {over: 1}}", 201),  # `mass` asks first
        ("{users: {over: 20}}", 21),
        ("{people: {at_least: 20}}", 20),
        ("{mass: true, external: {over: 0}}", 201),
        ("{not: {subject: {missing: true}}, users: {over: 50}}", 51),
        ("{any: [{users: {over: 50}}, {subject: {missing: true}}]}", 51),
        ("{any: [{users: {over: 50}}, {external: {over: 20}}]}", 21),
        ("{subject: {missing: true}}", 201),
        ("{recipients: {over: 5}}", 201),
    ],
)
def test_the_least_number_of_people(when, least):
    assert read(when).least_people == least


@pytest.mark.parametrize(
    ("when", "least"),
    [
        ("{sender_users: {over: 2000}, sender_agencies: {over: 1}}", 2001),
        ("{sender_users: {over: 2000}, subject: {missing: true}}", 2001),
        ("{any: [{sender_users: {over: 2000}}, {client_users: {at_least: 500}}]}", 500),
        ("{any: [{sender_users: {over: 2000}}, {subject: {missing: true}}]}", 2001),
    ],
)
def test_the_least_number_of_an_origin(when, least):
    assert read(when).least_sent == least


def test_the_shipped_rules_read_nobody_of_an_origin_below_their_limit():
    """Two users in two agencies are no reason to read all that a sender has written to today."""
    assert read_ruleset(ROOT / "rules.yaml").least_sent == 2001
    most = {query.field: number for query, number in read_ruleset(ROOT / "rules.yaml").most_sent.items()}
    assert most == {"sender_users": 2001, "sender_agencies": 2}


@pytest.mark.parametrize("when", ["{users: {over: 5}}", "{mass: true}", "{subject: {missing: true}}"])
def test_which_counts_must_be_exact_because_rules_about_them_are_only_observed(when):
    assert read(when).observes_counts is False
    text = f"{HEAD}mass: {{people: {{over: 200}}}}\n{RULE % when}"
    observed = parse_ruleset(text.replace("id: a,", "id: a, mode: observe,"), "rules.yaml", ROOT)
    assert observed.observes_counts is ("subject" not in when)
    assert not read_ruleset(ROOT / "rules.yaml").observes_counts
