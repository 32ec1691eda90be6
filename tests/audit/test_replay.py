"""Past decisions made again from what was recorded: under the same rules the same, under a draft the draft's."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.audit.comparison import Comparison
from gatekeeper.audit.record import DecisionContext, Frame, Record, Recorder
from gatekeeper.audit.record import test_key as key_of
from gatekeeper.audit.replay import Replayed, Replayer
from gatekeeper.model import Action, Reason, Scope, Standing, Suspension
from gatekeeper.rules import judge
from gatekeeper.rules.judge import field_values
from gatekeeper.rules.matching.compile import compile_test
from tests.rules.making import HEAD, NOW, attached, evidence, one, permit, ruleset
from tests.rules.test_reference import evidence_of, made_rules, messages, rules_much_alike

MASS = "mass: {people: {over: 200}}\n"


def recorded(rules, seen, now=NOW, **about):
    """A judgment as it was kept and read again, with its frame."""
    recorder = Recorder(rules)
    verdict = judge(rules, seen, now)
    known = {"id": "5f1c09", "done": verdict.action.value, **about}
    line = recorder.record(seen, verdict, now, DecisionContext(**known))._replace(source="00ff").line()
    return Record(*json.loads(line)), Frame.read(recorder.frame.text)


def replayed(draft, record_and_frame):
    return Replayer(draft).replay(*record_and_frame)


def told(rules, seen, now=NOW):
    verdict = judge(rules, seen, now)
    return verdict.action, verdict.rules


def read(rules):
    return ruleset("".join(f"  - {json.dumps(rule)}\n" for rule in rules) or "  []\n")


def asked(rules, seen):
    """The message with all of the ledger, if the store would have asked it: where a verdict hangs on it."""
    return with_ledger(seen) if judge(rules, seen, NOW).depends_on_ledger else seen


def with_ledger(seen):
    return replace(seen, standing=Standing(whole=True, suspensions=SUSPENDED if seen.facts.size % 2 else ()))


SUSPENDED = (Suspension("S-2", Scope(agencies=frozenset({"DOA"})), "spam", NOW + timedelta(days=9)),)


@settings(max_examples=200, deadline=None)
@given(st.one_of(made_rules, rules_much_alike), messages, st.booleans())
def test_the_same_rules_say_the_same_of_what_was_recorded(made, about, numbered):
    """Whether the mail is ordinary or has a number."""
    rules = read(made)
    seen = asked(rules, evidence_of(about))
    again = replayed(rules, recorded(rules, seen, mailing="M-1" if numbered else None))
    assert (again.action, again.rules, again.unrecorded_test, again.ledger_not_asked) == (*told(rules, seen), "", False)


@settings(max_examples=200, deadline=None)
@given(made_rules, made_rules, messages)
def test_a_draft_says_of_mass_mail_what_it_would_have_said(made, drafted, about):
    rules, draft, seen = read(made), read(drafted), with_ledger(evidence_of({**about, "users": 300 + about["users"]}))
    again = replayed(draft, recorded(rules, seen, mailing="M-1"))
    if again.unrecorded_test.startswith("reach"):  # of a list of which the rules in force did not ask
        return
    assert (again.unrecorded_test, again.ledger_not_asked) == ("", False) and again.action == told(draft, seen)[0]
    assert not again.complete or again.rules == told(draft, seen)[1]


@settings(max_examples=200, deadline=None)
@given(made_rules, made_rules, messages)
def test_a_draft_says_of_ordinary_mail_what_it_would_have_said_or_on_what_it_hung(made, drafted, about):
    rules, draft, seen = read(made), read(drafted), evidence_of(about)
    again = replayed(draft, recorded(rules, asked(rules, seen)))
    would_be = told(draft, asked(draft, seen))
    open_ = again.unrecorded_test or again.ledger_not_asked
    assert open_ or again.action == would_be[0]
    # the rules in force may have asked the ledger where the draft would not: then the record knows more
    rules_of = (would_be[1], told(draft, with_ledger(seen))[1])
    assert open_ or not again.complete or again.rules in rules_of


@settings(max_examples=60, deadline=None)
@given(st.one_of(made_rules, rules_much_alike), messages)
def test_each_test_is_recorded_with_the_answer_that_it_gives_by_itself(made, about):
    rules, seen = read(made), evidence_of(about)
    record, frame = recorded(rules, seen)
    values = field_values(rules, seen, NOW)
    tests = {key_of(test): compile_test(test) for rule in rules.rules for test in rule.tests()}
    answers = {True: "1", False: "0", None: "?"}
    assert record.answers == "".join(answers[tests[key](values)] for key in frame.tests)


# -- what is not in a record -------------------------------------------------------------------------------------

PRIVATE = {
    "sender": "jo@doa.example.gov",
    "login": "jo",
    "subject": "My leave",
    "list_id": "bowling.example.gov",
    "lists": frozenset({"all-staff@example.gov"}),
    "links": frozenset({"clinic.example.org"}),
}


def test_of_ordinary_mail_a_record_has_no_address_and_no_subject():
    """Clause D4: the answers of the rules' own tests instead."""
    rules = one(
        '{subject: {like: "*leave*"}, sender: jo@doa.example.gov, lists: {includes: all-staff@example.gov}}', "warn"
    )
    record, _ = recorded(rules, evidence(**PRIVATE, attachments=attached("diagnosis.pdf"), client="192.0.2.9"))
    text = record.line().decode()
    for word in ("jo", "leave", "bowling", "all-staff", "clinic", "diagnosis", "192.0.2.9"):
        assert word not in text
    assert record.answers == "111" and record.verdict == "warn"


