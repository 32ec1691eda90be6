"""Count working days: without weekends and an organisation's holidays, in the organisation's time zone.

Everything here is pure: the holidays and the current time are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as clock_time
from functools import cache, lru_cache

from gatekeeper.lib.immutable import immutable

_SATURDAY = 5
_LONGEST_SEARCH = 366  # days without a working day: such a calendar is a mistake


def is_working_day(day: date, holidays: Container[date] = ()) -> bool:
    """Return True from Monday to Friday, except on holidays."""
    return day.weekday() < _SATURDAY and day not in holidays


def add_working_days(start: date, days: int, holidays: Container[date] = ()) -> date:
    """Return the day that is `days` working days after `start`, or before `start` where `days` is negative.

    `start` itself is not counted; the day that is returned is (policy M2). Raises ValueError where a whole year has no
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
    """The working days of an organisation, in its time zone."""

    zone: tzinfo = UTC
    holidays: Container[date] = frozenset()

    def day(self, moment: datetime) -> date:
        """Return the date of a moment in the organisation's time zone. Args: `moment` is aware."""
        return moment.astimezone(self.zone).date()

    def add(self, day: date, working_days: int) -> date:
        """Return the day that many working days after `day`, or before `day` where the number is negative."""
        return add_working_days(day, working_days, self.holidays)

    def after(self, moment: datetime, working_days: int, time: timedelta = timedelta()) -> datetime:
        """Return the moment `working_days` later at the same local time, plus `time` of elapsed time, in UTC.

        The local time of day stays: over a change to daylight time, nine o'clock stays nine o'clock.
        """
        local = moment.astimezone(self.zone)
        day = self.add(local.date(), working_days)
        then = datetime.combine(day, local.timetz()) if working_days else local
        return then.astimezone(UTC) + time

    def before(self, day: date, working_days: int, time: timedelta = timedelta()) -> datetime:
        """Return the moment that is `working_days` and `time` before `day` begins, in UTC."""
        start = datetime.combine(self.add(day, -working_days), clock_time(), self.zone)
        return start.astimezone(UTC) - time

    def earliest(self, asked: datetime, working_days: int, time: timedelta = timedelta()) -> date:
        """Return the first day that a request made at `asked` may plan for, with that much notice (policy M2)."""
        if not working_days:
            return self.day(asked + time)
        return self.add(self.day(asked), working_days)

    def end_of(self, day: date) -> datetime:
        """Return the last second of a day, in UTC."""
        return datetime.combine(day, clock_time(23, 59, 59), self.zone).astimezone(UTC)


# -- holidays ----------------------------------------------------------------------------------------------------
#
# An organisation's holidays are a public calendar, with days that the organisation adds or removes. The `holidays`
# library knows the public calendars; where a statute differs from the library, the statute is written out below.

_MONDAY, _THURSDAY, _SATURDAY, _SUNDAY = 0, 3, 5, 6


def holidays_of(calendar: str | None, added: frozenset[date], removed: frozenset[date]) -> Container[date]:
    """Return an organisation's holidays: a public calendar with the days that the organisation adds and removes.

    Args: `calendar` is a country with its state, such as US-MT; None for no public calendar. Raises ValueError for an
    unknown calendar.
    """
    public = _public(calendar) if calendar else frozenset[date]()
    return _Own(public, added, removed)


@immutable
class _Own:
    """A public calendar with the days that an organisation adds and removes."""

    public: Container[date]
    added: frozenset[date]
    removed: frozenset[date]

    def __contains__(self, day: object) -> bool:
        return day in self.added or (day not in self.removed and day in self.public)


@lru_cache(maxsize=16)
def _public(name: str) -> Container[date]:
    if name in _STATUTES:
        return _ByYear(_STATUTES[name])
    import holidays as library  # imported only when needed: a command starts 5 % sooner without

    country, _, subdivision = name.partition("-")
    known = library.list_supported_countries()
    if country not in known:
        raise ValueError(f"'{name}': no calendar of that country; expected its two letters (ISO 3166), such as US")
    if subdivision and subdivision not in known[country]:
        some = ", ".join(f"{country}-{each}" for each in known[country][:60]) or f"{country} alone"
        raise ValueError(f"'{name}': no calendar of that part of {country}; expected one of {some}")
    return library.country_holidays(country, subdiv=subdivision or None)


# -- by statute --------------------------------------------------------------------------------------------------


@immutable
class _ByYear:
    """The holidays of a statute, calculated year by year."""

    of: Callable[[int], frozenset[date]]

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and day in self.of(day.year)


@cache
def _montana(year: int) -> frozenset[date]:
    """Return Montana's legal holidays by MCA 1-1-216, without Sundays, with the Fridays and Mondays observed instead.

    Juneteenth is not among them. A New Year's Day on a Saturday is observed on the last day of the year before.
    """
    named = {day for each in (year - 1, year, year + 1) for day in _montana_named(each)}
    return frozenset(day for day in named | {_kept(day) for day in named} if day.year == year)


def _montana_named(year: int) -> Iterator[date]:
    """Yield the holidays of subsections (1)(b) to (l)."""
    yield date(year, 1, 1)
    yield _nth(3, _MONDAY, year, 1)  # Martin Luther King Jr. Day
    yield _nth(3, _MONDAY, year, 2)  # Presidents' Day
    yield _nth(1, _MONDAY, year, 6) - timedelta(days=7)  # Memorial Day, the last Monday in May
    yield date(year, 7, 4)
    yield _nth(1, _MONDAY, year, 9)  # Labor Day
    yield _nth(2, _MONDAY, year, 10)  # Indigenous Peoples' Day and Columbus Day
    yield date(year, 11, 11)
    yield _nth(4, _THURSDAY, year, 11)
    yield date(year, 12, 25)
    if year % 2 == 0:  # the state general election (MCA 13-1-104), the Tuesday after the first Monday in November
        yield _nth(1, _MONDAY, year, 11) + timedelta(days=1)


def _kept(day: date) -> date:
    """Return when a holiday is observed (subsection 2): for a Saturday the Friday before, for a Sunday the Monday."""
    return day + timedelta(days={_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0))


def _nth(number: int, weekday: int, year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


_STATUTES: dict[str, Callable[[int], frozenset[date]]] = {"US-MT": _montana}
