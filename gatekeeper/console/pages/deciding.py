"""Take decisions on mailings by the forms of their pages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import DECIDER, OWNER, PageRoute, checked_form, once
from gatekeeper.console.pages.decisions import decide_by_form, on_mailings
from gatekeeper.console.pages.mailings import review_page
from gatekeeper.console.words import _
from gatekeeper.ledger.service import Decision
from gatekeeper.lifecycle import said


def decide(desk: Desk, request: Request) -> Response:
    """Approve, deny or send back a mailing, by the form of its page."""
    return decide_by_form(desk, request, on_mailings(ledger_for(desk, request)), review_page, _told)


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

    def act() -> tuple[str, str]:
        ledger.ask(number, visitor.address, whom)
        return f"/mailings/M-{number}", _("%(whom)s is asked as well.") % {"whom": whom}

    return once(desk, request, f"/mailings/M-{number}", act)


def withdraw(desk: Desk, request: Request) -> Response:
    """Take one's own mailing back."""
    visitor, form = checked_form(desk, request)
    number, ledger = request.path_params["number"], ledger_for(desk, request)
    ledger.look(number, visitor.address)

    def act() -> tuple[str, str]:
        return f"/mailings/M-{number}", _told(ledger.withdraw(number, visitor.address, form.get("reason", "").strip()))

    return once(desk, request, f"/mailings/M-{number}", act)


ROUTES = (
    PageRoute("/mailings/M-{number:int}/decision", "POST", decide, DECIDER, "approves, denies, sends back"),
    PageRoute("/mailings/M-{number:int}/ask", "POST", ask, DECIDER, "has one more person agree"),
    PageRoute("/mailings/M-{number:int}/withdraw", "POST", withdraw, OWNER, "takes one's own back"),
)
