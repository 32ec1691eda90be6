"""Show admins how the gate is, and let it only observe for a while."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import ADMIN, APPROVER, Given, PageRoute, checked_form, once, visitor_of
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger.health import LONGEST_SECONDS
from gatekeeper.policy.mode import ENFORCE, OBSERVE

_HOUR = 3_600.0
_MOST_HOURS = int(LONGEST_SECONDS / _HOUR)


def health(desk: Desk, request: Request) -> Response:
    """Show how the gate is."""
    return _health(desk, request)


def _health(desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    ledger = ledger_for(desk, request)
    found = ledger.health(visitor_of(desk, request).address)
    observed = [rule.id for rule in ledger.ruleset.rules if rule.observe]
    values = {"errors": Given(more.get("errors", {})), "given": Given(more.get("given", {}))}
    return page(desk, request, "health.html", status, found=found, observed=observed, most_hours=_MOST_HOURS, **values)


def change_mode(desk: Desk, request: Request) -> Response:
    """Let the gate only observe for some hours, or enforce again."""
    visitor, form = checked_form(desk, request)
    ledger, observes = ledger_for(desk, request), form.get("mode") == OBSERVE
    reason, hours, errors = form.get("reason", "").strip(), form.get("hours", "").strip(), {}
    if observes and not (hours.isdecimal() and len(hours) < 4 and 0 < int(hours) <= _MOST_HOURS):
        errors["hours"] = _("Write for how many hours, in digits: 1 to %(most)s.") % {"most": _MOST_HOURS}
    if not reason:
        errors["reason"] = _("Say why: the audit keeps it.")
    if errors:
        return _health(desk, request, 422, errors=errors, given=form)

    def act() -> tuple[str, str]:
        seconds = int(hours) * _HOUR if observes else None
        ledger.change_mode(OBSERVE if observes else ENFORCE, visitor.address, reason, seconds)
        return "/health", _("The gate only observes now.") if observes else _("The gate enforces the rules again.")

    return once(desk, request, "/health", act)


ROUTES = (
    PageRoute("/health", "GET", health, ADMIN, "how the gate is: mode, processes, queue, directory"),
    PageRoute("/health/mode", "POST", change_mode, APPROVER, "lets the gate only observe for a while, or enforce"),
)
