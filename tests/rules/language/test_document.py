"""The whole document: what is read, the defaults, who is asked, what is warned of."""

from __future__ import annotations

import re
from datetime import date, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from gatekeeper.rules import AskSome, AskTerm, Gather, Ruleset, Span, date_warnings, parse_ruleset, read_ruleset
from tests.rules.making import HEAD, ROOT, check, one, ruleset

LEAST = "version: 1\nrules: []\n"
WHOLE = """\
version: 1
title: Mass electronic mail
effective: 2026-01-01
review: 2027-01-01
contact: servicedesk@example.gov, 406-555-0100
timezone: America/Denver
agencies:
  DOA: {name: Administration, domains: [doa.example.gov, "*.DOA.example.gov"], head: Head@doa.example.gov}
  MUS: {name: University system, domains: ["*.univ.example.edu"]}
domains: [Example.GOV, bücher.example.org]
scope: {except: [MUS]}
directory:
  - {csv: directory.csv, complete: true, age: 12h}
  - {aliases: /etc/aliases}
  - {ldap: "ldaps://directory.example.gov", base: "ou=people", filter: "(mail=*)"}
lists:
  all-staff@example.gov: {file: lists/all-staff.txt, owner: hr, senders: [governor@example.gov]}
  few@example.gov: {members: [a@doa.example.gov]}
people:
  cio@example.gov: {roles: [approver, auditor], final: true}
  head@doa.example.gov: {roles: requester, of: DOA}
  hr-head@example.gov: {roles: [owner], of: [hr]}
mailing:
  source: agency
  within: 2 days
  gather: {at: 50, quiet: 5s}
  separate: [noreply@doa.example.gov, {network: 192.0.2.0/28}]
requests: {notice: 5 working days, calendar: US-MT, late: refuse}
held: {remind: 48h, expire: none}
mass: {any: [{people: {over: 200}}, {agencies: {at_least: 5}}]}
define: {everybody: {agencies: {at_least: 2}}}
rules:
  - id: a
    when: everybody
    then: hold
    ask: [owners, head, agencies.DOA.head, {any: 2, of: [approver, cio@example.gov]}]
  - {id: b, when: {users: {over: 5}}, then: warn, repair: blind}
"""


def read(text: str) -> Ruleset:
    return parse_ruleset(text, "rules.yaml", Path("/srv/gate"))


def test_a_whole_document():
    rules = read(WHOLE)
    assert (rules.effective, rules.review) == (date(2026, 1, 1), date(2027, 1, 1))
    assert rules.timezone.key == "America/Denver"
    assert rules.agencies["DOA"].domains == ("doa.example.gov", "*.doa.example.gov")
    assert rules.agencies["DOA"].head == "head@doa.example.gov"
    assert rules.domains == ("example.gov", "xn--bcher-kva.example.org")
    assert rules.scope_except == {"MUS"}
    csv, aliases, ldap = rules.directory
    assert (csv.kind, csv.path, csv.complete, csv.age) == ("csv", Path("directory.csv"), True, timedelta(hours=12))
    assert (aliases.kind, aliases.path, aliases.complete) == ("aliases", Path("/etc/aliases"), False)
    assert (ldap.kind, ldap.path, ldap.options["url"]) == ("ldap", None, "ldaps://directory.example.gov")
    assert rules.lists["all-staff@example.gov"].file == Path("lists/all-staff.txt")
    assert rules.lists["few@example.gov"].members == ("a@doa.example.gov",)
    assert rules.people["head@doa.example.gov"].of == ("DOA",)
    assert rules.people_with("approver") == ("cio@example.gov",)
    assert (rules.mailing.source, rules.mailing.within) == ("agency", timedelta(days=2))
    assert rules.mailing.separate == {"noreply@doa.example.gov"}
    assert rules.mailing.separate_networks == (ip_network("192.0.2.0/28"),)
    assert rules.mailing.gather == Gather(frozenset({50}), None, timedelta(seconds=5), timedelta(minutes=5))
    assert (rules.requests.notice, rules.requests.late) == (Span(working_days=5), "refuse")  # M2
    assert (rules.held.remind, rules.held.expire) == (Span(time=timedelta(hours=48)), Span())
    assert rules.folder == Path("/srv/gate")


