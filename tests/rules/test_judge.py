"""Verdicts of whole rulesets: what happens to a message, clause by clause."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gatekeeper.model import Action, Name, Reason, Scope, Source, Standing, Verdict
from gatekeeper.rules import is_mass, judge, observed, read_ruleset, uncovered
from tests.rules.making import NOW, ROOT, attached, evidence, one, permit, ruleset, verdict

SHIPPED = read_ruleset(ROOT / "rules.yaml")
TWO = {"DOA": 2000, "DEQ": 1}


@pytest.mark.parametrize(
    ("given", "action", "rules"),
    [
        ({}, "relay", ()),
        ({"users": 2000, "agencies": {"DOA": 1999, "DEQ": 1}}, "relay", ()),  # M1: not more than 2000
        ({"users": 2001, "agencies": {"DOA": 2001}}, "relay", ()),  # M1: and more than one agency
        ({"users": 2001, "agencies": TWO}, "hold", ("approval",)),  # M1
        ({"users": 2001, "agencies": TWO, "subject": None}, "reject", ("approval", "subject")),  # all reasons at once
        ({"users": 200, "subject": None}, "relay", ()),  # D3: ordinary mail is not in the way
        ({"users": 201, "subject": None}, "reject", ("subject",)),  # C9
        ({"users": 150, "external": 51, "subject": None}, "reject", ("subject",)),  # people are users and externals
        ({"users": 201, "visible": 20}, "relay", ()),
        ({"users": 201, "visible": 21}, "reject", ("blind-copy",)),  # C9
        ({"users": 201, "attachments": attached("a.pdf")}, "warn", ("attachments",)),  # C9
        ({"users": 3000, "agencies": TWO, "covered": False}, "relay", ()),  # M9: scope.except
    ],
)
def test_the_shipped_rules(given, action, rules):
    decided = verdict(SHIPPED, **given)
    assert (str(decided.action), decided.rules) == (action, rules)


def test_the_sender_is_told_what_was_counted_what_to_do_and_whom_to_ask():
    (reason,) = verdict(SHIPPED, users=2450, agencies=TWO).reasons
    assert reason.text == (
        "This mailing reaches 2450 users in 2 agencies; over 2000 users in more than one agency needs approval."
    )
    assert (reason.cite, reason.ask, reason.action) == ("1220.XS2 III.A", ("approver",), Action.HOLD)


def test_dsns_and_auto_replies_pass_but_other_null_sender_mail_is_counted():
    answer = Standing(answers=True)
    assert verdict(SHIPPED, users=3000, agencies=TWO, mail_from="", automatic=True, standing=answer) == Verdict()
    assert verdict(SHIPPED, users=300, agencies=TWO, mail_from="", automatic=True, subject=None).reasons == ()
    assert verdict(SHIPPED, users=3000, agencies=TWO, mail_from="", automatic=True).action is Action.HOLD
    assert verdict(SHIPPED, users=3000, agencies=TWO, mail_from="").action is Action.HOLD
    assert verdict(SHIPPED, users=3000, agencies=TWO, automatic=True).action is Action.HOLD


def test_mass_is_told_with_the_verdict():
    assert not verdict(SHIPPED, users=200).mass
    assert verdict(SHIPPED, users=201).mass
    assert is_mass(SHIPPED, evidence(users=201))


def test_mass_without_its_key_is_more_than_200_people():
    rules = one("{mass: true}")
    assert verdict(rules, users=200).rules == ()
    assert verdict(rules, users=201).rules == ("only",)


@pytest.mark.parametrize("weaker", ["relay", "warn", "defer", "hold"])
def test_the_most_severe_action_wins_and_all_reasons_stay(weaker):
    order = ["relay", "warn", "defer", "hold", "reject"]
    stronger = order[order.index(weaker) + 1]
    rules = ruleset(
        f"  - {{id: a, when: {{users: {{over: 0}}}}, then: {weaker}}}\n"
        f"  - {{id: b, when: {{users: {{over: 0}}}}, then: {stronger}}}\n"
    )
    decided = verdict(rules)
    assert (str(decided.action), decided.rules) == (stronger, ("a", "b"))


# -- what cannot be told -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "users", "expected"),
    [
        ("hold", 1, "defer"),
        ("hold", 201, "hold"),
        ("reject", 1, "defer"),
        ("reject", 201, "hold"),
        ("defer", 201, "hold"),
        ("warn", 1, "warn"),
        ("warn", 201, "warn"),
        ("relay", 201, "relay"),
    ],
)
def test_a_rule_that_cannot_be_told_errs_to_the_safe_side(then, users, expected):
    decided = verdict(one("{suspended: true}", then), users=users)
    assert str(decided.action) == expected
    assert [reason.unknown for reason in decided.reasons] == ([] if then == "relay" else [True])


def test_an_unknown_hold_says_what_is_not_known_and_asks_the_rules_own_people():
    (reason,) = verdict(one("{suspended: true}", "reject", "ask: cio@example.gov"), users=500).reasons
    assert "suspended cannot be told" in reason.text
    assert reason.ask == ("cio@example.gov",)


def test_an_unknown_part_does_not_matter_where_another_decides():
    assert verdict(one("{suspended: true, subject: nothing like it}")).rules == ()
    assert verdict(one("{any: [{suspended: true}, {users: {over: 0}}]}")).reasons[0].unknown is False
    assert verdict(one("{users: {over: 0}}", more="unless: {consented: true}")).reasons[0].unknown is True


def test_a_rule_that_is_only_observed_changes_nothing():
    rules = one("{users: {over: 0}}", "reject", "mode: observe")
    assert verdict(rules) == verdict(ruleset("  []"))
    assert observed(rules, evidence(), NOW) == ("only",)
    assert observed(one("{suspended: true}", "reject", "mode: observe"), evidence(users=300), NOW) == ()


# -- dates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "in_force"),
    [
        (datetime(2026, 1, 1, 6, 59, tzinfo=UTC), False),  # still New Year's Eve in Denver
        (datetime(2026, 1, 1, 7, 0, tzinfo=UTC), True),
        (datetime(2027, 1, 1, 6, 59, tzinfo=UTC), True),  # the last day counts
        (datetime(2027, 1, 1, 7, 0, tzinfo=UTC), False),
    ],
)
def test_during_goes_by_the_rulesets_own_days(moment, in_force):
    text = "  - {id: only, when: {users: {over: 0}}, then: hold, during: {from: 2026-01-01, until: 2026-12-31}}\n"
    rules = ruleset(text, "version: 1\ntimezone: America/Denver\n")
    assert bool(judge(rules, evidence(), moment).rules) is in_force


def test_during_with_a_time_ends_at_it():
    rules = one("{users: {over: 0}}", more="during: {until: '2026-06-01 12:00'}")
    assert judge(rules, evidence(), NOW.replace(hour=11, minute=59)).rules == ("only",)
    assert judge(rules, evidence(), NOW).rules == ()


# -- what the ledger adds ----------------------------------------------------------------------------------------

HELD_FOR = Reason("only", Action.HOLD, text="too many")


def test_a_held_mailing_takes_in_later_batches():
    held = Standing("M-17", "held", (HELD_FOR,))
    decided = verdict(one("{users: {over: 2000}}"), users=1, standing=held)
    assert (decided.action, decided.reasons) == (Action.HOLD, (HELD_FOR,))


def test_a_held_mailing_without_reasons_stays_held():
    assert verdict(one("{users: {over: 2000}}"), standing=Standing("M-17", "held")).action is Action.HOLD


def test_a_reason_that_matches_again_is_told_once_and_anew():
    held = Standing("M-17", "held", (replace(HELD_FOR, text="reaches 2001"),))
    rules = one("{users: {over: 2000}}", more="say: 'reaches {users}'")
    assert [reason.text for reason in verdict(rules, users=2002, standing=held).reasons] == ["reaches 2002"]


def test_a_later_batch_of_a_held_mailing_can_be_rejected():
    rules = ruleset("  - {id: subject, when: {subject: {missing: true}}, then: reject}\n")
    decided = verdict(rules, subject=None, standing=Standing("M-17", "held", (HELD_FOR,)))
    assert (decided.action, decided.rules) == (Action.REJECT, ("subject", "only"))


COVERED = {"users": 2400, "agencies": {"DOA": 2000, "DEQ": 400}, "content_digest": "d1"}


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, None),
        ({"digests": frozenset({"d1"})}, None),
        ({"agencies": frozenset({"DOA", "DEQ", "DOJ"})}, None),
        ({"until": NOW}, None),
        ({"ceiling": 2399}, "2400 users, permit allows 2399"),
        ({"digests": frozenset({"d2"})}, "the content is not what was approved"),
        ({"agencies": frozenset({"DOA"})}, "reaches agencies that it does not name: DEQ"),
        ({"until": datetime(2026, 5, 31, tzinfo=UTC)}, "its last day is over: it ended 2026-05-31 00:00 UTC"),
        ({"since": datetime(2026, 7, 1, tzinfo=UTC)}, "its first day is to come: it begins 2026-07-01 00:00 UTC"),
        (
            {"since": datetime(2026, 7, 1, tzinfo=UTC), "kind": "emergency"},
            "it was declared after this mail had come, at 2026-07-01 00:00 UTC, and lets only what comes later pass",
        ),
    ],
)
@pytest.mark.parametrize("state", ["open", "held"])
def test_a_permit_clears_a_hold_that_it_covers_and_others_say_the_difference(changes, difference, state):
    reasons = (HELD_FOR,) if state == "held" else ()
    standing = Standing("M-17", state, reasons, (permit(**changes),))
    decided = verdict(one("{users: {over: 2000}}", more="say: Too many."), standing=standing, **COVERED)
    if difference is None:
        assert (decided.action, decided.reasons, decided.permits) == (Action.RELAY, (), ("P-3",))
    else:
        assert (decided.action, decided.permits) == (Action.HOLD, ())
        assert decided.reasons[0].text == f"Too many. (not covered by P-3: {difference})"


def test_a_permit_answers_only_the_rules_it_names():
    rules = ruleset(
        "  - {id: only, when: {users: {over: 2000}}, then: hold}\n"
        "  - {id: other, when: {users: {over: 2000}}, then: hold, say: Other.}\n"
    )
    decided = verdict(rules, standing=Standing(permits=(permit(),)), **COVERED)
    assert (decided.rules, decided.permits) == (("other",), ("P-3",))
    assert decided.reasons[0].text == "Other."
    assert uncovered(permit(), evidence(**COVERED), "other", NOW) == ("it does not answer rule other",)


def test_a_permit_clears_no_reject():
    decided = verdict(one("{users: {over: 2000}}", "reject"), standing=Standing(permits=(permit(),)), **COVERED)
    assert decided.action is Action.REJECT


def test_a_held_reason_is_not_told_the_same_difference_twice():
    standing = Standing("M-17", "held", (HELD_FOR,), (permit(ceiling=1),))
    once = verdict(one("{users: {over: 9000}}"), users=5, standing=standing).reasons
    again = replace(standing, reasons=once)
    assert verdict(one("{users: {over: 9000}}"), users=5, standing=again).reasons == once


def test_judging_is_repeatable_and_leaves_its_evidence_alone():
    given = evidence(users=2001, agencies=TWO)
    assert judge(SHIPPED, given, NOW) == judge(SHIPPED, given, NOW)


@pytest.mark.parametrize(
    ("beside", "difference"),
    [
        ((), ""),
        ((Name("ann@doa.example.gov", "DOA"),), ""),
        ((Name("jo@dphhs.example.gov", "DPHHS"),), "it is also sent under the name jo@dphhs.example.gov"),
        (None, "neither a login nor MAIL FROM says for certain who sends it"),
    ],
)
def test_a_permit_for_senders_holds_of_every_name_or_of_the_very_content(beside, difference):
    source = Source("gov@doa.example.gov", authenticated=True, agency="DOA", beside=beside)
    given = replace(evidence(**COVERED), source=source)
    scoped = replace(permit(digests=frozenset()), scope=Scope(agencies=frozenset({"DOA"})))
    told = f"{difference}, and then only the very content that was approved may pass"
    (rule,) = scoped.rules
    assert uncovered(scoped, given, rule, NOW) == ((told,) if difference else ())
    exact = replace(scoped, digests=frozenset({given.facts.content_digest}))
    assert uncovered(exact, given, rule, NOW) == ()
