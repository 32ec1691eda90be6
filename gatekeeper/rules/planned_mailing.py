"""Find the rules that could hold a planned mailing, from which a request asks for a permit (docs/ledger.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action
from gatekeeper.rules.field_kinds import UNAVAILABLE
from gatekeeper.rules.ruleset import Ruleset


@immutable
class Plan:
    """What is known of a mailing before any of it is sent."""

    users: int  # at most so many
    agencies: frozenset[str] | None = None  # agencies that the mailing reaches; None where that is not known
    lists: frozenset[str] = frozenset()
    subject: str | None = None
    sender: str | None = None  # None where there are several
    sender_agency: str | None = None
    purpose: str | None = None


def could_hold(ruleset: Ruleset, plan: Plan, at: datetime) -> tuple[str, ...]:
    """Return the ids of the hold rules, in force at that time, that match the plan or may match what it leaves open."""
    values = _Planned(_known(plan))
    mass = ruleset.mass_matches(values)
    values["mass"] = UNAVAILABLE if mass is None else mass
    return tuple(
        rule.id
        for rule in ruleset.rules
        if rule.action is Action.HOLD
        and not rule.observe
        and (rule.during is None or rule.during.covers(at))
        and rule.matches(values) is not False
    )


class _Planned(dict[str, Any]):
    """Values of fields; fields that the plan leaves open are unavailable."""

    def __missing__(self, name: str) -> Any:
        return UNAVAILABLE


def _known(plan: Plan) -> dict[str, Any]:
    values = {
        "users": plan.users,
        "people": plan.users,
        "lists": plan.lists,
        "agencies": plan.agencies,
        "subject": plan.subject,
        "sender": plan.sender,
        "sender_agency": plan.sender_agency,
        "purpose": plan.purpose,
    }
    return {name: value for name, value in values.items() if value is not None}
