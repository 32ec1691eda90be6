"""Classes of records, and how long each is kept by the organisation's schedule (policies C1, C7)."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta

from gatekeeper.lib.immutable import immutable

DECISIONS, LEDGER, HELD, MASS = "decisions", "ledger", "held", "mass"
ACCESS, CERTIFICATES = "access", "certificates"
CLASS_NAMES = (DECISIONS, LEDGER, HELD, MASS, ACCESS, CERTIFICATES)
APPROVED, AUTOMATIC = "approved", "automatic"  # how what is due is destroyed
CLOSED, ARRIVED = "closed", "arrived"  # from when on the time counts
_DAYS_OF_MONTH = 365.25 / 12


@immutable
class Keep:
    """How long something is kept: months of the calendar, or time by the clock; neither is for ever."""

    months: int = 0
    time: timedelta = timedelta()
    text: str = field(default="forever", compare=False)  # as the schedule has it

    @property
    def is_forever(self) -> bool:
        """Return True where nothing is ever due."""
        return not (self.months or self.time)

    @property
    def days(self) -> float:
        """Return about how many days it is; infinity for ever."""
        return float("inf") if self.is_forever else self.months * _DAYS_OF_MONTH + self.time / timedelta(days=1)

    def cutoff(self, now: datetime) -> datetime | None:
        """Return the moment before which things are due; None where nothing ever is.

        Args: `now` is aware, in the time zone by whose calendar months are counted.
        """
        if self.is_forever:
            return None
        months = now.year * 12 + now.month - 1 - self.months
        year, month = divmod(months, 12)
        if year < 1:
            return None
        day = min(now.day, monthrange(year, month + 1)[1])
        return now.replace(year=year, month=month + 1, day=day).astimezone(UTC) - self.time


@immutable
class RecordClass:
    """A class of records in the schedule."""

    keep: Keep = Keep()
    after: str = CLOSED
    cite: str = ""  # the line of the schedule that says so
    dispose: str = APPROVED
    content: bool = False  # of `mass`: content of mass mail that passes is kept


_OF_CLASS: Mapping[str, RecordClass] = {
    DECISIONS: RecordClass(Keep(time=timedelta(days=400), text="400d"), ARRIVED, dispose=AUTOMATIC),
    MASS: RecordClass(after=ARRIVED),
    ACCESS: RecordClass(after=ARRIVED),
    CERTIFICATES: RecordClass(after=ARRIVED),
}


def unless_said(name: str) -> RecordClass:
    """Return what holds for a class where the rules say nothing of it: decisions 400 days, all else for ever."""
    return _OF_CLASS.get(name, RecordClass())


@immutable
class Records:
    """The schedule of records."""

    schedule: str = ""  # what it is called
    classes: Mapping[str, RecordClass] = field(default_factory=dict)  # those that the rules name
    numbers: str = "GK"  # prefix of control numbers of exports
    second: str = "auditor"  # the role whose signature a disposal needs besides
    backups: timedelta | None = None  # after which copies of what was destroyed are gone too

    def of(self, name: str) -> RecordClass:
        """Return a class by its name."""
        return self.classes.get(name) or unless_said(name)
