"""Policy C5: nobody sends under another's name. Twenty ways to do it, and the ways in which it is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatekeeper.directory.loaders.load import load
from gatekeeper.message import read_facts
from gatekeeper.model import Action, Client, Counts, Evidence, Recipient, Source, Standing, Transaction
from gatekeeper.policy.active import Policy
from gatekeeper.policy.evidence import audience_of, source_of
from gatekeeper.rules import judge, parse_ruleset
from tests.rules.making import NOW

RULES = """\
version: 1
agencies:
  DOA: {name: Administration, domains: [doa.example.gov]}
  DEQ: {name: Environment, domains: [deq.example.gov]}
domains: [example.gov]
directory: [{csv: directory.csv}]
groups:
  press: [kim@deq.example.gov, "*.agency.example.org"]
senders:
  governor@example.gov: {used_by: [press]}
  newsletter@doa.example.gov: {used_by: [DEQ, bounces@mailer.example.org]}
rules:
  - id: names
    cite: C5
    when: {from_allowed: false}
    then: hold
    say: "Not yours to use: {from_problem}"
"""
ME = "jo@doa.example.gov"


def policy(tmp_path: Path, more: str = "") -> Policy:
    (tmp_path / "directory.csv").write_text(
        f"address,user,agency,group\n{ME},,,\nj.doe@example.gov,{ME},,\nsam@example.gov,,,press\n"
    )
    ruleset = parse_ruleset(RULES + more, "rules.yaml", tmp_path)
    return Policy(ruleset, load(ruleset))


def send(policy: Policy, header: str, mail_from: str = ME, login: str | None = None) -> tuple[Source, Action, str]:
    content = (header.replace("\n", "\r\n") + "\r\nSubject: Hello\r\n\r\nText\r\n").encode("utf-8")
    to = (Recipient("ann@deq.example.gov"),)
    transaction = Transaction("smtp", Client("192.0.2.7"), mail_from, to, content, login=login)
    facts = read_facts(content)
    audience, source = audience_of(transaction.addresses, facts, policy), source_of(transaction, facts, policy)
    evidence = Evidence(transaction, facts, audience, Counts.of(audience), Standing(), source)
    verdict = judge(policy.ruleset, evidence, NOW)
    return source, verdict.action, " ".join(reason.text for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("header", "given", "told"),
    [
        ("From: cio@example.gov", {}, "From cio@example.gov does not belong to jo@doa.example.gov"),
        ("From: ann@deq.example.gov", {}, "does not belong"),
        (f"From: {ME}\nFrom: cio@example.gov", {}, "duplicate-from"),
        (f"From: cio@example.gov\nFrom: {ME}", {}, "duplicate-from"),
        (f"From: {ME}, cio@example.gov", {}, "several-authors"),
        (f"From: {ME}, cio@example.gov\nSender: {ME}", {}, "From cio@example.gov does not belong"),
        (f"From: Governor: {ME};", {}, "group-in-from"),
        ("From: Governor's office:;", {}, "cannot be told"),
        (f'From: "cio@example.gov" <{ME}>', {}, "shows another address"),
        (f"From: {ME} (cio@example.gov)", {}, "shows another address"),
        (f"From: =?utf-8?Q?cio=40example.gov?= <{ME}>", {}, "shows another address"),
        (f"From: =?utf-8?B?Y2lv77ygZXhhbXBsZS5nb3Y=?= <{ME}>", {}, "shows another address"),  # a wide @
        (f'From: "The CIO <cio@example.gov>" <{ME}>', {}, "shows another address"),
        (f'From: "c\u0456o@ex\u0430mple.gov" <{ME}>', {}, "shows another address"),  # Cyrillic letters
        (f"From: <cio@example.gov> <{ME}>", {}, "malformed-from"),
        (f"From : {ME}\nFrom: cio@example.gov", {}, "cannot be told"),
        ("From: cio@example.gov", {"mail_from": ""}, "neither a login nor MAIL FROM"),
        (f"From: {ME}", {"mail_from": ""}, "neither a login nor MAIL FROM"),
        (f"From: {ME}\nSender: cio@example.gov", {}, "Sender cio@example.gov does not belong"),
        (f"Sender: {ME}", {}, "missing-from"),
        (f"Resent-From: cio@example.gov\nFrom: {ME}", {}, "Resent-From cio@example.gov does not belong"),
        (f"Resent-From: {ME}\nFrom: cio@example.gov", {}, "From cio@example.gov does not belong"),
        ("From: jo@d0a.example.gov", {"mail_from": "jo@d0a.example.gov"}, "looks like doa.example.gov"),
        ("From: jo@d\u043ea.example.gov", {"mail_from": "jo@d\u043ea.example.gov"}, "looks like doa.example.gov"),
        ("From: jo@xn--da-emc.example.gov", {"mail_from": "jo@doa.example.gov"}, "does not belong"),
        (f"From: {ME}", {"login": "ann@deq.example.gov"}, "does not belong to ann@deq.example.gov"),
        (f"From: {ME}", {"login": "jo", "mail_from": "ann@deq.example.gov"}, "MAIL FROM ann@deq.example.gov"),
        ("From: jo@mail.example.org", {"login": "jo", "mail_from": ""}, "does not belong to jo"),
        ("From: governor@example.gov", {}, "does not belong"),  # lent to others
    ],
)
def test_sending_under_another_name_is_held(tmp_path, header, given, told):  # C5
    _, action, text = send(policy(tmp_path), header, **given)
    assert (action, told in text) == (Action.HOLD, True), text


@pytest.mark.parametrize(
    ("header", "given"),
    [
        (f"From: {ME}", {}),
        (f'From: "Jo Doe" <{ME}>\nSender: {ME}', {}),
        (f'From: "{ME}" <{ME}>', {}),
        (f'From: "j.doe@example.gov" <{ME}>', {}),  # shows an address of the same person
        ("From: Jo <j.doe@example.gov>", {}),  # another address of the same person
        ("From: payroll@doa.example.gov", {}),  # of the same agency
        (f"From: {ME}", {"mail_from": "jo+list@doa.example.gov"}),
        (f"From: {ME}", {"mail_from": "prvs=1234567890=jo@doa.example.gov"}),
        (f"From: {ME}", {"mail_from": "", "login": ME}),
        (f"From: {ME}", {"login": "CORP\\jo"}),
        ("From: governor@example.gov", {"mail_from": "kim@deq.example.gov"}),  # a delegation, by group
        ("From: governor@example.gov", {"mail_from": "sam@example.gov"}),  # by the group of the directory
        ("From: governor@example.gov", {"mail_from": "x@mail.agency.example.org"}),  # by domain
        ("From: governor@example.gov\nSender: kim@deq.example.gov", {"mail_from": "kim@deq.example.gov"}),
        ("From: newsletter@doa.example.gov", {"mail_from": "ann@deq.example.gov"}),  # a shared mailbox
        ("From: newsletter@doa.example.gov", {"mail_from": "bounces@mailer.example.org"}),
        (f"Resent-From: {ME}\nFrom: payroll@doa.example.gov", {}),
    ],
)
def test_what_belongs_together_passes(tmp_path, header, given):  # C5
    assert send(policy(tmp_path), header, **given)[1:] == (Action.RELAY, "")


def test_of_one_agency_only_the_persons_own_addresses_belong_together_where_the_rules_say_so(tmp_path):
    strict = policy(tmp_path, "together: person\n")
    assert send(strict, "From: payroll@doa.example.gov")[1] is Action.HOLD
    assert send(strict, "From: j.doe@example.gov")[1] is Action.RELAY
    assert send(strict, "From: newsletter@doa.example.gov", mail_from="ann@deq.example.gov")[1] is Action.RELAY


def test_the_groups_of_a_sender_are_those_of_the_directory_and_of_the_rules(tmp_path):
    here = policy(tmp_path)
    assert send(here, "From: sam@example.gov", mail_from="sam@example.gov")[0].groups == ("press",)
    assert send(here, f"From: {ME}")[0].groups == ()


def test_nothing_is_looked_into_that_no_rule_asks_for(tmp_path):
    text = RULES.partition("rules:\n")[0] + "rules: []\n"
    (tmp_path / "directory.csv").write_text("address\n")
    ruleset = parse_ruleset(text, "rules.yaml", tmp_path)
    assert send(Policy(ruleset, load(ruleset)), "From: cio@example.gov")[0].from_problem is None
