"""Which rules a planned mailing could be held by: what a request asks to be let pass by (DESIGN 6)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action
from gatekeeper.rules.field_kinds import UNAVAILABLE
from gatekeeper.rules.ruleset import Ruleset


@immutable
class Plan:
    """What is known of a mailing before there is any of it."""

    users: int  # at most
    agencies: frozenset[str] | None = None  # that it reaches; None where that is not known
    lists: frozenset[str] = frozenset()
    subject: str | None = None
    sender: str | None = None  # None where there are several
    sender_agency: str | None = None
    purpose: str | None = None


def could_hold(ruleset: Ruleset, plan: Plan, at: datetime) -> tuple[str, ...]:
    """Ids of the hold rules in force at that time that match the plan, or may: what it leaves open counts."""
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
    """Values of fields; what the plan does not tell cannot be told."""

    def __missing__(self, name: str) -> Any:
        return UNAVAILABLE


def _known(plan: Plan) -> dict[str, Any]:
    told = {
        "users": plan.users,
        "people": plan.users,
        "lists": plan.lists,
        "agencies": plan.agencies,
        "subject": plan.subject,
        "sender": plan.sender,
        "sender_agency": plan.sender_agency,
        "purpose": plan.purpose,
    }
    return {name: value for name, value in told.items() if value is not None}