def test_the_rules_can_allow_more():
    told_more = ruleset("  []\n", HEAD + "audit: {ordinary: [subject]}\n")
    record, frame = recorded(told_more, evidence(**PRIVATE))
    assert "My leave" in record.values and "jo@doa.example.gov" not in record.line().decode()
    assert replayed(one("{subject: {missing: false}}", "reject"), (record, frame)).action == "reject"


def test_a_number_alone_makes_no_mail_a_record():
    """Clause D4: a gathered mailing has a number before it is known whether it is mass."""
    record, _ = recorded(ruleset("  []\n"), evidence(**PRIVATE), mailing="M-1")
    assert record.mailing == "M-1" and "My leave" not in record.values


def test_mass_mail_is_recorded_by_value():
    record, _ = recorded(ruleset("  []\n"), evidence(**PRIVATE, users=300))
    assert "My leave" in record.values and record.mass


def test_what_a_draft_asks_that_was_not_recorded_is_said():
    kept = recorded(one("{users: {over: 100}}"), evidence())
    again = replayed(one('{sender: {like: "jo@*"}}', "reject"), kept)
    assert again.unrecorded_test == "sender like jo@*"
    # what makes no difference to the verdict leaves nothing open
    assert replayed(one('{sender: {like: "jo@*"}, users: {over: 5}}', "reject"), kept).unrecorded_test == ""
    two = ruleset("  - {id: a, when: {users: {over: 0}}, then: hold}\n  - {id: b, when: {subject: x}, then: warn}\n")
    assert replayed(two, kept).action == "hold"


def test_a_rule_that_would_hold_because_it_is_unknown_leaves_a_milder_verdict_open():
    kept = recorded(one("{users: {over: 100}}", "defer"), evidence(users=300), mailing="M-1")
    reach = "{reach: {of: all-staff@example.gov, at_least: 80%}}"
    draft = ruleset(
        f"  - {{id: a, when: {{users: {{over: 100}}}}, then: defer}}\n  - {{id: b, when: {reach}, then: defer}}\n"
    )
    assert replayed(draft, kept).unrecorded_test.startswith("reach")


