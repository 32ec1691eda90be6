"""The source that a policy keeps is the one that a message has by itself, whoever sent before."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.directory.loaders.load import load
from gatekeeper.message import read_facts
from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.policy import evidence
from gatekeeper.policy.active import Policy
from gatekeeper.policy.evidence import _source_of, source_of
from gatekeeper.rules import parse_ruleset
from tests.peers.gate import RULES

NAMES_ASKED = "  - {id: own, when: {from_allowed: false}, then: warn, say: '{from_problem}'}\n"
ADDRESSES = ["", "head@doa.example.gov", "Head+x@DOA.example.gov", "jo@dphhs.example.gov", "prvs=1=jo@doa.example.gov"]
ADDRESSES += ["a@example.org", "list-bounces+kim=doa.example.gov@example.org", "CORP\\head", "head", "x" * 400 + "@a.b"]
FIELDS = [*(f"From: {each}" for each in ADDRESSES), "From: 'Jo <jo@dphhs.example.gov>' <a@example.org>"]
FIELDS += ["Sender: jo@dphhs.example.gov", "Resent-From: a@example.org", "From: \xff", "To: x"]


def policy() -> Policy:
    ruleset = parse_ruleset(RULES + NAMES_ASKED, "rules.yaml", Path("."))
    return Policy(ruleset, load(ruleset))


transactions = st.builds(
    lambda fields, sender, login, authenticated, recipient: Transaction(
        "smtp",
        Client(),
        sender,
        (Recipient(recipient),),
        "\r\n".join([*fields, "", "text"]).encode("latin-1"),
        login=login,
        authenticated=authenticated,
    ),
    st.lists(st.sampled_from(FIELDS), max_size=3),
    st.sampled_from(ADDRESSES),
    st.sampled_from([None, *ADDRESSES]),
    st.booleans(),
    st.sampled_from(["kim@doa.example.gov", "jo@dphhs.example.gov"]),
)


@given(st.lists(transactions, min_size=1, max_size=12))
def test_a_kept_source_is_the_one_that_the_message_has(sent):
    shared = policy()
    for transaction in sent:
        facts = read_facts(transaction.content)
        assert source_of(transaction, facts, shared) == _source_of(transaction, facts, shared)


def test_a_policy_keeps_a_bounded_number_of_sources_each_worked_out_once(monkeypatch: pytest.MonkeyPatch):
    shared, worked_out = policy(), []
    monkeypatch.setattr(evidence, "_MOST_SOURCES", 3)
    monkeypatch.setattr(evidence, "_source_of", lambda *given: worked_out.append(given) or _source_of(*given))
    for number in (0, 1, 1, 0, 2, 3, 4):
        facts = read_facts(b"From: %d@doa.example.gov\r\n\r\n" % number)
        source_of(Transaction("smtp", Client(), "", (), b""), facts, shared)
        assert len(shared.known_sources) <= 3
    assert len(worked_out) == 5
