"""Working days: weekends and an organisation's holidays left out, by its own clock. Pure; which days are holidays, and
what time it is, are arguments.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as clock_time

from gatekeeper.immutable import immutable

_SATURDAY = 5
_LONGEST_SEARCH = 366  # days without a working day among them: a calendar that has none is a mistake


def is_working_day(day: date, holidays: Container[date] = ()) -> bool:
    """True from Monday to Friday, but for holidays."""
    return day.weekday() < _SATURDAY and day not in holidays


def add_working_days(start: date, days: int, holidays: Container[date] = ()) -> date:
    """The day that is so many working days after `start`, before it where `days` is negative.

    `start` itself is not counted, the day that is given is (policy M2). Raises ValueError where a whole year has no
    working day.
    """
    day, left, step, idle = start, abs(days), timedelta(days=1 if days > 0 else -1), 0
    while left > 0:
        day += step
        counted = is_working_day(day, holidays)
        left, idle = left - counted, 0 if counted else idle + 1
        if idle > _LONGEST_SEARCH:
            raise ValueError(f"no working day in the year around {start}: expected a calendar with some")
    return day


@immutable
class Calendar:
    """The working days of an organisation, and the time zone whose clock it goes by."""

    zone: tzinfo = UTC
    holidays: Container[date] = frozenset()

    def day(self, moment: datetime) -> date:
        """The day that it is then, by the organisation's clock; `moment` is aware."""
        return moment.astimezone(self.zone).date()

    def add(self, day: date, working_days: int) -> date:
        """So many working days after a day; before it where negative."""
        return add_working_days(day, working_days, self.holidays)

    def after(self, moment: datetime, working_days: int, time: timedelta = timedelta()) -> datetime:
        """So many working days later at the same time of the day, and `time` by the clock later than that, in UTC.

        By the wall: over a change to daylight time, nine o'clock stays nine o'clock.
        """
        local = moment.astimezone(self.zone)
        day = self.add(local.date(), working_days)
        then = datetime.combine(day, local.timetz()) if working_days else local
        return then.astimezone(UTC) + time

    def before(self, day: date, working_days: int, time: timedelta = timedelta()) -> datetime:
        """The moment so long before a day begins, in UTC."""
        start = datetime.combine(self.add(day, -working_days), clock_time(), self.zone)
        return start.astimezone(UTC) - time

    def earliest(self, asked: datetime, working_days: int, time: timedelta = timedelta()) -> date:
        """The first day that may be planned by who asks then, with so much notice (policy M2)."""
        if not working_days:
            return self.day(asked + time)
        return self.add(self.day(asked), working_days)

    def end_of(self, day: date) -> datetime:
        """The last second of a day, in UTC."""
        return datetime.combine(day, clock_time(23, 59, 59), self.zone).astimezone(UTC)
