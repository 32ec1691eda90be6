"""What every verb works with: in whose name, by which rules, when; and how an act is refused."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

from gatekeeper.address import normalise
from gatekeeper.calendars import calendar_of
from gatekeeper.immutable import immutable
from gatekeeper.lifecycle import LifecycleError
from gatekeeper.rules import Ruleset
from gatekeeper.store.act import Act
from gatekeeper.telling import Voice
from gatekeeper.workdays import Calendar

WINDOW = 2  # working days for which an approval stands after the planned day (DESIGN 6)


class CaseworkError(Exception):
    """An act that cannot be done; the text names what it was about, what was expected and what to do."""


class NotAllowed(CaseworkError):
    """An act by somebody who may not do it."""


class NotFound(CaseworkError):
    """A mailing, request, permit or suspension that is not there."""


@immutable
class Desk:
    """The rules in force, the voice in which people are told, and the time of the act in seconds since 1970."""

    voice: Voice
    now: float

    @property
    def ruleset(self) -> Ruleset:
        """What decides who may do what."""
        return self.voice.ruleset

    @property
    def moment(self) -> datetime:
        """The time of the act, aware."""
        return datetime.fromtimestamp(self.now, UTC)

    @property
    def calendar(self) -> Calendar:
        """The organisation's working days."""
        return calendar_of(self.ruleset)

    @property
    def today(self) -> date:
        """The day that it is by the organisation's clock."""
        return self.calendar.day(self.moment)

    def act(self, by: str, reason: str = "") -> Act:
        """Somebody's act, now, with the login of the operating system."""
        return Act(self.now, normalise(by), _login(), " ".join(reason.split()))

    def window_end(self, day: date) -> float:
        """The end of the second working day after `day`, by the organisation's clock."""
        return self.end_of(self.calendar.add(day, WINDOW))

    def end_of(self, day: date) -> float:
        """The last second of a day."""
        return self.calendar.end_of(day).timestamp()

    def start_of(self, day: date) -> float:
        """The first second of a day."""
        return self.calendar.before(day, 0).timestamp()

    def day_of(self, seconds: float) -> date:
        """The day of a time, by the organisation's clock."""
        return self.calendar.day(datetime.fromtimestamp(seconds, UTC))


@contextmanager
def named(id: str) -> Iterator[None]:
    """Put the id of what is acted on before what its lifecycle says."""
    try:
        yield
    except LifecycleError as error:
        raise CaseworkError(f"{id}: {error}") from None


def require_reason(reason: str, what: str) -> None:
    """Raise CaseworkError where no reason is given; `what` says whose act it is and who reads it."""
    if not reason.strip():
        raise CaseworkError(what)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
