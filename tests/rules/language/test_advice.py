"""What admins write otherwise than rules.yaml has it: a mistake is told once, where it stands, with what to write."""

from __future__ import annotations

import pytest

from gatekeeper.rules import check_ruleset
from gatekeeper.rules.language.advice import nearest, of_bound, of_day, of_domain, of_number, of_share
from tests.rules.making import ROOT

RULES = """\
version: 1
agencies:
  DOA: {name: Administration, domains: [doa.example.gov]}
  DPHHS: {name: Health, domains: [dphhs.example.gov]}
people:
  cio@doa.example.gov: {roles: [approver]}
mass: {people: {over: 200}}
rules:
  - id: approval
    when: {users: {over: 2000}, agencies: {over: 1}}
    then: hold
    say: This mailing needs approval.
"""


def told(text):
    return [f"{problem.line}:{problem.column}: {problem.text}" for problem in check_ruleset(text, "rules.yaml", ROOT)]


@pytest.mark.parametrize(
    ("written", "otherwise", "expected"),
    [
        ("then: hold", "then: held", "11:11: 'held': did you mean hold? expected one of relay, warn, defer, hold"),
        ("then: hold", "then: quarantine", "11:11: 'quarantine': did you mean hold?"),
        ("[approver]", "[aprover]", "6:33: 'aprover': did you mean approver?"),
        ("[approver]", "[requester], of: [DAO]", "6:50: 'DAO': expected an agency's id, a list's address or"),
        ("users: {over", "users: {ovr", "10:20: 'ovr' is no test of users (did you mean over?)"),
        ("users: {over", "users: {more_than", "10:20: 'more_than' is no test of users (did you mean over?)"),
        ("users: {", "user: {", "10:12: unknown field 'user'"),
        ("{over: 2000}", "2000", "10:19: write users: {over: 2000}; users grows"),
        ("{over: 2000}", "'> 2000'", "10:19: write users: {over: 2000}; users grows"),
        ("{over: 2000}", "{over: '2,000'}", "10:26: '2,000': write 2000, without the comma"),
        ("{over: 2000}", "{over: 2,000}", "10:26: write 2000, without the comma: here a comma begins the next test"),
        ("users: {over: 2000}", "reach: {of: a@doa.example.gov, over: 150%}", "10:49: '150%': nobody reaches more"),
        ("version: 1", "version: 1\neffective: 2027-02-30", "2:12: '2027-02-30': no such day: the last one of that"),
        ("  - id", "    id", "9:5: a dash is missing before the first key of a rule: expected a list of rules"),
        ("    then: hold", "    then:\u00a0hold", "11:10: a non-breaking or invisible blank (U+00A0): write a space"),
        ("    then: hold", "   \u00a0then: hold", "11:4: a non-breaking or invisible blank (U+00A0): write a space"),
        ("[doa.example.gov]", "[doa.example.gov.]", "3:41: 'doa.example.gov.': write doa.example.gov, without the"),
        ("[doa.example.gov]", "[news@doa.example.gov]", "3:41: 'news@doa.example.gov': write the domain alone, doa"),
        ("say: This mailing", "say: Call #17: it", "12:10: say ends before the #, which begins a comment: put"),
        ("name: Health", "nam: Health", "4:11: unknown key 'nam' (did you mean name?)"),
        ("name: Health", "label: Health", "4:11: unknown key 'label' (did you mean name?)"),
        ("mass:", "held: {remind: 3 working days, expire: 48h}\nmass:", "7:7: expire comes before remind"),
        ("cio@doa.example.gov", "cio@mail.example.com", "6:3: approver cio@mail.example.com is below no domain"),
        ("mass:", "senders:\n  a@news.example.org: {used_by: [DOA]}\nmass:", "8:3: sender a@news.example.org is below"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_once_with_what_to_write(written, otherwise, expected):
    (only,) = told(RULES.replace(written, otherwise, 1))
    assert only.startswith(expected)


def test_rules_without_any_are_told_so():
    assert told(RULES[: RULES.index("rules:")] + "rules:\n") == [
        "8:7: nothing stands here: expected a list of rules, each beginning with - id:"
    ]


def test_good_rules_are_told_nothing():
    assert told(RULES) == []
    assert told(RULES.replace("approval.", "approval.  # M1: see the standard")) == []
    assert told(RULES.replace("cio@doa.example.gov", "cio@example.gov")) == []  # above a domain that is inside


@pytest.mark.parametrize(
    ("advise", "text", "advice"),
    [
        (of_number, "2.000", "write 2000, without the full stop"),
        (of_number, "2'000'000", "write 2000000, without the apostrophe"),
        (of_number, "2k", "write 2000"),
        (of_number, ">= 2000", "write the number alone, 2000"),
        (of_number, "2000 users", "write the number alone, 2000"),
        (of_number, "0.8", "write 80% for a share"),
        (of_number, "0.05", "write 5% for a share"),
        (of_number, "-5", ""),
        (of_number, "many", ""),
        (of_share, "101%", "nobody reaches more than 100% of a list"),
        (of_share, "half", ""),
        (of_day, "2026-13-01", "no year has a month 13"),
        (of_day, "2026-04-31 09:00", "no such day: the last one of that month is 2026-04-30"),
        (of_day, "31.12.2026", "write year, month and day as in 2026-12-31"),
        (of_day, "2026-1-5", "write year, month and day as in 2026-12-31"),
        (of_day, "soon", ""),
        (of_domain, ".example.gov", 'write "*.example.gov" for all below example.gov'),
        (of_domain, "exa mple", ""),
    ],
)
def test_advice(advise, text, advice):
    assert advise(text) == advice


def test_a_bound_that_stands_alone():
    assert of_bound("users", "<= 5") == "write users: {at_most: 5}" and of_bound("users", "DOA") == ""


def test_a_word_of_another_program_is_the_one_that_is_meant():
    assert nearest("contains", ("over", "includes")) == "includes" and nearest("contains", ("over",)) == ""
