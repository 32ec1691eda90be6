"""Which days are holidays: Montana by its statute, others by the library, and an organisation's own."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from gatekeeper.policy.active import PolicyError, read_policy
from gatekeeper.rules import parse_ruleset
from gatekeeper.rules.ruleset import calendar_of, calendar_problem
from gatekeeper.workdays import is_working_day

# MCA 1-1-216, Sundays left out: (1)(b) to (l), and by (2) the Friday before a Saturday, the Monday after a Sunday.
MONTANA = {
    2026: {
        "01-01": "New Year's Day",
        "01-19": "Martin Luther King Jr. Day, the third Monday in January",
        "02-16": "Presidents' Day, the third Monday in February",
        "05-25": "Memorial Day, the last Monday in May",
        "07-03": "the Friday before Independence Day, a Saturday",
        "07-04": "Independence Day",
        "09-07": "Labor Day, the first Monday in September",
        "10-12": "Indigenous Peoples' Day and Columbus Day, the second Monday in October",
        "11-03": "the state general election, in even years",
        "11-11": "Veterans' Day",
        "11-26": "Thanksgiving Day, the fourth Thursday in November",
        "12-25": "Christmas Day",
    },
    2027: {
        "01-01": "New Year's Day",
        "01-18": "Martin Luther King Jr. Day",
        "02-15": "Presidents' Day",
        "05-31": "Memorial Day",
        "07-04": "Independence Day, a Sunday",
        "07-05": "the Monday after it",
        "09-06": "Labor Day",
        "10-11": "Indigenous Peoples' Day and Columbus Day",
        "11-11": "Veterans' Day",
        "11-25": "Thanksgiving Day",
        "12-24": "the Friday before Christmas Day, a Saturday",
        "12-25": "Christmas Day",
        "12-31": "the Friday before New Year's Day of 2028, a Saturday",
    },
}


def calendar(requests: str):
    text = f"version: 1\ntimezone: America/Denver\nrequests: {requests}\nrules: []\n"
    return calendar_of(parse_ruleset(text, "rules.yaml", Path(".")))


def days_of(year: int) -> list[date]:
    return [date(year, 1, 1) + timedelta(days=number) for number in range(366 if year % 4 == 0 else 365)]


@pytest.mark.parametrize("year", MONTANA)
def test_montanas_holidays_are_those_of_the_statute_and_no_others(year):
    holidays = calendar("{calendar: US-MT}").holidays  # M2
    assert [f"{day:%m-%d}" for day in days_of(year) if day in holidays] == sorted(MONTANA[year])


def test_juneteenth_is_a_working_day_in_montana_and_none_in_texas():
    day = date(2026, 6, 19)
    assert is_working_day(day, calendar("{calendar: US-MT}").holidays)
    assert not is_working_day(day, calendar("{calendar: US-TX}").holidays)


def test_a_country_alone_and_a_part_of_another():
    assert date(2026, 7, 1) in calendar("{calendar: CA}").holidays
    assert date(2026, 1, 6) in calendar("{calendar: DE-BY}").holidays
    assert date(2026, 1, 6) not in calendar("{calendar: DE-BE}").holidays


def test_weekends_alone_where_no_calendar_is_named():
    found = calendar("{notice: 5 working days}")
    assert is_working_day(date(2026, 12, 25), found.holidays) and not is_working_day(date(2026, 12, 26))


def test_own_days_are_added_and_taken_out():
    found = calendar("{calendar: US-MT, holidays: {add: [2026-11-27], remove: [2026-10-12]}}")
    assert found.add(date(2026, 11, 25), 1) == date(2026, 11, 30)
    assert found.add(date(2026, 10, 9), 1) == date(2026, 10, 12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("XX", "'XX': no calendar of that country; expected its two letters (ISO 3166), such as US"),
        ("US-XX", "'US-XX': no calendar of that part of US; expected one of US-AK, US-AL"),
    ],
)
def test_an_unknown_calendar_is_told_with_its_place(tmp_path, name, expected):
    path = tmp_path / "rules.yaml"
    path.write_text(f"version: 1\nrequests:\n  calendar: {name}\nrules: []\n")
    with pytest.raises(PolicyError) as error:
        read_policy(path)
    assert str(error.value).startswith(f"{path}:3:13: {expected}")


def test_a_known_calendar_has_no_problem():
    rules = parse_ruleset("version: 1\nrequests: {calendar: US-MT}\nrules: []\n", "rules.yaml", Path("."))
    assert calendar_problem(rules, "rules.yaml") is None
