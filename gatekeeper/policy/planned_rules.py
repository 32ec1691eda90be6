"""Which rules could hold a mailing that is asked for in advance."""

from __future__ import annotations

from datetime import datetime

from gatekeeper.rules import Ruleset
from gatekeeper.rules.planned_mailing import Plan, could_hold
from gatekeeper.store.requests import Draft


def rules_for(ruleset: Ruleset, draft: Draft, users: int, moment: datetime) -> tuple[str, ...]:
    """Return the rules that could hold the mailing if it reached so many users; () where it needs no request."""
    known = ruleset.agencies
    lists = frozenset(each for each in draft.audiences if each not in known)
    agencies = frozenset(draft.audiences) - lists
    plan = Plan(
        users=users,
        agencies=agencies if agencies and not lists else None,
        lists=lists,
        subject=draft.subject or None,
        sender=draft.senders[0] if len(draft.senders) == 1 and "@" in draft.senders[0] else None,
        sender_agency=draft.agency,
        purpose=draft.purpose or None,
    )
    return could_hold(ruleset, plan, moment)
