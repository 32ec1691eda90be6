"""Which rules could hold a mailing that is asked for in advance, and what they would say."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime

from gatekeeper.rules import Ruleset
from gatekeeper.rules.planned_mailing import Plan, could_hold
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.rules.text_template import render
from gatekeeper.store.requests import Draft


def rules_for(ruleset: Ruleset, draft: Draft, users: int, moment: datetime) -> tuple[str, ...]:
    """Return the rules that could hold the mailing if it reached so many users; () where it needs no request.

    Rules with dates count as on the day that it is planned for: it is sent no sooner.
    """
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
    return could_hold(ruleset, plan, max(moment, _begin(ruleset, draft.planned) or moment))


def _begin(ruleset: Ruleset, planned: date | None) -> datetime | None:
    """Return when the day begins; None without one, and for one that no calendar knows, which approving refuses."""
    with suppress(OverflowError):
        return calendar_of(ruleset).before(planned, 0) if planned else None
    return None


def say(ruleset: Ruleset, id: str, draft: Draft) -> str:
    """Return what a rule would say of the mailing; what only the mailing itself can tell is left open."""
    rule = ruleset.rule(id)
    known = {
        "contact": ruleset.contact,
        "title": ruleset.title,
        "rule": id,
        "users": f"{draft.users:,}",
        "agencies": str(len([each for each in draft.audiences if each in ruleset.agencies]) or "several"),
        "subject": draft.subject,
    }
    return render(rule.say, lambda name: known.get(name, "\u2026")) if rule and rule.say else id
