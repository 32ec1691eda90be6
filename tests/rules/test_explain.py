"""Explanations: every rule with what its tests saw, as text and as JSON."""

from __future__ import annotations

import json

from gatekeeper.rules import decision, explain, read_ruleset
from tests.rules.making import NOW, ROOT, evidence, one, verdict

SHIPPED = read_ruleset(ROOT / "rules.yaml")
TWO = {"DOA": 2000, "DEQ": 450}


def test_the_trace_as_text():
    explained = explain(SHIPPED, evidence(users=2450, agencies=TWO, subject=None), NOW)
    assert list(explained.lines())[:9] == [
        "approval: matched (then hold)",
        "  all of: yes",
        "    users over 2000: yes (it is 2450)",
        "    agencies over 1: yes (it is 2: DEQ, DOA)",
        "subject: matched (then reject)",
        "  all of: yes",
        "    mass: yes (it is true)",
        "    subject missing: true: yes (it is missing)",
        "blind-copy: not (then reject)",
    ]


def test_the_trace_shows_what_takes_a_match_back_and_what_cannot_be_told():
    rules = one(
        "{suspended: true}", more="unless: {any: [{size: {over: 1MB}}, {sender: a@example.gov}]}, mode: observe"
    )
    assert list(explain(rules, evidence(size=1536), NOW).lines()) == [
        "only: unknown (then hold, only observed)",
        "  suspended is true: unknown (it is unavailable)",
        "  unless",
        "    any of: no",
        "      size over 1MB: no (it is 1.5 KB)",
        "      sender is a@example.gov: no (it is head@doa.example.gov)",
    ]


def test_a_rule_outside_its_days_is_shown_as_not_in_force():
    rules = one("{size: 0}", more="during: {until: 2020-01-01}")
    assert next(explain(rules, evidence(), NOW).lines()) == "only: not (then hold, not in force)"


def test_a_long_set_is_cut_short():
    many = {f"A{number:02}": 1 for number in range(30)}
    trace = explain(one("{agencies: {over: 1}}"), evidence(agencies=many), NOW).rules[0]
    assert trace.when.value.startswith("30: A00, A01")
    assert trace.when.value.endswith("A19 and 10 more")


def test_a_decision_in_json():
    decided = verdict(SHIPPED, users=2450, external=3, agencies=TWO)
    told = decision(decided, evidence(users=2450, external=3, agencies=TWO).counts)
    assert told == {
        "verdict": "hold",
        "rules": ["approval"],
        "reasons": [
            {
                "rule": "approval",
                "action": "hold",
                "cite": "1220.XS2 III.A",
                "text": "This mailing reaches 2450 users in 2 agencies; "
                "over 2000 users in more than one agency needs approval.",
            }
        ],
        "users": 2450,
        "external": 3,
        "agencies": ["DEQ", "DOA"],
    }


def test_an_explanation_is_a_decision_with_its_trace():
    given = evidence(users=2450, agencies=TWO)
    explained = explain(SHIPPED, given, NOW).as_dict()
    assert json.loads(json.dumps(explained)) == explained
    assert explained["verdict"] == "hold"
    assert explained["mass"] is True
    assert explained["covered"] is True
    assert [(trace["rule"], trace["result"]) for trace in explained["trace"]][:4] == [
        ("approval", "matched"),
        ("subject", "not"),
        ("blind-copy", "not"),
        ("attachments", "not"),
    ]
    assert explained["trace"][0]["when"]["parts"][0] == {"test": "users over 2000", "answer": True, "value": "2450"}


def test_a_sender_outside_the_scope_is_explained_as_such():
    explained = explain(SHIPPED, evidence(users=2450, agencies=TWO, covered=False), NOW)
    assert explained.as_dict()["verdict"] == "relay"
    assert explained.covered is False
    assert explained.rules[0].result == "matched"  # as it would have been
