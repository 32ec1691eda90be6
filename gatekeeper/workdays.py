"""Working days: weekends and an organisation's holidays left out. Pure; dates in, dates out."""

from __future__ import annotations

from collections.abc import Container
from datetime import date, timedelta

_SATURDAY = 5


def is_working_day(day: date, holidays: Container[date] = ()) -> bool:
    """True from Monday to Friday, but for holidays."""
    return day.weekday() < _SATURDAY and day not in holidays


def add_working_days(start: date, days: int, holidays: Container[date] = ()) -> date:
    """The day that is so many working days after `start`; `start` itself is not counted (policy M2)."""
    day = start
    while days > 0:
        day += timedelta(days=1)
        days -= is_working_day(day, holidays)
    return day
