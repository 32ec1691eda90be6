"""Whose yes is needed, who may decide, who is told: by role, person, owner, head, n of m, delegate, escalation."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.policy.approvers import Approvers, Question, agency_of
from gatekeeper.rules import AskTerm, parse_ruleset

RULES = """\
version: 1
agencies:
  DOA: {name: Administration, domains: [doa.example.gov, "*.doa.example.gov"], head: head@doa.example.gov}
  DPHHS: {name: Health, domains: [dphhs.example.gov]}
  LABS: {name: Laboratories, domains: [labs.doa.example.gov]}
lists:
  staff@example.gov: {members: [a@doa.example.gov], owner: hr}
  students@example.gov: {members: [b@doa.example.gov], owner: registrar}
  odd@example.gov: {members: [c@doa.example.gov]}
people:
  cio@example.gov: {roles: [approver], final: true}
  deputy@example.gov: {roles: [approver]}
  doa@example.gov: {roles: [approver], of: [DOA]}
  hr@example.gov: {roles: [owner], of: [hr], asked: when needed}
  registrar@example.gov: {roles: [owner], of: [registrar], delegate: {to: clerk@example.gov, until: 2026-12-24}}
  health@example.gov: {roles: [owner], of: [DPHHS]}
  admin@example.gov: {roles: [admin]}
rules:
  - {id: plain, when: {mass: true}, then: hold}
  - {id: owned, when: {mass: true}, then: hold, ask: owners}
  - {id: both, when: {mass: true}, then: hold, ask: [approver, owners]}
  - {id: head, when: {mass: true}, then: hold, ask: head}
  - {id: two, when: {mass: true}, then: hold, ask: {any: 2, of: [approver, registrar@example.gov]}}
  - {id: named, when: {mass: true}, then: hold, ask: [cio@example.gov, registrar@example.gov]}