def test_what_a_draft_asks_of_the_ledger_that_nobody_asked_then_is_said():
    """Clause C10: of ordinary mail nobody knew whether its sender was suspended."""
    kept = recorded(one("{users: {over: 100}}"), evidence(users=60))
    draft = one("{suspended: true, users: {over: 50}}", "reject")
    again = replayed(draft, kept)
    assert (again.action, again.unrecorded_test) == ("relay", "suspended is true")
    lower = ruleset("  []\n", HEAD + "mass: {people: {over: 50}}\n")
    assert replayed(lower, kept) == Replayed(Action.RELAY, (), ledger_not_asked=True)
    found = compare(lower, [kept, recorded(one("{users: {over: 100}}"), evidence(users=2))])
    assert (found.judged, found.ledger_not_asked, found.differences) == (2, 1, 0)


@pytest.mark.parametrize("during, action", [("{from: 2026-07-01}", "relay"), ("{until: 2026-06-30}", "hold")])
def test_a_past_decision_is_judged_at_its_own_time(during, action):
    draft = one("{users: {over: 0}}", more=f"during: {during}")
    assert replayed(draft, recorded(ruleset("  []\n"), evidence())).action == action


def test_mail_that_no_rule_governed_is_judged_so_again():
    """Clause M9, and DSNs."""
    strict = one("{users: {over: 0}}", "reject")
    automatic, answer = {"automatic": True, "mail_from": ""}, Standing(answers=True)
    assert replayed(strict, recorded(strict, evidence(**automatic, standing=answer))).action == "relay"
    assert replayed(strict, recorded(strict, evidence(**automatic))).action == "reject"  # by counts alone
    assert replayed(one("{subject: {missing: false}}", "reject"), recorded(strict, evidence(**automatic))).rules == ()
    out = ruleset("  - {id: only, when: {users: {over: 0}}, then: reject}\n", HEAD + "scope: {except: [DEQ]}\n")
    kept = recorded(out, evidence(agency="DEQ", covered=False))
    assert (replayed(out, kept).action, replayed(strict, kept).action) == ("relay", "reject")
    unproven = evidence(agency="DEQ")
    unproven = replace(unproven, source=replace(unproven.source, proven=False))
    assert replayed(out, recorded(out, unproven)).action == "reject"  # the name in From alone is no agency's


# -- standing ----------------------------------------------------------------------------------------------------

HELD_FOR = (Reason("only", Action.HOLD, "", "too many", ("approver",)),)


def test_a_permit_covers_again_what_it_covered():
    rules = one("{users: {over: 2000}}")
    covered = Standing("M-1", "released", (), (permit(),))
    for users in (2400, 2401):
        seen = evidence(users=users, standing=covered)
        again = replayed(rules, recorded(rules, seen, mailing="M-1"))
        assert (again.action, again.rules) == told(rules, seen)
    tighter = ruleset("  - {id: other, when: {users: {over: 1000}}, then: hold}\n")
    assert replayed(tighter, recorded(rules, evidence(users=2400, standing=covered), mailing="M-1")).rules == ("other",)


def test_held_mail_stays_held_under_the_same_rules():
    rules = one("{users: {over: 2000}}")
    for reasons in (HELD_FOR, ()):
        seen = evidence(users=10, standing=Standing("M-1", "held", reasons))
        again = replayed(rules, recorded(rules, seen, mailing="M-1"))
        assert (again.action, again.rules) == told(rules, seen)


# -- a day of them -----------------------------------------------------------------------------------------------


def day(rules, *mail):
    """Decisions of one mailing after the other, as the store would hand them to the judge."""
    standing = Standing()
    for number, given_mail in enumerate(mail):
        seen = evidence(**given_mail, standing=standing)
        now = NOW + timedelta(minutes=number)
        yield recorded(rules, seen, now, mailing="M-1", key=1)
        verdict = judge(rules, seen, now)
        if verdict.action == "hold":
            standing = Standing("M-1", "held", tuple(r for r in verdict.reasons if r.action == "hold"))


