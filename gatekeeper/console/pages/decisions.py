"""Carry out decisions on mailings and requests: by the form of a page, or for a row of the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import checked_form, once
from gatekeeper.console.pages.decision_form import DecisionForm, read_decision
from gatekeeper.ledger.service import Decision, LedgerService, RequestCase, Stale
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import said

Done = TypeVar("Done", Decision, RequestCase)


@immutable
class Verbs(Generic[Done]):
    """The verbs that decide one kind of matter. Args: `look` raises NotFound for who may not see the matter."""

    look: Callable[[int, str], object]
    approve: Callable[..., Done]
    deny: Callable[..., Done]
    ask_changes: Callable[..., Done]
    ask: Callable[..., Done]
    state: Callable[[Done], str]  # of the matter after the decision, in words


def on_mailings(ledger: LedgerService) -> Verbs[Decision]:
    """Return the verbs that decide mailings."""
    verbs = ledger.approve, ledger.deny, ledger.ask_changes, ledger.ask
    return Verbs(ledger.look, *verbs, lambda done: said(done.mailing.state))


def on_requests(ledger: LedgerService) -> Verbs[RequestCase]:
    """Return the verbs that decide requests."""
    verbs = ledger.approve_request, ledger.deny_request, ledger.ask_changes_of_request, ledger.ask_about_request
    return Verbs(ledger.look_at_request, *verbs, lambda done: said(done.request.state))


def carry_out(verbs: Verbs[Done], number: int, by: str, given: DecisionForm) -> Done:
    """Decide a matter. Raises LedgerError."""
    seen = given.seen or None
    if given.decision == "approve":
        return verbs.approve(number, by, given.reason, given.terms, seen)
    if given.decision == "deny":
        return verbs.deny(number, by, given.reason, seen, given.category)
    return verbs.ask_changes(number, by, given.reason, seen)


def decide_by_form(
    desk: Desk, request: Request, verbs: Verbs[Done], show: Callable[..., Response], told: Callable[[Done], str]
) -> Response:
    """Decide a matter by the form of its page.

    Args: `show` makes the page of the matter again where something is wrong; `told` says what was done.
    """
    visitor, form = checked_form(desk, request)
    number, place = request.path_params["number"], request.url.path.removesuffix("/decision")
    verbs.look(number, visitor.address)
    given = read_decision(form, ledger_for(desk, request).ruleset.denials)
    if given.errors:
        return show(desk, request, 422, errors=given.errors, given=form)

    def act() -> tuple[str, str]:
        return place, told(carry_out(verbs, number, visitor.address, given))

    try:
        return once(desk, request, place, act)
    except Stale as stale:
        return show(desk, request, 409, differences=stale.differences, given=form)
