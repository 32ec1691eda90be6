"""Sign in to an account of the console itself: by a passkey, or by a password with a code."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.address import is_valid, normalise
from gatekeeper.console import passkeys
from gatekeeper.console.desk import Desk
from gatekeeper.console.pages.common import ANYBODY, Given, PageRoute, Refused
from gatekeeper.console.pages.entering import count_try, enter, place_after, recall, remember, require_method
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger import credentials

LOCAL = "local"
_STEP = "passkey"


def password_form(desk: Desk, request: Request) -> Response:
    """Show the form for a password and a code."""
    require_method(desk, LOCAL)
    return _form(desk, request)


def _form(desk: Desk, request: Request, status: int = 200, **errors: str) -> Response:
    given = {"address": request.state.form.get("address", "")}
    values = {"errors": Given(errors), "given": Given(given), "next": place_after(request)}
    return page(desk, request, "signin_password.html", status, **values)


def sign_in_by_password(desk: Desk, request: Request) -> Response:
    """Sign in by a password and a code; what was wrong of them is not said."""
    require_method(desk, LOCAL)
    form = request.state.form
    address, password, code = (form.get(name, "").strip() for name in ("address", "password", "code"))
    count_try(desk, request, normalise(address) if is_valid(address) else address)
    if not (address and password and code):
        return _form(desk, request, 422, **_missing(address, password, code))
    proof = credentials.sign_in_by_password(desk.signins, address, form["password"], code)
    if proof is None:
        return _form(desk, request, 422, address=_("The address, the password or the code is not right."))
    return enter(desk, request, proof, place_after(request))


def _missing(address: str, password: str, code: str) -> dict[str, str]:
    """Return what to write into fields that are empty."""
    fields = (
        ("address", address, _("Write your mail address.")),
        ("password", password, _("Write your password.")),
        ("code", code, _("Write the code that your app shows.")),
    )
    return {name: words for name, given, words in fields if not given}


def begin_passkey(desk: Desk, request: Request) -> Response:
    """Answer what the browser is to ask a passkey for."""
    require_method(desk, LOCAL)
    count_try(desk, request)
    options, challenge = passkeys.authentication(desk.url)
    return asked(desk, options, {"challenge": challenge})


def asked(desk: Desk, options: str, details: dict[str, str]) -> Response:
    """Return what the browser is to ask a passkey for, and remember what it was."""
    answer = Response(options, media_type="application/json")
    remember(desk, answer, _STEP, details)
    return answer


def answered(desk: Desk, request: Request) -> tuple[str, str]:
    """Return what a browser answers and the challenge that it was given. Raises Refused where it was given none."""
    step = recall(desk, request, _STEP)
    if step is None:
        raise Refused(422, _("this took too long, or was begun in another window: begin again"))
    return request.state.form.get("answer", ""), step["challenge"]


def sign_in_by_passkey(desk: Desk, request: Request) -> Response:
    """Sign in by the passkey that the browser has used."""
    require_method(desk, LOCAL)
    answer, challenge = answered(desk, request)
    try:
        known = credentials.known_passkey(desk.signins, passkeys.credential_of(answer))
        count = passkeys.used(desk.url, answer, challenge, known) if known else 0
    except passkeys.WrongAnswer:
        known = None
    proof = credentials.sign_in_by_passkey(desk.signins, known, count) if known else None
    if proof is None:
        raise Refused(403, _("this passkey is not known here: use another, or another way to sign in"))
    return enter(desk, request, proof, place_after(request))


ROUTES = (
    PageRoute("/signin/password", "GET", password_form, ANYBODY, "asks for password and code"),
    PageRoute("/signin/password", "POST", sign_in_by_password, ANYBODY, "signs in by them"),
    PageRoute("/signin/passkey/begin", "POST", begin_passkey, ANYBODY, "says what a passkey is to sign"),
    PageRoute("/signin/passkey", "POST", sign_in_by_passkey, ANYBODY, "signs in by it"),
)
