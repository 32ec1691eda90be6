"""What waits: the queue of one person, and one decision for several rows of it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk, Visitor
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import (
    SIGNED_IN,
    Given,
    PageRoute,
    Refused,
    agency_names,
    checked_form,
    once,
    visitor_of,
    was_opened,
)
from gatekeeper.console.pages.decision_form import DecisionForm, wrong_decision, wrong_reason
from gatekeeper.console.pages.decisions import Done, Verbs, carry_out, on_mailings, on_requests
from gatekeeper.console.pages.list_form import MOST_ROWS, is_filtered, read_list
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger.service import LedgerError, LedgerService, Sought, Stale
from gatekeeper.ledger.waiting import MatterKind
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action

_PICK = "pick."  # before the id of a row that is chosen; its value is the version that was listed
_MOST_PICKED = 50
_PASS = "pass"  # beside the decisions


def waiting(desk: Desk, request: Request) -> Response:
    """Show what waits, first for this person."""
    return _waiting(desk, request)


def _waiting(desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    visitor, ledger = visitor_of(desk, request), ledger_for(desk, request)
    sought = read_list(request, kinds=MatterKind)
    queue = ledger.waiting(visitor.address, sought)
    values = {"errors": {}, "given": {}, **more}
    return page(
        desk,
        request,
        "waiting.html",
        status,
        found=queue.page,
        rows=queue.page.rows,
        sought=sought,
        is_filtered=is_filtered(sought),
        names=agency_names(desk, request),
        rules=_rules(ledger),
        reviews=_reviews(ledger, visitor.address),
        yours=queue.yours,
        denials=ledger.ruleset.denials,
        owners=[each for each in ledger.ruleset.people_with("owner") if each != visitor.address],
        **{**values, "errors": Given(values["errors"]), "given": Given(values["given"])},
    )


def _rules(ledger: LedgerService) -> list[tuple[str, str]]:
    return [(rule.id, rule.id) for rule in ledger.ruleset.rules if rule.action is Action.HOLD]


def _reviews(ledger: LedgerService, address: str) -> int:
    """Return how many emergencies are to be reviewed, where the visitor is one of those who decide."""
    if not ledger.decides(address):
        return 0
    return len(ledger.permits(Sought(review="open", limit=MOST_ROWS), address).rows)


def decide_several(desk: Desk, request: Request) -> Response:
    """Carry out one decision for each row that is chosen; what becomes of each is told on a page of its own."""
    visitor, form = checked_form(desk, request)
    chosen = {name.removeprefix(_PICK): value for name, value in form.items() if name.startswith(_PICK)}
    if errors := _wrong(desk, request, form, chosen):
        return _waiting(desk, request, 422, errors=errors, given=form)
    place = f"/waiting/outcome/{request.state.id}"

    def act() -> tuple[str, str]:
        outcomes = [(id, *_one(desk, request, visitor, id, version)) for id, version in chosen.items()]
        desk.read.note((visitor.address, "several", request.state.id), json.dumps(outcomes))
        done = sum(is_done for _id, is_done, _text in outcomes)
        return place, _("%(some)s of %(all)s done.") % {"some": done, "all": len(outcomes)}

    return once(desk, request, place, act)


def _wrong(desk: Desk, request: Request, form: dict[str, str], chosen: dict[str, str]) -> dict[str, str]:
    act, reason, category = form.get("act", ""), form.get("reason", "").strip(), form.get("category", "")
    ruleset = ledger_for(desk, request).ruleset
    if act == _PASS:
        errors = _wrong_passing(reason, form.get("whom", ""), ruleset.people_with("owner"))
    else:
        errors = wrong_decision(act, reason, category, ruleset.denials)
    if "decision" in errors:
        errors["act"] = errors.pop("decision")  # its name on this page
    if not chosen or len(chosen) > _MOST_PICKED:
        errors["rows"] = _("Choose at least one row.")
    return errors


def _wrong_passing(reason: str, whom: str, owners: Collection[str]) -> dict[str, str]:
    """Return what is wrong with a form that passes rows to somebody."""
    errors = wrong_reason(reason, _("Say why: whoever is asked reads it."))
    if not whom:
        errors["whom"] = _("Choose whom to pass them to.")
    elif whom not in owners:
        errors["whom"] = _("Only owners may be asked: choose one of them.")
    return errors


def _one(desk: Desk, request: Request, visitor: Visitor, id: str, version: str) -> tuple[bool, str]:
    """Decide one row; return whether it was done, and what became of it."""
    form, ledger = request.state.form, ledger_for(desk, request)
    letter, _dash, digits = id.partition("-")
    if letter not in ("M", "R") or not (digits.isdecimal() and len(digits) < 10):
        return False, _("There is no such row.")
    if form["act"] == "approve" and not was_opened(desk, visitor, id, version):
        return False, _("Open it first: it is approved only as you have seen it.")
    given = DecisionForm(form["act"], form.get("reason", "").strip(), form.get("category", ""), version)
    row = _Row(int(digits), visitor.address, form.get("whom", ""))
    try:
        if letter == "M":
            return True, _carried_out(on_mailings(ledger), row, given)
        return True, _carried_out(on_requests(ledger), row, given)
    except Stale:
        return False, _("It has changed since: open it again.")
    except LedgerError as error:
        return False, str(error)


@immutable
class _Row:
    """A row that is chosen, by whom, and whom it is passed to; "" for nobody."""

    number: int
    by: str
    whom: str


def _carried_out(verbs: Verbs[Done], row: _Row, given: DecisionForm) -> str:
    """Decide a mailing or a request, or pass it to somebody; return what became of it. Raises LedgerError."""
    verbs.look(row.number, row.by)
    if given.decision == _PASS:
        verbs.ask(row.number, row.by, row.whom, given.reason)
        return _("Passed to %(whom)s, who must agree too.") % {"whom": row.whom}
    done = carry_out(verbs, row.number, row.by, given)
    if done.missing:
        return _("Noted. Still to agree: %(who)s.") % {"who": ", ".join(done.missing)}
    return _("It is %(state)s.") % {"state": _(verbs.state(done))}


def outcome(desk: Desk, request: Request) -> Response:
    """Show what became of each row that was chosen."""
    visitor = visitor_of(desk, request)
    found = desk.read.get((visitor.address, "several", request.path_params["key"]))
    if found is None:
        raise Refused(404, _("what came of it is told for a while only: each row's own page has it"))
    rows = [{"id": id, "is_done": is_done, "text": text} for id, is_done, text in json.loads(found)]
    return page(desk, request, "outcome.html", rows=rows)


ROUTES = (
    PageRoute("/waiting", "GET", waiting, SIGNED_IN, "what waits, first for this person"),
    PageRoute("/waiting", "POST", decide_several, SIGNED_IN, "one decision for several rows"),
    PageRoute("/waiting/outcome/{key}", "GET", outcome, SIGNED_IN, "what became of each of them"),
)