"""
RULESET = parse_ruleset(RULES, "rules.yaml", Path("."))
APPROVERS = Approvers(RULESET)
TODAY = date(2026, 11, 25)
AFTER_CHRISTMAS = date(2026, 12, 28)
CIO, DEPUTY, HR, REGISTRAR, CLERK = (f"{name}@example.gov" for name in ("cio", "deputy", "hr", "registrar", "clerk"))


def question(*rules, sender="ann@dphhs.example.gov", lists=(), agencies=(), also=(), escalated=(), on=TODAY):
    return Question(
        id="M-17",
        own=frozenset({sender}),
        agency=agency_of(RULESET, sender),
        lists=frozenset(lists),
        agencies=frozenset(agencies),
        rules=rules,
        today=on,
        also=frozenset(also),
        escalated=escalated,
    )


def missing(about, *people, on=TODAY):
    return APPROVERS.missing(about, dict.fromkeys(people, on))


def test_a_role_is_anyone_who_holds_it():
    held = question("plain")
    assert missing(held) == ("approver",) and missing(held, DEPUTY) == ()
    assert missing(held, HR) == ("approver",)


def test_an_approver_of_one_agency_decides_about_what_that_agency_sends():
    assert APPROVERS.refusal(question("plain", sender="ann@doa.example.gov"), "doa@example.gov") is None
    refusal = APPROVERS.refusal(question("plain"), "doa@example.gov")
    assert refusal == f"M-17: doa@example.gov may not decide it; who may: {CIO}, {DEPUTY}"


def test_nobody_decides_their_own():
    own = question("plain", sender=CIO)
    assert APPROVERS.refusal(own, CIO) == f"M-17: it is {CIO}'s own; nobody decides their own"
    assert missing(own, CIO) == ("approver",) and missing(own, DEPUTY) == ()
    assert CIO not in APPROVERS.whom_to_notify(own)


def test_each_person_named_must_agree():
    assert missing(question("named"), CIO) == (REGISTRAR,) and missing(question("named"), CIO, REGISTRAR) == ()


def test_rules_together_ask_each_of_theirs_once():
    assert missing(question("plain", "both", lists=["students@example.gov"])) == ("approver", "owners")


# -- owners (policy T7) ------------------------------------------------------------------------------------------


def test_the_owner_of_each_audience_reached_must_agree():
    held = question("owned", lists=["students@example.gov"], agencies=["DPHHS"])  # T7
    assert APPROVERS.whom_to_notify(held) == {REGISTRAR, CLERK, "health@example.gov"}
    assert missing(held, REGISTRAR) == ("owners",) and missing(held, REGISTRAR, "health@example.gov") == ()


def test_an_owner_asked_only_when_needed_is_not_waited_for():
    held = question("both", lists=["staff@example.gov"])  # T7: staff to human resources when necessary
    assert missing(held, CIO) == () and HR not in APPROVERS.whom_to_notify(held)
    assert APPROVERS.refusal(held, HR) is None  # but may say no


def test_unless_an_approver_asks_them():
    held = question("both", lists=["staff@example.gov"], also=[HR])  # T7
    assert missing(held, CIO) == (HR,) and missing(held, CIO, HR) == () and HR in APPROVERS.whom_to_notify(held)


def test_or_nobody_else_is_asked():
    held = question("owned", lists=["staff@example.gov"])
    assert missing(held) == ("owners",) and missing(held, HR) == () and APPROVERS.whom_to_notify(held) == {HR}


def test_where_no_audience_has_an_owner_an_approver_is_asked():
    held = question("owned", lists=["odd@example.gov"], agencies=["LABS"])
    assert missing(held, CIO) == () and APPROVERS.whom_to_notify(held) == {CIO, DEPUTY}


def test_an_owner_who_sends_is_replaced_by_an_approver():
    held = question("owned", sender=REGISTRAR, lists=["students@example.gov"])
    assert missing(held, REGISTRAR) == ("owners",) and missing(held, DEPUTY) == ()


# -- heads (policy C8) -------------------------------------------------------------------------------------------


def test_the_head_of_the_senders_agency_must_agree():
    held = question("head", sender="ann@sub.doa.example.gov")  # C8
    assert APPROVERS.whom_to_notify(held) == {"head@doa.example.gov"}
    assert missing(held, "head@doa.example.gov") == () and missing(held, CIO) == ("head",)


def test_an_agency_without_a_head_or_with_the_head_as_sender_asks_an_approver():
    assert missing(question("head"), CIO) == ()
    assert missing(question("head", sender="head@doa.example.gov"), CIO) == ()


def test_the_longest_domain_says_which_agency_it_is():
    assert agency_of(RULESET, "a@labs.doa.example.gov") == "LABS"
    assert agency_of(RULESET, "a@x.labs.doa.example.gov") == "DOA"
    assert agency_of(RULESET, "a@example.org") is None


# -- n of m, delegates -------------------------------------------------------------------------------------------


def test_so_many_of_several_are_different_people():
    assert missing(question("two"), CIO) == ("any 2 of approver, registrar@example.gov",)
    assert missing(question("two"), CIO, CIO) != () and missing(question("two"), CIO, DEPUTY) == ()
    assert missing(question("two"), CIO, REGISTRAR) == ()


def test_a_delegate_acts_in_somebodys_place_until_the_day_is_over():
    held, later = question("named"), question("named", on=AFTER_CHRISTMAS)
    assert APPROVERS.refusal(question("named", on=date(2026, 12, 24)), CLERK) is None
    assert APPROVERS.refusal(question("named", on=date(2026, 12, 25)), CLERK) is not None
    assert missing(held, CIO, CLERK) == () and missing(held, CIO, CLERK, on=AFTER_CHRISTMAS) == (REGISTRAR,)
    assert CLERK in APPROVERS.whom_to_notify(held) and CLERK not in APPROVERS.whom_to_notify(later)


def test_a_yes_of_a_delegate_counts_by_the_day_on_which_it_was_said():
    assert APPROVERS.missing(question("named"), {CLERK: TODAY, CIO: AFTER_CHRISTMAS}) == ()


def test_a_delegate_and_whom_they_stand_for_are_one_of_two():
    assert missing(question("two"), CLERK) != ()  # one yes, of one person


def test_a_delegate_decides_neither_their_own_nor_what_the_absent_one_sent():
    own = question("named", sender=CLERK)
    assert "nobody decides their own" in APPROVERS.refusal(own, CLERK)
    theirs = question("owned", sender=REGISTRAR, lists=["students@example.gov"])
    assert APPROVERS.refusal(theirs, CLERK) is not None and CLERK not in APPROVERS.whom_to_notify(theirs)


# -- escalation --------------------------------------------------------------------------------------------------


def test_who_it_was_passed_on_to_decides_in_the_place_of_those_who_did_not_answer():
    held = question("named", escalated=(AskTerm("role", "admin"),))
    assert missing(held, "admin@example.gov") == () and missing(held, CIO) == (REGISTRAR,)
    assert "admin@example.gov" in APPROVERS.whom_to_notify(held)
    assert APPROVERS.refusal(question("named"), "admin@example.gov") is not None


def test_the_next_role_after_owners_are_approvers_and_after_approvers_admins():
    assert APPROVERS.next_role(question("owned")) == (AskTerm("role", "approver"),)
    assert APPROVERS.next_role(question("both")) == (AskTerm("role", "admin"),)


PEOPLE = (*RULESET.people, CLERK, "ann@dphhs.example.gov")
IDS = [rule.id for rule in RULESET.rules]


@given(
    rules=st.sets(st.sampled_from(IDS)),
    lists=st.sets(st.sampled_from(sorted(RULESET.lists))),
    agencies=st.sets(st.sampled_from(sorted(RULESET.agencies))),
    sender=st.sampled_from(PEOPLE),
    agreed=st.sets(st.sampled_from(PEOPLE)),
    on=st.sampled_from([TODAY, AFTER_CHRISTMAS]),
)
def test_all_who_are_told_can_settle_it_and_one_yes_more_never_takes_one_back(
    rules, lists, agencies, sender, agreed, on
):
    held = question(*rules, sender=sender, lists=lists, agencies=agencies, on=on)
    told = APPROVERS.whom_to_notify(held)
    assert told and sender not in told and missing(held, *told, on=on) == ()
    assert all(APPROVERS.refusal(held, each) is None for each in told)
    fewer = set(missing(held, *agreed, on=on))
    assert fewer >= set(missing(held, *agreed, CIO, on=on))
    assert missing(held, sender, on=on) == missing(held, on=on)  # one's own yes counts for nothing


@pytest.mark.parametrize("rule", ["gone", ""])
def test_a_rule_that_is_not_there_any_more_asks_an_approver(rule):
    assert missing(question(rule)) == ("approver",)
