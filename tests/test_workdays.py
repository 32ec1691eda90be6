"""Working days by an organisation's clock (policy M2): over holidays, midnight and daylight time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.workdays import Calendar, add_working_days, is_working_day

DENVER = ZoneInfo("America/Denver")
HOLIDAYS = frozenset({date(2026, 11, 26), date(2026, 12, 25), date(2027, 1, 1)})  # Thanksgiving, Christmas, New Year
CALENDAR = Calendar(DENVER, HOLIDAYS)


def at(text: str) -> datetime:
    """A moment by the clock in Denver."""
    return datetime.fromisoformat(text).replace(tzinfo=DENVER)


@pytest.mark.parametrize(
    ("asked", "earliest"),
    [
        ("2026-11-16 09:00", "2026-11-23"),  # Monday to Monday
        ("2026-11-20 09:00", "2026-11-30"),  # over Thanksgiving: 23, 24, 25, 27, 30
        ("2026-11-25 12:00", "2026-12-03"),  # the day before it
        ("2026-11-26 12:00", "2026-12-03"),  # Thanksgiving itself counts as little as a Sunday
        ("2026-12-28 09:00", "2027-01-05"),  # over New Year: 29, 30, 31, 4, 5
        ("2026-11-17 23:59", "2026-11-24"),
        ("2026-11-18 00:01", "2026-11-25"),  # two minutes later, and another day
        ("2026-11-18 23:59", "2026-11-25"),  # 06:59 the next day in UTC: the organisation's clock counts
        ("2026-10-29 12:00", "2026-11-05"),  # over the end of daylight time, the first of November
        ("2027-03-11 23:59", "2027-03-18"),  # over its begin, the fourteenth of March
    ],
)
def test_five_working_days_of_notice(asked, earliest):
    assert CALENDAR.earliest(at(asked), 5) == date.fromisoformat(earliest)  # M2


def test_notice_by_the_clock_and_none_at_all():
    assert CALENDAR.earliest(at("2026-11-18 22:00"), 0, timedelta(hours=3)) == date(2026, 11, 19)
    assert CALENDAR.earliest(at("2026-11-18 22:00"), 0) == date(2026, 11, 18)


def test_the_same_moment_is_another_day_elsewhere():
    moment = datetime(2026, 11, 19, 6, 30, tzinfo=UTC)
    assert (CALENDAR.day(moment), Calendar(UTC).day(moment)) == (date(2026, 11, 18), date(2026, 11, 19))


@pytest.mark.parametrize(
    ("moment", "days", "later"),
    [
        ("2026-11-25 15:00", 2, "2026-11-30 15:00"),
        ("2026-11-28 03:00", 2, "2026-12-01 03:00"),  # held on a Saturday
        ("2026-10-30 09:00", 1, "2026-11-02 09:00"),  # nine o'clock stays nine o'clock
        ("2027-03-12 09:00", 1, "2027-03-15 09:00"),
    ],
)
def test_so_many_working_days_later_by_the_wall(moment, days, later):
    assert CALENDAR.after(at(moment), days) == at(later)


def test_hours_are_hours_over_a_change_to_daylight_time():
    assert CALENDAR.after(at("2027-03-13 12:00"), 0, timedelta(hours=24)) == at("2027-03-14 13:00")


def test_before_a_day_begins():
    assert CALENDAR.before(date(2026, 11, 30), 1) == at("2026-11-27 00:00")
    assert CALENDAR.before(date(2026, 11, 30), 0, timedelta(hours=12)) == at("2026-11-29 12:00")


def test_a_day_ends_by_the_organisations_clock():
    assert CALENDAR.end_of(date(2026, 11, 25)) == datetime(2026, 11, 26, 6, 59, 59, tzinfo=UTC)


def test_a_calendar_without_a_working_day_is_refused():
    class Always:
        def __contains__(self, day: object) -> bool:
            return True

    with pytest.raises(ValueError, match="no working day in the year around 2026-11-25"):
        add_working_days(date(2026, 11, 25), 1, Always())


DAYS = st.dates(date(2020, 1, 1), date(2040, 1, 1))


@given(start=DAYS, days=st.integers(1, 60), holidays=st.frozensets(DAYS, max_size=5))
def test_as_many_working_days_lie_between_as_were_asked(start, days, holidays):
    end = add_working_days(start, days, holidays)
    between = [start + timedelta(days=number) for number in range(1, (end - start).days + 1)]
    assert sum(is_working_day(day, holidays) for day in between) == days and is_working_day(end, holidays)


@given(start=DAYS, days=st.integers(0, 60), holidays=st.frozensets(DAYS, max_size=5))
def test_back_again_from_a_working_day(start, days, holidays):
    first = add_working_days(start, 1, holidays)
    assert add_working_days(add_working_days(first, days, holidays), -days, holidays) == first