def compare(draft, decisions):
    found = Comparison(draft)
    for record, frame in decisions:
        found.take(record, frame)
    return found


CUT = [{"users": users} for users in (900, 1800, 2700, 3600)]


def test_the_same_rules_change_nothing_of_a_mailing_that_was_held():
    rules = one("{users: {over: 2000}}")
    found = compare(rules, day(rules, *CUT))
    assert (found.decisions, found.judged, found.changes) == (4, 4, {})


def test_a_higher_limit_lets_all_of_it_go_though_the_mailing_was_held():
    rules = one("{users: {over: 2000}}")
    found = compare(one("{users: {over: 5000}}"), day(rules, *CUT))
    (change,) = found.changes.values()
    assert (change.before, change.after, change.decisions, len(change.mailings)) == ("hold", "relay", 2, 1)
    assert found.differences == 2 and dict(change.rules) == {"only": 2}


def test_a_lower_limit_holds_what_came_later_as_well():
    rules = one("{users: {over: 2000}}")
    found = compare(
        ruleset("  - {id: new, when: {users: {over: 0}, size: {over: 5}}, then: hold}\n"),
        day(rules, {"users": 10, "size": 10}, {"users": 20, "size": 1}),
    )
    (change,) = found.changes.values()
    assert (change.before, change.after, change.decisions) == ("relay", "hold", 2), "the second joins a held mailing"
    (example,) = change.examples
    assert example.verdict.rules == ("new",) and example.value("users") == 10


def test_another_reason_for_the_same_verdict_is_no_difference_but_told():
    rules = one("{users: {over: 2000}}", "reject")
    found = compare(ruleset("  - {id: new, when: {users: {over: 1000}}, then: reject}\n"), day(rules, {"users": 3000}))
    (change,) = found.changes.values()
    assert found.differences == 0 and not change.is_verdict and dict(change.rules) == {"new": 1}


def test_decisions_that_asked_no_rule_are_counted_apart():
    rules = one("{users: {over: 2000}}")
    found = compare(rules, [(replace_moment(record), None) for record, _ in day(rules, CUT[0])])
    assert (found.decisions, found.judged, dict(found.not_asked)) == (1, 0, {"resent": 1})


def replace_moment(record):
    return record._replace(frame="", moment="resent")


def test_a_rule_that_reads_what_no_longer_exists_leaves_the_rest_to_be_judged():
    record, frame = recorded(one("{users: {over: 0}}"), evidence())
    older = replace(frame, fields=("gone", *frame.fields))
    assert replayed(one("{users: {over: 0}}"), (record._replace(values=[5, *record.values]), older)).action == "hold"


def test_working_hours_are_those_of_the_draft_at_the_time_of_the_decision():
    hours = "working_hours: {from: 8:00, until: 17:00}\n"
    late = ruleset("  - {id: only, then: hold, when: {working_hours: false}}\n", HEAD + hours)
    kept = recorded(one("{users: {over: 5000}}"), evidence(), NOW.replace(hour=20))
    assert replayed(late, kept).action is Action.HOLD
    assert replayed(late, recorded(one("{users: {over: 5000}}"), evidence(), NOW)).action is Action.RELAY


def test_a_suspended_sender_is_suspended_again():
    """Clause C10."""
    suspension = Suspension("S-2", Scope(agencies=frozenset({"DOA"})), "spam", NOW + timedelta(days=9))
    rules = ruleset("  []\n")
    seen = evidence(users=300, standing=Standing(whole=True, suspensions=(suspension,)))
    kept = recorded(rules, seen)
    again = replayed(rules, kept)
    assert (again.action, again.rules) == told(rules, seen) == ("reject", ("suspended",))
    assert "agency DOA is suspended" in Replayer(rules).verdict(*kept).reasons[0].text
