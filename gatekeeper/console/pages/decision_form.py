"""Read the form by which somebody decides a mailing or a request, and say what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import date

from gatekeeper.console.pages.common import MOST_REASON, Refused, read_number
from gatekeeper.console.words import _
from gatekeeper.ledger.service import Terms
from gatekeeper.ledger.terms import BINDINGS
from gatekeeper.lib.immutable import immutable

DECISIONS = frozenset({"approve", "changes", "deny"})
_WITH_REASON = DECISIONS - {"approve"}


@immutable
class DecisionForm:
    """What somebody decides. Args: `errors` by field; where there is one nothing may be done."""

    decision: str
    reason: str
    category: str
    seen: str
    terms: Terms = Terms()
    errors: Mapping[str, str] = field(default_factory=dict)


def read_decision(form: dict[str, str], denials: Iterable[str]) -> DecisionForm:
    """Read a form. Raises Refused where it does not say what was looked at. Args: `denials` are the categories."""
    if not (form.get("key") and form.get("seen")):
        raise Refused(422, _("this form does not say what was looked at: open the page again, and repeat it"))
    decision, reason, category = (form.get(name, "").strip() for name in ("decision", "reason", "category"))
    errors, terms = wrong_decision(decision, reason, category, denials), Terms()
    try:
        terms = read_terms(form)
    except ValueError as error:
        errors["terms"] = str(error)
    if form.get("fresh") and not form.get("looked"):
        errors["looked"] = _("Look at what has changed, and say that you have.")
    return DecisionForm(decision, reason, category, form["seen"], terms, errors)


def wrong_decision(decision: str, reason: str, category: str, denials: Iterable[str]) -> dict[str, str]:
    """Return what is wrong with a decision, by the fields `decision`, `reason` and `category`."""
    errors = wrong_reason(reason, _("Say why: the sender reads it.") if decision in _WITH_REASON else "")
    if decision not in DECISIONS:
        errors["decision"] = _("Choose what to do: approve, ask for changes, or deny.")
    if decision == "deny" and category not in denials:
        errors["category"] = _("Choose a category: the sender reads it, and reports count by it.")
    return errors


def wrong_reason(reason: str, missing: str) -> dict[str, str]:
    """Return what is wrong with a reason. Args: `missing` is told where there is none; "" where none is needed."""
    if not reason and missing:
        return {"reason": missing}
    if len(reason) <= MOST_REASON:
        return {}
    told = _("Make the reason shorter: at most %(most)s characters are sent.")
    return {"reason": told % {"most": f"{MOST_REASON:,}"}}


def read_terms(form: dict[str, str]) -> Terms:
    """Return the terms of an approval. Raises ValueError with what to write."""
    users, until, uses, binding = (form.get(name, "").strip() for name in ("max_users", "until", "uses", "binding"))
    most = read_number(users, _("Write the number of users in digits, such as 2400."))
    number = read_number(uses, _("Write the number of mailings in digits, such as 1."))
    if binding and binding not in BINDINGS:
        raise ValueError(_("Choose how the content may vary: one of %(all)s.") % {"all": ", ".join(BINDINGS)})
    return Terms(most, read_day(until), number, binding or None)


def read_day(text: str) -> date | None:
    """Read a day; None for an empty field. Raises ValueError with what to write."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError(_("Write the day as year, month and day, such as 2026-12-31.")) from None
