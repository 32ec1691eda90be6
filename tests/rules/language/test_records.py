"""The schedule of records in rules.yaml (policies C1, C7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gatekeeper.rules.language.units import parse_keep
from gatekeeper.rules.record_classes import CLASS_NAMES, Keep
from tests.rules.making import HEAD, check, ruleset

SCHEDULE = """\
records:
  schedule: General Records Schedule 7, 2025
  classes:
    decisions: {keep: 400d, cite: GS7-12}
    ledger: {keep: 7 years, after: closed, cite: GS7-14}
    held: {keep: 3 years, cite: GS7-20, dispose: approved}
    mass: {keep: 180d, content: true, cite: GS7-21, dispose: automatic}
    access: {keep: 7 years, cite: GS7-12}
    certificates: {keep: forever}
  numbers: MT
  second: admin
  backups: 35d
"""
OFFICERS = "people:\n  records@example.gov: {roles: [records]}\n  boss@example.gov: {roles: [admin]}\n"
PEOPLED = HEAD.replace("people:\n", OFFICERS, 1)


def problems(schedule, head=PEOPLED):
    return [str(each) for each in check(f"{head}{schedule}rules: []\n") if "no rules" not in each.text]


def test_a_schedule_is_read_whole():
    found = ruleset("  []\n", PEOPLED + SCHEDULE)
    records = found.records
    assert (records.schedule, records.numbers, records.second) == ("General Records Schedule 7, 2025", "MT", "admin")
    assert records.backups == timedelta(days=35)
    ledger, held, mass = (found.record_class(name) for name in ("ledger", "held", "mass"))
    assert (ledger.keep, ledger.after, ledger.cite, ledger.dispose) == (Keep(months=84), "closed", "GS7-14", "approved")
    assert (held.keep.text, held.after, held.dispose) == ("3 years", "closed", "approved")
    assert (mass.keep.time.days, mass.after, mass.dispose, mass.content) == (180, "arrived", "automatic", True)
    assert found.record_class("certificates").keep.is_forever
    assert problems(SCHEDULE) == []


def test_without_a_schedule_decisions_stay_400_days_and_everything_else_for_ever():
    silent = ruleset("  []\n")
    assert {name: silent.record_class(name).keep.days for name in CLASS_NAMES} == {
        "decisions": 400,
        **dict.fromkeys(set(CLASS_NAMES) - {"decisions"}, float("inf")),
    }
    assert not silent.record_class("mass").content
    assert ruleset("  []\n", HEAD + "audit: {keep: 30d}\n").record_class("decisions").keep.days == 30


NOON = datetime(2028, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("7 years", datetime(2021, 2, 28, 12, tzinfo=UTC)),
        ("1 year", datetime(2027, 2, 28, 12, tzinfo=UTC)),
        ("18 months", datetime(2026, 8, 29, 12, tzinfo=UTC)),
        ("400d", NOON - timedelta(days=400)),
        ("forever", None),
        ("999 years", datetime(1029, 2, 28, 12, tzinfo=UTC)),
    ],
)
def test_years_go_by_the_calendar_and_days_by_the_clock(text, before):
    assert parse_keep(text).cutoff(NOON) == before


def test_days_by_the_clock_are_as_long_where_clocks_are_changed():
    """Clocks go forward on 8 March 2026: ten days before noon of the 14th is eleven by the wall."""
    noon = datetime(2026, 3, 14, 12, tzinfo=ZoneInfo("America/Denver"))
    assert parse_keep("10d").cutoff(noon) == datetime(2026, 3, 4, 11, tzinfo=ZoneInfo("America/Denver"))
    assert parse_keep("1 year").cutoff(noon) == datetime(2025, 3, 14, 12, tzinfo=ZoneInfo("America/Denver"))


@pytest.mark.parametrize("text", ["0 years", "seven years", "7", "7 yars", "-1 years", "1 year 3 days", ""])
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_keep(text)


@pytest.mark.parametrize(
    ("schedule", "place", "text"),
    [
        ("records: {classes: {held: {keep: 7 yars}}}", "12:34", "'7 yars': expected a length of time, such as 400d"),
        ("records: {classes: {holds: {keep: 7d}}}", "12:21", "unknown key 'holds' (did you mean held?)"),
        ("records: {classes: {decisions: {dispose: approved}}}", "12:33", "unknown key 'dispose'"),
        ("records: {classes: {held: {content: true}}}", "12:28", "unknown key 'content'"),
        ("records: {classes: {held: {after: opened}}}", "12:35", "'opened': expected closed or arrived"),
        ("records: {numbers: gk}", "12:20", "'gk': expected up to 12 capital letters and digits, such as GK"),
        ("records: {second: auditors}", "12:19", "'auditors': did you mean auditor? expected one of requester"),
        (
            "audit: {keep: 30d}\nrecords: {classes: {decisions: {keep: 40d}}}",
            "13:39",
            "keep of decisions stands under audit as well: expected it in one of them",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_line(schedule, place, text):
    (found,) = problems(schedule + "\n")
    assert found.startswith(f"rules.yaml:{place}: ") and text in found


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        ("held: {keep: 3 years}", "class held has no cite: which line of the schedule says so?"),
        ("held: {keep: 9 years, cite: a}, ledger: {keep: 7 years, cite: b}", "class held is kept longer than ledger"),
        ("mass: {cite: a}, ledger: {keep: 7 years, cite: b}", "class mass is kept longer than ledger"),
        ("mass: {content: true}", "class mass keeps what mass mail says for ever"),
        ("certificates: {keep: 7 years, cite: a}", "class certificates: those of ledger and access stay for ever"),
        ("ledger: {keep: 7 years, cite: b}", "class ledger is kept less long than access"),
    ],
)
def test_what_a_schedule_leaves_open_is_warned_of(schedule, text):
    found = problems(f"records: {{classes: {{{schedule}}}, backups: 35d, second: admin}}\n")
    assert [each for each in found if text in each and "warning" in each], found


def test_signatures_that_nobody_can_give_and_backups_of_which_nothing_is_known_are_warned_of():
    found = " ".join(problems("records: {classes: {held: {keep: 3 years, cite: a}}}\n", HEAD))
    assert "class held waits for a records officer, and nobody under people has the role records" in found
    assert "no backups: a certificate will not say" in found
    found = " ".join(problems("records: {classes: {held: {keep: 3 years, cite: a}}, second: owner}\n", OFFICERS_ONLY))
    assert "class held waits for the signature of owner, a role that nobody under people has" in found
    automatic = "records: {classes: {held: {keep: 3 years, cite: a, dispose: automatic}}, backups: 35d}\n"
    assert problems(automatic, HEAD) == []


OFFICERS_ONLY = "version: 1\npeople:\n  records@example.gov: {roles: [records]}\n"


def test_a_link_to_reports_that_its_reader_may_not_see_is_warned_of():
    found = problems("reports: {monthly: [records@example.gov, jo@example.gov]}\n")
    assert [each for each in found if "monthly" in each or "link" in each] == [
        "rules.yaml:12:10: warning: jo@example.gov gets a link to each month's report, and has no role that may see it"
    ], found
