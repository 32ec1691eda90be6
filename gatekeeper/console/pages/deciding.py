"""Take decisions on mailings by the forms of their pages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import DECIDER, OWNER, PageRoute, checked_form, once, to
from gatekeeper.console.pages.decision_form import DecisionForm, read_decision
from gatekeeper.console.pages.mailings import review_page
from gatekeeper.console.words import _
from gatekeeper.ledger.service import Decision, LedgerService, Stale
from gatekeeper.lifecycle import said


def decide(desk: Desk, request: Request) -> Response:
    """Approve, deny or send back a mailing, by the form of its page."""
    visitor, form = checked_form(desk, request)
    number, ledger = request.path_params["number"], ledger_for(desk, request)
    given, place = read_decision(form, ledger.ruleset.denials), f"/mailings/M-{number}"
    if given.errors:
        return review_page(desk, request, 422, errors=given.errors, given=form)

    def act() -> tuple[str, str]:
        return place, _told(_carry_out(ledger, number, visitor.address, given))

    try:
        return once(desk, request, place, act)
    except Stale as stale:
        return review_page(desk, request, 409, differences=stale.differences, given=form)


def _carry_out(ledger: LedgerService, number: int, by: str, given: DecisionForm) -> Decision:
    if given.decision == "approve":
        return ledger.approve(number, by, given.reason, given.terms, given.seen)
    if given.decision == "deny":
        return ledger.deny(number, by, given.reason, given.seen, given.category)
    return ledger.ask_changes(number, by, given.reason, given.seen)


def _told(done: Decision) -> str:
    if done.missing:
        return _("Noted. Still to agree: %(who)s.") % {"who": ", ".join(done.missing)}
    return _("%(id)s is %(state)s.") % {"id": done.mailing.id, "state": said(done.mailing.state)}


def ask(desk: Desk, request: Request) -> Response:
    """Have one more person agree."""
    visitor, form = checked_form(desk, request)
    number, ledger, whom = request.path_params["number"], ledger_for(desk, request), form.get("whom", "").strip()
    ledger.look(number, visitor.address)
    if not whom:
        return review_page(desk, request, 422, errors={"whom": _("Choose whom to ask as well.")}, given=form)
    ledger.ask(number, visitor.address, whom)
    desk.said.note(visitor.token, _("%(whom)s is asked as well.") % {"whom": whom})
    return to(f"/mailings/M-{number}")


def withdraw(desk: Desk, request: Request) -> Response:
    """Take one's own mailing back."""
    visitor, form = checked_form(desk, request)
    number, ledger = request.path_params["number"], ledger_for(desk, request)
    ledger.look(number, visitor.address)
    done = ledger.withdraw(number, visitor.address, form.get("reason", "").strip())
    desk.said.note(visitor.token, _told(done))
    return to(f"/mailings/M-{number}")


ROUTES = (
    PageRoute("/mailings/M-{number:int}/decision", "POST", decide, DECIDER, "approves, denies, sends back"),
    PageRoute("/mailings/M-{number:int}/ask", "POST", ask, DECIDER, "has one more person agree"),
    PageRoute("/mailings/M-{number:int}/withdraw", "POST", withdraw, OWNER, "takes one's own back"),
)
