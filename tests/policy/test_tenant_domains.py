"""Senders in the domains that a tenant has of its own, and who they are: the dialog, and the agency that results."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatekeeper.directory.loaders.load import load
from gatekeeper.message import read_facts
from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.policy.acceptance import is_sender_allowed
from gatekeeper.policy.active import Policy
from gatekeeper.policy.evidence import source_of
from gatekeeper.rules import parse_ruleset

RULES = """\
version: 1
agencies:
  DOA: {name: Administration, domains: [doa.example.gov]}
domains: [example.gov, example.onmicrosoft.com]
directory: [{csv: people.csv}]
rules: []
"""
PEOPLE = "address,user\njo@example.onmicrosoft.com,jo@doa.example.gov\njo@doa.example.gov,\n"


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Policy:
    folder: Path = tmp_path_factory.mktemp("rules")
    (folder / "people.csv").write_text(PEOPLE)
    ruleset = parse_ruleset(RULES, "rules.yaml", folder)
    return Policy(ruleset, load(ruleset))


SENDERS = [
    # MAIL FROM, taken, sender and agency without From
    ("jo@example.onmicrosoft.com", True, "jo@example.onmicrosoft.com", "DOA"),
    ("robot@example.onmicrosoft.com", True, "robot@example.onmicrosoft.com", None),
    ("ann+SRS=HH=TT=doa.example.gov=jo@example.onmicrosoft.com", True, "jo@doa.example.gov", "DOA"),
    ("ann+SRS=HH=TT=example.org=pat@example.onmicrosoft.com", True, "pat@example.org", None),
    ("bounces+SRS=44ldt=IX@Example.OnMicrosoft.com", True, "bounces@example.onmicrosoft.com", None),
    ("jo@other.onmicrosoft.com", False, "jo@other.onmicrosoft.com", None),
    ("ann+SRS=HH=TT=doa.example.gov=jo@other.onmicrosoft.com", False, "jo@doa.example.gov", "DOA"),
]


@pytest.mark.parametrize(("mail_from", "taken", "sender", "agency"), SENDERS)
def test_a_tenants_own_domain_is_ours_and_no_others(policy, mail_from, taken, sender, agency):
    assert is_sender_allowed(mail_from, (), policy.directory) is taken
    content = b"Subject: x\r\n\r\ntext\r\n"
    people = (Recipient("ann@example.gov"),)
    transaction = Transaction("smtp", Client("127.0.0.1"), mail_from, people, content)
    source = source_of(transaction, read_facts(content), policy)
    assert (source.mailbox.lower(), source.agency) == (sender, agency)


def test_with_a_list_of_sender_domains_the_tenants_must_be_in_it(policy):
    assert not is_sender_allowed("jo@example.onmicrosoft.com", ("example.gov",), policy.directory)
    assert is_sender_allowed("jo@Example.OnMicrosoft.com", ("example.onmicrosoft.com",), policy.directory)
