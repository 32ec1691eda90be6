"""The pages: what each shows, and what its forms do. Facts and rights come from the ledger, words from templates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gatekeeper.console import frame
from gatekeeper.console.desk import Desk, Visitor
from gatekeeper.console.guard import FRAME_POLICY, cookie_name, is_own_form, ledger_for, visitor_for
from gatekeeper.console.rendering import STATIC, page
from gatekeeper.ledger.looking import BatchView
from gatekeeper.ledger.service import LedgerError, NotAllowed, NotFound, Stale, Terms, VisibleCase
from gatekeeper.ledger.sight import Sight, decides
from gatekeeper.ledger.signins import START
from gatekeeper.ledger.terms import BINDINGS
from gatekeeper.lifecycle import MailingState, said

MOST_REASON = 2_000  # characters
_MOST_DIGITS = 9  # of a number in a form
_VIEWS = ("rendered", "text", "source")
_MOST_SOURCE = 512 * 1024  # octets of a message that its source shows
_CHOICES = {"approve": "Approve", "changes": "Ask for changes", "deny": "Deny"}


class _Given(dict[str, str]):
    """What a form had, or what is wrong with it; "" where it had nothing."""

    def __missing__(self, name: str) -> str:
        return ""


class Refused(Exception):
    """A request that gets an error page: its status, and what to do."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


Page = Callable[[Desk, Request], Response]


def _visitor(desk: Desk, request: Request) -> Visitor:
    """Return who is signed in: the route lets nobody else in."""
    visitor = visitor_for(desk, request)
    assert visitor is not None
    return visitor


# -- signing in --------------------------------------------------------------------------------------------------


def home(desk: Desk, request: Request) -> Response:
    """Lead to the page that this person came for."""
    visitor = _visitor(desk, request)
    return _to("/waiting" if decides(ledger_for(desk, request).ruleset, visitor.address) else "/mailings")


def sign_in(desk: Desk, request: Request) -> Response:
    """Say how to sign in."""
    return page(desk, request, "signin.html")


def signin_link(desk: Desk, request: Request) -> Response:
    """Show whose link it is; looking at it changes nothing, so that a program that follows links signs nobody in."""
    link = desk.signins.link(request.path_params["token"])
    if link is None:
        raise Refused(404, "this link was used already, or its time is over: ask for a new one")
    return page(desk, request, "signin_link.html", address=link.address)


def use_signin_link(desk: Desk, request: Request) -> Response:
    """Sign in by a link, which is used up."""
    address = desk.signins.use(request.path_params["token"])
    if address is None:
        raise Refused(404, "this link was used already, or its time is over: ask for a new one")
    client = request.client.host if request.client else ""
    token = desk.signins.begin(address, START, client, request.headers.get("user-agent", ""))
    answer = _to("/")
    answer.set_cookie(cookie_name(desk), token, secure=desk.is_secure, httponly=True, samesite="lax", path="/")
    return answer


def sign_out(desk: Desk, request: Request) -> Response:
    """End the session."""
    visitor = _visitor(desk, request)
    _check_form(visitor, request)
    desk.signins.end(visitor.token)
    answer = _to("/signin")
    answer.delete_cookie(cookie_name(desk), secure=desk.is_secure, httponly=True, samesite="lax", path="/")
    return answer


def account(desk: Desk, request: Request) -> Response:
    """Show who is signed in where."""
    visitor = _visitor(desk, request)
    person = ledger_for(desk, request).ruleset.people.get(visitor.address)
    sessions = desk.signins.sessions(visitor.address)
    return page(desk, request, "account.html", sessions=sessions, roles=person.roles if person else ())


def end_session(desk: Desk, request: Request) -> Response:
    """End one of the visitor's sessions."""
    visitor = _visitor(desk, request)
    _check_form(visitor, request)
    desk.signins.end_of(visitor.address, request.path_params["key"])
    desk.said.note(visitor.token, "The session has ended.")
    return _to("/account")


def accessibility(desk: Desk, request: Request) -> Response:
    """Show the statement on accessibility."""
    return page(desk, request, "accessibility.html")


def alive(desk: Desk, request: Request) -> Response:
    """Answer that the process is there."""
    return Response("ok\n", media_type="text/plain")


