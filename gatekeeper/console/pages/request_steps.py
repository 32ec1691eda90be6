"""Ask for a mailing step by step: whom, what, when, what the rules say, check and submit (M2).

What is answered so far is kept for the person, so that a step can be left and come back to. Addresses that are pasted
or uploaded are counted and dropped.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.forms import Form
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import (
    REQUESTER,
    SIGNED_IN,
    Given,
    PageRoute,
    Refused,
    agency_names,
    checked_form,
    once,
    read_number,
    to,
    visitor_of,
)
from gatekeeper.console.pages.decision_form import read_day
from gatekeeper.console.pages.request_draft import RequestDraft
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger.service import LedgerError, NotAllowed, RequestCase
from gatekeeper.ledger.sight import asked_for_agencies
from gatekeeper.ledger.surroundings import Neighbours
from gatekeeper.lifecycle import said
from gatekeeper.model import Counts
from gatekeeper.policy.foresight import Reached, addresses_in, as_smtp, count_people, explain_message, written
from gatekeeper.policy.planned_rules import say
from gatekeeper.rules import Explanation
from gatekeeper.rules.ruleset import calendar_of

WHOM, WHAT, WHEN, RULES, CHECK = (f"/requests/new{each}" for each in ("", "/what", "/when", "/rules", "/check"))


class _Answers(dict[str, Any]):
    """The answers so far; None for what was not answered yet."""

    def __missing__(self, name: str) -> None:
        return None


def _begun(desk: Desk, request: Request) -> RequestDraft:
    """Return what the person has answered so far. Raises Refused for somebody who may not ask."""
    ledger, by = ledger_for(desk, request), visitor_of(desk, request).address
    if not asked_for_agencies(ledger.ruleset, by, approvers=False):
        raise Refused(403, _("requests are made by the requesters of an agency: ask your administrator to name you"))
    return RequestDraft.of(ledger.begun(by))


def _step(desk: Desk, request: Request, step: str, draft: RequestDraft, status: int = 200, **more: Any) -> Response:
    given = more.pop("given", None)
    values = {
        "draft": draft,
        "answers": _Answers(draft.answers),
        "steps": [(WHOM, _("Whom")), (WHAT, _("What")), (WHEN, _("When")), (RULES, _("Rules")), (CHECK, _("Check"))],
        "names": agency_names(desk, request),
        "given": Given(given if given is not None else {name: draft.text(name) for name in draft.answers}),
        "errors": Given(more.pop("errors", {})),
        **more,
    }
    return page(desk, request, f"request_{step}.html", status, **values)


def _keep(desk: Desk, request: Request, draft: RequestDraft, place: str) -> Response:
    ledger_for(desk, request).keep_begun(draft.kept(), visitor_of(desk, request).address)
    return to(place)


# -- whom --------------------------------------------------------------------------------------------------------


def whom(desk: Desk, request: Request) -> Response:
    """Ask which agency asks, and whom the mailing is to reach."""
    if request.query_params.get("start") == "new":
        draft = _begun(desk, request)
        return _whom(desk, request, RequestDraft({}) if draft.number else draft)
    return _whom(desk, request, _begun(desk, request))


def _whom(desk: Desk, request: Request, draft: RequestDraft, status: int = 200, **more: Any) -> Response:
    ruleset, by = ledger_for(desk, request).ruleset, visitor_of(desk, request).address
    agencies = asked_for_agencies(ruleset, by, approvers=False)
    chosen = more.pop("chosen", None) or draft.answers.get("audiences", [])
    options = {"own_agencies": agencies, "lists": sorted(ruleset.lists), "chosen": chosen, "reached": draft.reached}
    return _step(desk, request, "whom", draft, status, **options, **more)


def answer_whom(desk: Desk, request: Request) -> Response:
    """Take the answer, count the addresses that were given, and drop them."""
    form = checked_form(desk, request)[1]
    draft, errors = _begun(desk, request), {}
    ruleset = ledger_for(desk, request).ruleset
    agency, audiences = form.get("agency", ""), form.all("audience")
    if agency not in asked_for_agencies(ruleset, visitor_of(desk, request).address, approvers=False):
        errors["agency"] = _("Choose the agency that asks.")
    if unknown := [each for each in audiences if each not in ruleset.agencies and each not in ruleset.lists]:
        errors["audience"] = _("%(name)s is none of these: choose agencies and lists.") % {"name": unknown[0]}
    reached = _reached(desk, request, form, audiences)
    users = None
    try:
        users = read_number(form.get("users", "").strip(), _("Write the number of users in digits, such as 2400."))
    except ValueError as error:
        errors["users"] = str(error)
    if users is None and "users" not in errors:
        users = reached.users if reached and reached.users else None
        if users is None:
            errors["users"] = _("Write how many users it reaches at most: it cannot be counted here.")
    if form.get("then") == "count" and reached is None and not errors:
        errors["users"] = _("This cannot be counted here: the number that you write stands.")
    if not audiences and not (reached and reached.given):
        errors["audience"] = _("Say whom it reaches: choose agencies or lists, or give addresses.")
    if errors:
        return _whom(desk, request, draft, 422, errors=errors, given=form, chosen=audiences)
    answers = {"agency": agency, "audiences": audiences, "users": users}
    draft = draft.with_answers({**answers, "reached": asdict(reached) if reached else None})
    return _keep(desk, request, draft, WHOM if form.get("then") == "count" else WHAT)


def _reached(desk: Desk, request: Request, form: Form, audiences: list[str]) -> Reached | None:
    """Return whom lists and given addresses reach; None where nothing is given or the directory cannot be read."""
    text = form.get("addresses", "") + "\n" + form.files.get("file", b"").decode("utf-8", "replace")
    addresses = [*(each for each in audiences if "@" in each), *addresses_in(text)]
    policy = desk.policy() if addresses else None
    if policy is None:
        return None
    reached, persons = count_people(addresses, policy)
    return replace(reached, lately=ledger_for(desk, request).reached_lately(persons))


# -- what --------------------------------------------------------------------------------------------------------


def what(desk: Desk, request: Request) -> Response:
    """Ask for subject, purpose, senders and the message."""
    draft = _begun(desk, request)
    return _step(desk, request, "what", draft, own=visitor_of(desk, request).address)


def answer_what(desk: Desk, request: Request) -> Response:
    """Take the answer."""
    visitor, form = checked_form(desk, request)
    draft, errors = _begun(desk, request), {}
    standing = form.get("kind") == "standing"
    subject, purpose = form.get("subject", "").strip(), form.get("purpose", "").strip()
    senders = form.get("senders", "").replace(",", " ").split()
    if not subject and not standing:
        errors["subject"] = _("Write the subject line of the mailing.")
    if not senders:
        errors["senders"] = _("Write who sends it: an address, an agency's id, or group:NAME.")
    content = as_smtp(form.files["file"]) if "file" in form.files else None
    if content is not None and b":" not in content.partition(b"\r\n")[0]:
        errors["file"] = _("This file is no message: save the message from your mail program as .eml.")
    draft = draft.without_content() if form.get("drop") == "yes" else draft
    if errors:
        return _step(desk, request, "what", draft, 422, errors=errors, given=form, own=visitor.address)
    answers = {"subject": subject, "purpose": purpose, "senders": senders, "exception": standing}
    return _keep(desk, request, draft.with_answers(answers, content), WHEN)


# -- when --------------------------------------------------------------------------------------------------------


def when(desk: Desk, request: Request) -> Response:
    """Ask for the planned day."""
    return _when(desk, request, _begun(desk, request))


def _when(desk: Desk, request: Request, draft: RequestDraft, status: int = 200, **more: Any) -> Response:
    ruleset, now = ledger_for(desk, request).ruleset, datetime.fromtimestamp(desk.signins.clock(), UTC)
    calendar, notice = calendar_of(ruleset), ruleset.requests.notice
    earliest = calendar.earliest(now, notice.working_days, notice.time) if notice else None
    options = {"earliest": earliest, "refuses": ruleset.requests.late == "refuse", "today": calendar.day(now)}
    return _step(desk, request, "when", draft, status, beside=_beside(desk, request, draft), **options, **more)


def _beside(desk: Desk, request: Request, draft: RequestDraft) -> Neighbours | None:
    """Return what else the same people get about the planned day; None where no day or nobody was named."""
    wanted = draft.wanted()
    if wanted.planned is None or not wanted.audiences:
        return None
    return ledger_for(desk, request).beside_planned(wanted, visitor_of(desk, request).address, draft.number)


def answer_when(desk: Desk, request: Request) -> Response:
    """Take the answer."""
    form = checked_form(desk, request)[1]
    draft, errors, days = _begun(desk, request), {}, {}
    for name in ("planned", "needed_by"):
        try:
            days[name] = read_day(form.get(name, "").strip())
        except ValueError as error:
            errors[name] = str(error)
    if not errors and days["planned"] is None and not draft.answers.get("exception"):
        errors["planned"] = _("Say on which day it is to be sent.")
    if errors:
        return _when(desk, request, draft, 422, errors=errors, given=form)
    answers = {name: str(day or "") for name, day in days.items()}
    return _keep(desk, request, draft.with_answers(answers), WHEN if form.get("then") == "look" else RULES)


# -- what the rules say, and submitting --------------------------------------------------------------------------


def rules(desk: Desk, request: Request) -> Response:
    """Say what the rules make of it: what would hold it, who is asked, what of its message would be refused."""
    open_step = _first_open(_begun(desk, request))
    return to(open_step) if open_step else _foreseen(desk, request, "rules")


def check(desk: Desk, request: Request) -> Response:
    """Show all answers once more, before the request is submitted."""
    open_step = _first_open(_begun(desk, request))
    return to(open_step) if open_step else _foreseen(desk, request, "check")


def _first_open(draft: RequestDraft) -> str | None:
    """Return the first step that was not answered yet; None where all were."""
    if not draft.answers.get("agency"):
        return WHOM
    if not draft.answers.get("senders"):
        return WHAT
    return None if draft.answers.get("planned") or draft.answers.get("exception") else WHEN


def _foreseen(desk: Desk, request: Request, step: str, status: int = 200, **more: Any) -> Response:
    draft, ledger = _begun(desk, request), ledger_for(desk, request)
    errors, foreseen = dict(more.pop("errors", {})), None
    try:
        foreseen = ledger.foresee(draft.wanted(), visitor_of(desk, request).address, draft.number)
    except NotAllowed:
        raise
    except (LedgerError, ValueError) as error:
        errors.setdefault("form", str(error))
    ruleset = ledger.ruleset
    found = [(ruleset.rule(id), say(ruleset, id, foreseen.draft)) for id in foreseen.rules] if foreseen else []
    explained = _explained(desk, draft, visitor_of(desk, request).address) if step == "rules" else None
    wanted, names = draft.wanted(), agency_names(desk, request)
    options: dict[str, Any] = {"foreseen": foreseen, "rules": found, "explained": explained, "errors": errors}
    options["beside"] = _beside(desk, request, draft) if step == "rules" else None
    options |= {"planned": wanted.planned, "needed_by": wanted.needed_by}
    options["audiences"] = ", ".join(names.get(each, each) for each in wanted.audiences or ())
    return _step(desk, request, step, draft, status, **options, **more)


def _explained(desk: Desk, draft: RequestDraft, by: str) -> Explanation | None:
    """Return what the gate would do with the message, sent to as many as are planned; None where that is unknown."""
    policy = desk.policy() if draft.content else None
    if policy is None or draft.content is None:
        return None
    agencies = [each for each in draft.answers.get("audiences", ()) if each in policy.ruleset.agencies]
    users, reached = int(draft.answers.get("users") or 0), draft.reached
    shares = (
        reached.agencies if reached and reached.agencies else dict.fromkeys(agencies, users // (len(agencies) or 1))
    )
    counts = Counts(users, reached.external if reached else 0, shares)
    sender = next((each for each in draft.answers.get("senders", ()) if "@" in each), by)
    now = datetime.fromtimestamp(desk.signins.clock(), UTC)
    return explain_message(written(sender, (), draft.content), policy, now, counts)


def submit(desk: Desk, request: Request) -> Response:
    """Submit the request."""
    visitor, form = checked_form(desk, request)
    draft, ledger = _begun(desk, request), ledger_for(desk, request)
    reason = form.get("reason", "").strip()
    if draft.answers.get("appeal") and not reason:
        errors = {"reason": _("Say why you appeal: who decides about it reads it.")}
        return _foreseen(desk, request, "check", 422, errors=errors, given=form)

    def act() -> tuple[str, str]:
        case = _submitted(desk, request, draft, reason)
        ledger.drop_begun(visitor.address)
        return f"/requests/{case.request.id}", _told(case)

    try:
        return once(desk, request, "/requests", act)
    except NotAllowed:
        raise
    except LedgerError as error:
        return _foreseen(desk, request, "check", 422, errors={"form": str(error)}, given=form)


def _submitted(desk: Desk, request: Request, draft: RequestDraft, reason: str) -> RequestCase:
    ledger, by, appeal = ledger_for(desk, request), visitor_of(desk, request).address, draft.answers.get("appeal")
    if draft.number:
        return ledger.submit_again(draft.number, draft.wanted(), by, reason, appeal=bool(appeal))
    return ledger.submit(draft.wanted(), by, reason)


def _told(case: RequestCase) -> str:
    told = _("%(id)s is %(state)s.") % {"id": case.request.id, "state": _(said(case.request.state))}
    return told + " " + _("Who must agree: %(who)s.") % {"who": case.whose} if case.whose else told


def drop(desk: Desk, request: Request) -> Response:
    """Forget what was written so far."""
    visitor = checked_form(desk, request)[0]
    ledger_for(desk, request).drop_begun(visitor.address)
    desk.said.note(visitor.token, _("What you had begun is gone."))
    return to("/requests")


ROUTES = (
    PageRoute(WHOM, "GET", whom, REQUESTER, "a new request: whom it reaches"),
    PageRoute(WHOM, "POST", answer_whom, REQUESTER, "takes whom it reaches, and counts them", uploads=True),
    PageRoute(WHAT, "GET", what, REQUESTER, "a new request: what is sent"),
    PageRoute(WHAT, "POST", answer_what, REQUESTER, "takes what is sent", uploads=True),
    PageRoute(WHEN, "GET", when, REQUESTER, "a new request: when it is sent"),
    PageRoute(WHEN, "POST", answer_when, REQUESTER, "takes when it is sent"),
    PageRoute(RULES, "GET", rules, REQUESTER, "a new request: what the rules say"),
    PageRoute(CHECK, "GET", check, REQUESTER, "a new request: all answers"),
    PageRoute(CHECK, "POST", submit, REQUESTER, "submits the request"),
    PageRoute("/requests/new/drop", "POST", drop, SIGNED_IN, "forgets what they have begun"),
)
