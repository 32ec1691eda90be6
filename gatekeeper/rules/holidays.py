"""Which days are holidays: a public calendar, and the days that an organisation adds to it or takes out. Pure.

The `holidays` library knows the calendars. Where a statute says otherwise than the library does, the statute is here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from gatekeeper.immutable import immutable

if TYPE_CHECKING:
    from .ruleset import Requests

_MONDAY, _THURSDAY, _SATURDAY, _SUNDAY = 0, 3, 5, 6


def holidays_of(requests: Requests) -> Container[date]:
    """The holidays of the organisation whose rules say this of requests; raises ValueError for an unknown calendar."""
    public = _public(requests.calendar) if requests.calendar else frozenset[date]()
    return _Own(public, requests.holidays.add, requests.holidays.remove)


@immutable
class _Own:
    """A public calendar as an organisation keeps it."""

    public: Container[date]
    added: frozenset[date]
    removed: frozenset[date]

    def __contains__(self, day: object) -> bool:
        return day in self.added or (day not in self.removed and day in self.public)


@lru_cache(maxsize=16)
def _public(name: str) -> Container[date]:
    if name in _STATUTES:
        return _ByYear(_STATUTES[name])
    import holidays as library  # here: a command starts a twentieth sooner without it

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
    """The holidays of a statute, worked out a year at a time."""

    of: Callable[[int], frozenset[date]]

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and day in self.of(day.year)


@cache
def _montana(year: int) -> frozenset[date]:
    """Montana's legal holidays by MCA 1-1-216, Sundays left out, with those that are kept on a Friday or Monday.

    Juneteenth is none of them. A New Year's Day on a Saturday is kept on the last day of the year before.
    """
    named = {day for each in (year - 1, year, year + 1) for day in _montana_named(each)}
    return frozenset(day for day in named | {_kept(day) for day in named} if day.year == year)


def _montana_named(year: int) -> Iterator[date]:
    """Subsections (1)(b) to (l)."""
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
    """Subsection (2): of a Saturday the Friday before, of a Sunday the Monday after, is a holiday."""
    return day + timedelta(days={_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0))


def _nth(number: int, weekday: int, year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


_STATUTES: dict[str, Callable[[int], frozenset[date]]] = {"US-MT": _montana}