def static(desk: Desk, request: Request) -> Response:
    """Return a file that pages load; its path changes with its content, so it may be kept for ever."""
    found = STATIC.get(request.url.path)
    if found is None:
        raise Refused(404, "no such file")
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(found[1], headers=headers, media_type=found[2])


# -- mailings ----------------------------------------------------------------------------------------------------


def waiting(desk: Desk, request: Request) -> Response:
    """Show what waits, first for this person."""
    visitor = _visitor(desk, request)
    return page(
        desk,
        request,
        "waiting.html",
        rows=ledger_for(desk, request).waiting(visitor.address),
        names=_names(desk, request),
    )


def mailings(desk: Desk, request: Request) -> Response:
    """Show the newest mailings that this person may see."""
    visitor, state = _visitor(desk, request), request.query_params.get("state") or None
    states = [each.value for each in MailingState]
    if state is not None and state not in states:
        raise Refused(404, f"no such state: expected one of {', '.join(states)}")
    rows = ledger_for(desk, request).seen_by(visitor.address, state)
    return page(desk, request, "mailings.html", rows=rows, state=state, states=states, names=_names(desk, request))


def review(desk: Desk, request: Request) -> Response:
    """Show one mailing with all that decides it."""
    return _review(desk, request)


def _review(desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    visitor, service = _visitor(desk, request), ledger_for(desk, request)
    number = request.path_params["number"]
    seen = service.look(number, visitor.address)
    batches = _distinct(seen)
    values = {"errors": {}, "given": {}, "differences": (), "contents": None, **more}
    values["chosen"] = batches[0] if batches else None
    if seen.sight is Sight.CONTENT and batches:
        wanted = request.query_params.get("batch", "")
        values["chosen"] = next((each for each in batches if str(each.id) == wanted), batches[0])
        _note_reading(desk, request, number, values["chosen"])
        values["contents"] = service.contents(values["chosen"])
    view = request.query_params.get("view", "rendered")
    return page(
        desk,
        request,
        "review.html",
        status,
        seen=seen,
        mailing=seen.case.mailing,
        batches=batches,
        view=view if view in _VIEWS else "rendered",
        names=_names(desk, request),
        key=request.state.id,
        bindings=BINDINGS,
        denials=service.ruleset.denials,
        **{**values, "errors": _Given(values["errors"]), "given": _Given(values["given"])},
    )


def decide(desk: Desk, request: Request) -> Response:
    """Approve, deny or send back a mailing, by the form of its page."""
    visitor, number, form = _visitor(desk, request), request.path_params["number"], request.state.form
    _check_form(visitor, request)
    place, key = f"/mailings/M-{number}", (visitor.address, number, form.get("key"))
    if not (form.get("key") and form.get("seen")):
        raise Refused(422, "this form does not say what was looked at: open the page again, and repeat it")
    if desk.done.get(key):
        return _to(place)
    decision, reason, category = (form.get(name, "").strip() for name in ("decision", "reason", "category"))
    errors, terms = _wrong(decision, reason), Terms()
    if decision == "deny" and category not in ledger_for(desk, request).ruleset.denials:
        errors["category"] = "Choose a category: the sender reads it, and reports count by it."
    try:
        terms = _terms(form)
    except ValueError as error:
        errors["terms"] = str(error)
    if form.get("fresh") and not form.get("looked"):
        errors["looked"] = "Look at what has changed, and say that you have."
    if errors:
        return _review(desk, request, 422, errors=errors, given=form)
    service, seen = ledger_for(desk, request), form["seen"]
    try:
        if decision == "approve":
            done = service.approve(number, visitor.address, reason, terms, seen)
        elif decision == "deny":
            done = service.deny(number, visitor.address, reason, seen, category)
        else:
            done = service.ask_changes(number, visitor.address, reason, seen)
    except Stale as stale:
        return _review(desk, request, 409, differences=stale.differences, given=form)
    told = f"Noted. Still to agree: {', '.join(done.missing)}." if done.missing else ""
    desk.said.note(visitor.token, told or f"{done.mailing.id} is {said(done.mailing.state)}.")
    desk.done.note(key, place)
    return _to(place)


def withdraw(desk: Desk, request: Request) -> Response:
    """Take one's own mailing back."""
    visitor, number = _visitor(desk, request), request.path_params["number"]
    _check_form(visitor, request)
    ledger_for(desk, request).look(number, visitor.address)
    done = ledger_for(desk, request).withdraw(number, visitor.address, request.state.form.get("reason", "").strip())
    desk.said.note(visitor.token, f"{done.mailing.id} is {said(done.mailing.state)}.")
    return _to(f"/mailings/M-{number}")


def message(desk: Desk, request: Request) -> Response:
    """Return a message for the frame of its page: as it is shown, its text, or its source."""
    visitor, number = _visitor(desk, request), request.path_params["number"]
    seen = ledger_for(desk, request).look(number, visitor.address)
    batch = next((each for each in seen.case.batches if each.id == request.path_params["batch"]), None)
    if batch is None or seen.sight is not Sight.CONTENT:
        raise NotFound("no such message, or it is not for you")
    _note_reading(desk, request, number, batch)
    content = ledger_for(desk, request).message(batch)
    headers = {"content-security-policy": FRAME_POLICY}
    view = request.query_params.get("view", "rendered")
    if view == "source":
        return Response(content[:_MOST_SOURCE], headers=headers, media_type="text/plain; charset=utf-8")
    return Response(frame.rendered(content), headers=headers, media_type="text/html; charset=utf-8")


def _note_reading(desk: Desk, request: Request, number: int, batch: BatchView) -> None:
    """Have the timeline note that somebody reads a message, once a session, before it is shown (S4, D4)."""
    visitor = _visitor(desk, request)
    key = (visitor.token, batch.id)
    if desk.read.get(key) is None:
        ledger_for(desk, request).read(number, visitor.address, batch.id)
        desk.read.note(key)


def _distinct(seen: VisibleCase) -> list[BatchView]:
    """Return one batch of each content, in the order in which they came."""
    first: dict[str, BatchView] = {}
    for batch in seen.case.batches:
        first.setdefault(batch.content_digest, batch)
    return list(first.values())


def _wrong(decision: str, reason: str) -> dict[str, str]:
    errors = {}
    if decision not in _CHOICES:
        errors["decision"] = "Choose what to do: approve, ask for changes, or deny."
    elif decision != "approve" and not reason:
        errors["reason"] = "Say why: the sender reads it."
    if len(reason) > MOST_REASON:
        errors["reason"] = f"Make the reason shorter: at most {MOST_REASON:,} characters are sent."
    return errors


def _terms(form: dict[str, str]) -> Terms:
    """Return the terms of an approval. Raises ValueError with what to write."""
    users, until, uses, binding = (form.get(name, "").strip() for name in ("max_users", "until", "uses", "binding"))
    for name, text in (("users", users), ("mailings", uses)):
        if text and not (text.isdecimal() and len(text) <= _MOST_DIGITS and int(text) > 0):
            raise ValueError(f"Write the number of {name} in digits, such as 2400.")
    try:
        day = date.fromisoformat(until) if until else None
    except ValueError:
        raise ValueError("Write the last day as year, month and day, such as 2026-12-31.") from None
    if binding and binding not in BINDINGS:
        raise ValueError(f"Choose how the content may vary: {' or '.join(BINDINGS)}.")
    return Terms(int(users) if users else None, day, int(uses) if uses else None, binding or None)


def _names(desk: Desk, request: Request) -> dict[str, str]:
    return {id: agency.name for id, agency in ledger_for(desk, request).ruleset.agencies.items()}


def _check_form(visitor: Visitor, request: Request) -> None:
    if not is_own_form(visitor, request.state.form.get("csrf")):
        raise Refused(403, "this form is too old, or was not made for you: open the page again, and repeat it")


def _to(place: str) -> RedirectResponse:
    return RedirectResponse(place, 303)


def refusal_of(error: Exception) -> tuple[int, str] | None:
    """Return the status and the text of an error page; None for a fault."""
    if isinstance(error, Refused):
        return error.status, error.text
    for kind, status in ((NotFound, 404), (NotAllowed, 403), (LedgerError, 409)):
        if isinstance(error, kind):
            return status, str(error)
    return None