def test_who_is_asked_keeps_its_structure():
    rule = read(WHOLE).rules[0]
    assert rule.ask == (
        AskTerm("owners"),
        AskTerm("head"),
        AskTerm("head", "DOA"),
        AskSome(2, (AskTerm("role", "approver"), AskTerm("person", "cio@example.gov"))),
    )
    assert [str(term) for term in rule.ask] == [
        "owners",
        "head",
        "agencies.DOA.head",
        "any 2 of approver, cio@example.gov",
    ]


def test_what_is_left_out_has_a_default():
    rules = read(LEAST)
    assert (rules.title, rules.contact, rules.timezone.key) == ("Mail rules", "your help desk", "UTC")
    assert rules.mailing.gather == Gather(frozenset({50, 100, 500, 1000}), None)
    assert (rules.mailing.source, rules.mailing.within) == ("sender", timedelta(hours=24))
    assert (rules.held.remind, rules.held.expire) == (Span(working_days=2), Span(working_days=10))
    assert rules.requests.notice == Span()


@pytest.mark.parametrize("word", ["off", "OFF", "false", "no", "'off'"])
def test_gather_can_be_off_however_yaml_sees_it(word):
    assert read(f"{LEAST}mailing: {{gather: {word}}}\n").mailing.gather is None


def test_which_batches_wait():
    at = read(f"{LEAST}mailing: {{gather: {{at: [50, 100]}}}}\n").mailing.gather
    least = read(f"{LEAST}mailing: {{gather: {{from: 50, quiet: 2s, limit: 30s}}}}\n").mailing.gather
    assert [at.takes(size) for size in (49, 50, 51, 100)] == [False, True, False, True]
    assert [least.takes(size) for size in (49, 50, 51, 100)] == [False, True, True, True]


def test_the_digest_is_of_the_text():
    assert read(LEAST).digest == read("\ufeff" + LEAST).digest
    assert read(LEAST).digest != read(LEAST + "# remark\n").digest


def test_yaml_anchors_may_be_used():
    rules = "rules: [{id: a, when: &w {size: 1}, then: warn}, {id: b, when: *w, then: warn}]\n"
    first, second = read(HEAD + rules).rules
    assert first.when == second.when


# -- warnings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LEAST, "2:8: warning: no rules: everything is relayed"),
        (LEAST + "agencies: {DOA: {name: x}}\n", "3:12: warning: agency DOA has no domains"),
        (
            LEAST + "agencies:\n  A: {name: x, domains: [a.example.gov]}\n  B: {name: y, domains: [a.example.gov]}\n",
            "5:3: warning: domain a.example.gov of B is A's already",
        ),
        (
            LEAST + "domains: a.example.gov\nagencies: {A: {name: x, domains: [a.example.gov]}}\n",
            "4:12: warning: domain a.example.gov of A stands under domains as well",
        ),
        (LEAST + "lists: {a@example.gov: {owner: hr}}\n", "3:9: warning: nobody answers for hr"),
        (
            LEAST + "domains: [x.gov, a.x.gov]\noutside: [b.x.gov, a.x.gov]\n",
            "4:20: warning: domain a.x.gov stands under outside, and is inside as well",
        ),
        (
            LEAST + "domains: x.gov\noutside: y.gov\n",
            "4:10: warning: domain y.gov stands under outside, and is below no",
        ),
        (LEAST + "mailing: {within: 1m}\n", "3:10: warning: gather.limit is longer than within"),
        (
            LEAST + "mailing: {separate: {network: 10.0.0.0/8}}\n",
            "3:21: warning: 10.0.0.0/8 is wide: whatever its 16777216",
        ),
    ],
)
def test_a_warning_has_its_place(text, told):
    assert [str(problem) for problem in check(text) if told in str(problem)]
    assert read(text).warnings == tuple(
        type(problem)(problem.line, problem.column, problem.text, "rules.yaml", True) for problem in check(text)
    )


