"""The working days of an organisation, as its rules have them."""

from __future__ import annotations

from gatekeeper.rules import Problem, Ruleset
from gatekeeper.rules.holidays import holidays_of
from gatekeeper.workdays import Calendar


def calendar_of(ruleset: Ruleset) -> Calendar:
    """The working days of the organisation whose rules these are; raises ValueError for a calendar that is unknown."""
    return Calendar(ruleset.timezone, holidays_of(ruleset.requests))


def calendar_problem(ruleset: Ruleset, name: str) -> Problem | None:
    """What is wrong with the calendar that the rules name, if anything; `name` is the file's."""
    try:
        calendar_of(ruleset)
    except ValueError as error:
        return Problem(*ruleset.requests.calendar_at, str(error), name)
    return None
