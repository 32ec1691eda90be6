"""What each field sees and what each test of it means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gatekeeper.model import Action, ListReach, Mailbox
from gatekeeper.rules import judge
from gatekeeper.rules.field_kinds import UNAVAILABLE
from gatekeeper.rules.fields import FIELDS
from gatekeeper.rules.language.read_conditions import _CONSENTED
from tests.rules.making import HEAD, NOW, attached, check, errors, evidence, matched, one, ruleset, verdict


@pytest.mark.parametrize(
    ("when", "given", "expected"),
    [
        # numbers
        ("{users: {over: 5}}", {"users": 5}, False),
        ("{users: {over: 5}}", {"users": 6}, True),
        ("{users: {at_least: 5}}", {"users": 5}, True),
        ("{external: {at_least: 1}}", {"external": 1}, True),
        ("{people: {over: 10}}", {"users": 6, "external": 5}, True),
        ("{unresolved: {over: 0}}", {"unresolved": 1}, True),
        ("{visible: {under: 3}}", {"visible": 2}, True),
        ("{visible: {at_most: 1}}", {"visible": 2}, False),
        ("{recipients: 7}", {"recipients": 7}, True),
        ("{recipients: {in: [6, 8]}}", {"recipients": 7}, False),
        ("{visible: {over: 1, under: 4}}", {"visible": 3}, True),
        ("{attachments: 0}", {}, True),
        ("{attachments: {over: 1}}", {"attachments": attached("a", "b")}, True),
        # sizes
        ("{size: {over: 5MB}}", {"size": 5 * 1024 * 1024}, False),
        ("{size: {over: 5MB}}", {"size": 5 * 1024 * 1024 + 1}, True),
        ("{attachment_size: {over: 1500}}", {"attachments": attached("a", "b")}, True),  # all files together
        # sets: numbers compare how many, names the names
        ("{agencies: {over: 1}}", {"agencies": {"DOA": 9, "DEQ": 1}}, True),
        ("{agencies: {over: 1}}", {"agencies": {"DOA": 9}}, False),
        ("{agencies: {includes: DEQ}}", {"agencies": {"DOA": 9, "DEQ": 1}}, True),
        ("{agencies: {includes: [DEQ, DOA]}}", {"agencies": {"DEQ": 1}}, True),  # at least one of them
        ("{lists: {includes: all-staff@example.gov}}", {"lists": frozenset({"all-staff@example.gov"})}, True),
        ("{lists: {like: 'ALL-*'}}", {"lists": frozenset({"all-staff@example.gov"})}, True),
        ("{attachment_names: {like: ['*.exe', '*.js']}}", {"attachments": attached("a.pdf", "B.EXE")}, True),
        ("{attachment_types: {only: application/pdf}}", {"attachments": attached("a.pdf")}, True),
        ("{attachment_types: {only: application/pdf}}", {}, False),  # missing: every test but missing is false
        ("{attachment_names: {under: 1}}", {}, True),  # how many there are is never missing
        ("{attachment_names: {missing: true}}", {}, True),
        ("{attachment_names: {missing: false}}", {}, False),
        ("{links: forms.example.org}", {"links": frozenset({"forms.example.org", "b.example.org"})}, True),
        ("{links: {like: '*.example.org'}}", {"links": frozenset({"forms.example.org"})}, True),  # T6
        ("{defects: {includes: duplicate-from}}", {"defects": ("duplicate-from",)}, True),
        ("{defects: 2}", {"defects": ("duplicate-from", "no-date")}, True),
        ("{from: {in: [A@Example.GOV]}}", {"author": (Mailbox("", "a@example.gov"),)}, True),
        # texts
        ("{subject: open ENROLMENT}", {}, True),
        ("{subject: {like: 'open*'}}", {}, True),
        ("{subject: {like: open}}", {}, False),  # a pattern covers the whole
        ("{subject: {like: 'o?en*'}}", {}, True),
        ("{subject: {like: '[o]pen*'}}", {}, False),  # no other signs than * and ?
        ("{subject: {matches: enrol}}", {}, True),
        ("{subject: {matches: ENROL}}", {}, False),
        ("{subject: {matches: '(?i)ENROL'}}", {}, True),
        ("{subject: {in: [a, open enrolment]}}", {}, True),
        ("{subject: {missing: true}}", {"subject": None}, True),
        ("{subject: {like: '*'}}", {"subject": None}, False),
        ("{not: {subject: {like: '*'}}}", {"subject": None}, True),
        ("{subject: {like: '*'}}", {"subject": "lone \udc80 surrogate"}, True),
        ("{sender: HEAD@doa.example.gov}", {}, True),  # T8
        ("{sender_agency: DOA}", {}, True),
        ("{sender_agency: {missing: true}}", {"agency": None}, True),
        ("{login: {missing: true}}", {}, True),
        ("{login: head}", {"login": "head"}, True),
        ("{list_id: {like: '*.example.gov'}}", {"list_id": "news.example.gov"}, True),
        # words, networks
        ("{unsubscribe: {missing: true}}", {}, True),  # T2
        ("{unsubscribe: one-click}", {"unsubscribe": ("https://example.gov/u",), "one_click": True}, True),
        ("{unsubscribe: {in: [link]}}", {"unsubscribe": ("mailto:u@example.gov",)}, True),
        ("{listener: milter}", {"listener": "milter"}, True),
        ("{network: 192.0.2.0/24}", {}, True),
        ("{network: {in: [198.51.100.0/24, 192.0.2.7]}}", {}, True),
        ("{network: 192.0.2.0/24}", {"client": "::ffff:192.0.2.9"}, True),
        ("{network: '2001:db8::/32'}", {}, False),
        ("{network: {missing: true}}", {"client": ""}, True),
        # combinations
        ("{users: {over: 0}, subject: other}", {}, False),
        ("{any: [{users: {over: 9}}, {subject: open enrolment}]}", {}, True),
        ("{all: [{users: {over: 0}}, {users: {over: 9}}]}", {}, False),
        ("{not: [{subject: a}, {subject: b}]}", {}, True),  # none of them
        ("{not: {subject: open enrolment, visible: 9}}", {}, True),  # not both
    ],
)
def test_a_test_means(when, given, expected):
    assert errors(when) == []
    assert matched(when, **given) is expected


def test_unless_takes_a_match_back():
    assert not matched("{users: {over: 0}}", "unless: {sender: head@doa.example.gov}")
    assert matched("{users: {over: 0}}", "unless: {sender: head@deq.example.gov}")


def test_defines_are_used_by_name_alone_and_as_a_key():
    head = "version: 1\ndefine:\n  big: {users: {over: 5}}\n  survey: {links: {like: '*survey*'}, subject: big}\n"
    for when in ("big", "{big: true}", "{any: [big, survey]}"):
        text = f"{head}rules: [{{id: only, when: {when}, then: warn}}]\n"
        assert check(text) == ()


def test_scalars_mean_what_they_look_like():
    text = (
        "version: 1\ntitle: 1:30\ncontact: 212.10\nagencies: {NO: {name: Off, domains: [no.example.gov]}}\n"
        "rules: [{id: 212.10, cite: 2026-01-01, when: {agencies: {includes: NO}, subject: yes}, then: hold, say: NO}]\n"
    )
    from pathlib import Path

    from gatekeeper.rules import parse_ruleset

    rules = parse_ruleset(text, "rules.yaml", Path("."))
    assert (rules.title, rules.contact, tuple(rules.agencies)) == ("1:30", "212.10", ("NO",))
    assert (rules.rules[0].id, rules.rules[0].cite, rules.rules[0].say) == ("212.10", "2026-01-01", "NO")
    assert verdict(rules, subject="Yes", agencies={"NO": 1}).rules == ("212.10",)


def test_placeholders_tell_values_and_no_control_characters():
    say = "say: '{users} {agencies} {size} {{{subject}}} {login} {cite} {title} {rule}'"
    decided = verdict(one("{users: {over: 0}}", more=f"cite: M1, {say}"), subject="a\r\nb\x00", size=1536)
    assert decided.reasons[0].text == "1 1 1.5 KB {a b } none M1 Mail rules only"


def test_a_rule_without_say_names_itself():
    assert verdict(one("{users: {over: 0}}")).reasons[0].text == "This mail falls under the rule only."


# -- fields that look at lists, consent and time -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "share", "expected"),
    [
        ("at_least: 80%", ListReach(80, 100), True),
        ("at_least: 80%", ListReach(79, 100), False),
        ("over: 80%", ListReach(80, 100), False),
        ("at_least: 7%", ListReach(7, 100), True),  # no rounding: 0.07 * 100 is more than 7 in binary
        ("at_least: 100%", ListReach(0, 0), False),
        ("over: 2", ListReach(3, 100), True),
        ("at_least: 3", ListReach(2, 100), False),
    ],
)
def test_reach_is_a_share_or_a_number_of_members(bound, share, expected):  # C3
    when = f"{{reach: {{of: all-staff@example.gov, {bound}}}}}"
    assert matched(when, reach={"all-staff@example.gov": share}) is expected


def test_reach_of_a_list_that_nobody_knows_holds_mass_mail():
    given = verdict(one("{reach: {of: all-staff@example.gov, at_least: 80%}}", "reject"), users=300)
    assert given.action is Action.HOLD and "reach cannot be told now" in given.reasons[0].text


def test_consent_of_all_is_none_missing_and_cannot_be_told_without_lists():  # T2
    assert matched("{consented: false}", unconsented=1)
    assert not matched("{consented: false}", unconsented=0)
    assert verdict(one("{consented: false}", "reject"), users=300).action is Action.HOLD
    assert not matched("{external: {over: 0}}", more="unless: {consented: true}", external=3, unconsented=0)
    assert matched("{external: {over: 0}}", more="unless: {consented: true}", external=3, unconsented=1)


@pytest.mark.parametrize(
    ("when", "more"),
    [
        ("{consented: true}", ""),
        ("{mass: true}", "unless: {consented: false}"),
        ("{not: {consented: false}}", ""),
    ],
)
def test_consent_can_only_get_lost_so_the_tests_that_would_flip_are_refused(when, more):
    assert errors(when, more) == [_CONSENTED]


def test_a_define_of_consent_is_checked_where_it_is_used():
    text = f"{HEAD}define: {{agreed: {{consented: true}}}}\nrules:\n  - {{id: only, then: hold, when: "
    assert [str(each) for each in check(text + "{mass: true}, unless: agreed}\n") if not each.warning] == []
    assert [each.text for each in check(text + "agreed}\n") if not each.warning] == [f"define agreed: {_CONSENTED}"]


@pytest.mark.parametrize(
    ("hour", "day", "expected"), [(6, 1, False), (7, 1, True), (16, 1, True), (17, 1, False), (12, 6, False)]
)
def test_working_hours_are_in_the_time_zone_of_the_rules(hour, day, expected):
    zone = "timezone: America/Denver\nworking_hours: {from: 7:00, until: 17:00}\n"
    rules = ruleset("  - {id: only, then: warn, when: {working_hours: true}}\n", head=HEAD + zone)
    now = datetime(2026, 6, day, hour, 30, tzinfo=ZoneInfo("America/Denver")).astimezone(UTC)  # the 1st is a Monday
    assert (judge(rules, evidence(), now).rules == ("only",)) is expected


@pytest.mark.parametrize(
    ("requests", "day", "expected"),
    [
        ("{calendar: US-MT}", 25, False),  # Memorial Day
        ("{calendar: US-MT, holidays: {remove: [2026-05-25]}}", 25, True),
        ("{holidays: {add: [2026-05-26]}}", 26, False),
        ("{}", 25, True),
    ],
)
def test_nobody_is_at_work_on_a_holiday(requests, day, expected):
    """Clause M2: the calendar of the organisation."""
    hours = f"timezone: America/Denver\nworking_hours: {{from: 7:00, until: 17:00}}\nrequests: {requests}\n"
    rules = ruleset("  - {id: only, then: warn, when: {working_hours: true}}\n", head=HEAD + hours)
    noon = datetime(2026, 5, day, 12, tzinfo=ZoneInfo("America/Denver")).astimezone(UTC)
    assert (judge(rules, evidence(), noon).rules == ("only",)) is expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("working_hours: {from: 17:00, until: 8:00}", "until is not after from"),
        ("working_hours: {from: 25:00}", "such as 8:00"),
        ("working_hours: {from: 630}", "such as 8:00"),
        ("consent: {}", "expected given or suppressed"),
        ("consent: {given: {sql: 'sqlite:///x.db'}}", "sql without a query"),
        ("consent: {given: {file: a.txt, query: SELECT 1}}", "query beside file"),
        ("groups: {press: [not a domain]}", "expected an address, or a domain"),
        ("senders: {a@example.gov: {used_by: [pres]}}\ngroups: {press: [b@example.gov]}", "did you mean press?"),
        ("together: everybody", "expected agency or person"),
    ],
)
def test_what_is_wrong_about_senders_consent_and_hours_is_told(text, told):
    found = [problem.text for problem in check(f"{HEAD}{text}\nrules: []\n") if not problem.warning]
    assert len(found) == 1 and told in found[0]


# -- where the directory has not answered ------------------------------------------------------------------------


def known_without(name: str, **given: object) -> bool:
    """Whether a field has a value where the directory does not say for certain who is who."""
    sure = evidence(**given)
    unsure = replace(sure, audience=replace(sure.audience, certain=False))
    extract = FIELDS[name].extract
    assert extract(sure) is not UNAVAILABLE, "it has one where the directory says so"
    return extract(unsure) is not UNAVAILABLE


@pytest.mark.parametrize("name", ["users", "external", "people", "agencies", "lists", "unresolved", "visible"])
def test_whom_a_mailing_reaches_is_unavailable_without_the_directory(name):
    assert not known_without(name)


@pytest.mark.parametrize("name", ["sender_agency", "sender_group", "sender_users"])
def test_what_a_sender_is_to_the_organisation_is_unavailable_without_the_directory(name):
    assert not known_without(name)


@pytest.mark.parametrize(
    "name", ["subject", "sender", "from", "login", "attachments", "links", "size", "defects", "listener", "network"]
)
def test_what_the_message_says_itself_is_known_all_the_same(name):
    assert known_without(name)


def test_a_rule_about_the_subject_still_holds_where_nobody_can_be_counted():
    both = ruleset("  - {id: s, when: {subject: x}, then: hold}\n  - {id: u, when: {users: {over: 5}}, then: hold}\n")
    sure = evidence(users=9, subject="x")
    unsure = replace(sure, audience=replace(sure.audience, certain=False))
    assert {reason.rule: reason.unknown for reason in judge(both, unsure, NOW).reasons} == {"s": False, "u": True}