@pytest.mark.parametrize(
    ("when", "then", "more", "told"),
    [
        ("{visible: {over: 5, under: 6}}", "warn", "", "can never fire: nothing is both visible over 5 and"),
        ("{visible: {over: 5}, all: [{visible: {at_most: 5}}]}", "warn", "", "can never fire"),
        ("{visible: {over: 5}, size: 1}", "warn", "unless: {visible: {over: 5}}", "its unless takes back every match"),
        ("{visible: {over: 5}}", "relay", "", "lets nothing past the other rules"),
        ("{visible: {over: 5}}", "reject", "ask: approver", "asks somebody, which has no effect"),
        ("{visible: {over: 5}}", "hold", "ask: admin", "asks admin, a role that nobody under people has"),
        ("{visible: {over: 5}}", "hold", "ask: agencies.DEQ.head", "asks the head of DEQ"),
        ("{visible: {over: 5}}", "hold", "ask: me@example.gov", "does not stand under people"),
    ],
)
def test_a_rule_is_warned_of(when, then, more, told):
    assert any(told in warning.text for warning in one(when, then, more).warnings)


def test_bounds_that_leave_room_are_not_warned_of():
    assert one("{visible: {over: 5, under: 7}}").warnings == ()


@pytest.mark.parametrize(
    ("today", "told"),
    [
        (date(2025, 12, 31), "meant to be in force from 2026-01-01"),
        (date(2026, 12, 2), "review date of these rules is near: 2027-01-01"),
        (date(2027, 1, 1), "review date of these rules is near"),
        (date(2027, 1, 2), "review date of these rules has passed: 2027-01-01"),
    ],
)
def test_dates_are_warned_of(today, told):
    """M7."""
    assert [text for text in date_warnings(read(WHOLE), today) if told in text]


def test_dates_that_are_far_are_not_warned_of():
    assert date_warnings(read(WHOLE), date(2026, 12, 1)) == ()


def test_a_rule_that_is_over_is_warned_of():
    rules = one("{size: 1}", more="during: {until: 2026-05-31}")
    assert date_warnings(rules, date(2026, 5, 31)) == ()
    assert date_warnings(rules, date(2026, 6, 1)) == ("rule only is over: its last day has passed",)


# -- the shipped files -------------------------------------------------------------------------------------------


def test_the_shipped_rules_are_without_problems_and_name_no_file():
    rules = read_ruleset(ROOT / "rules.yaml")
    assert rules.warnings == ()
    assert len(rules.agencies) >= 12
    assert rules.directory == ()
    assert not any(spec.file for spec in rules.lists.values())


def test_the_shipped_rules_explain_every_remark_to_yaml():
    """Nothing stands commented out that would be an error once its # is removed."""
    text = (ROOT / "rules.yaml").read_text(encoding="utf-8")
    uncommented = re.sub(r"^# (directory:|lists:|  - \{|  all-staff)", r"\1", text, flags=re.MULTILINE)
    assert len(read(uncommented).directory) == 2


def test_what_is_recorded_and_on_whom_the_rules_act():
    """Clause D4: of ordinary mail nothing more is recorded than the file allows."""
    silent = ruleset("  []\n")
    assert (silent.audit.keep.days, silent.audit.ordinary, silent.enforce) == (400, frozenset(), None)
    assert silent.acts_on("DEQ") and silent.acts_on(None)
    told = ruleset("  []\n", HEAD + "audit: {keep: 90d, ordinary: [sender, subject]}\nenforce: DOA\n")
    assert (told.audit.keep.days, told.audit.ordinary) == (90, {"sender", "subject"})
    assert told.acts_on("DOA") and not told.acts_on("DEQ") and not told.acts_on(None)
    assert not ruleset("  []\n", HEAD + "enforce: []\n").acts_on("DOA")
    (problem,) = check(HEAD + "audit: {ordinary: [subjects]}\nenforce: [DAO]\nrules: []\n")[:1]
    assert "expected" in problem.text


def test_a_delegate_who_is_the_same_person_is_warned_of():
    delegate = "{to: CIO@example.gov, until: 2026-12-24}"
    text = f"version: 1\npeople:\n  cio@example.gov: {{roles: [approver], delegate: {delegate}}}\nrules: []\n"
    told = [(problem.line, problem.column) for problem in check(text) if "delegates to nobody else" in problem.text]
    assert told == [(3, 3)]
