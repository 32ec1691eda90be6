"""Set up an account by the link that a command has printed: choose a passkey, or a password with an app."""

from __future__ import annotations

import segno
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console import passkeys
from gatekeeper.console.desk import Desk
from gatekeeper.console.pages.common import ANYBODY, Given, PageRoute, Refused
from gatekeeper.console.pages.entering import count_try, enter
from gatekeeper.console.pages.local_accounts import answered, asked
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger import credentials, passwords
from gatekeeper.ledger.credentials import NewPassword, WrongCode
from gatekeeper.ledger.passwords import WeakPassword
from gatekeeper.ledger.signins import ENROL, PASSKEY, PASSWORD, Proof


def _link(desk: Desk, request: Request) -> tuple[str, str]:
    """Return the token of an enrolment link and whose it is. Raises Refused where it cannot be used any more."""
    token = request.path_params["token"]
    link = desk.signins.link(token, ENROL)
    if link is None:
        raise Refused(404, _("this link was used already, or its time is over: ask for a new one"))
    return token, link.address


def enrol(desk: Desk, request: Request) -> Response:
    """Show how an account can be set up; looking changes nothing."""
    return _page(desk, request)


def _page(desk: Desk, request: Request, status: int = 200, **errors: str) -> Response:
    token, address = _link(desk, request)
    values = app_values(desk, request, address) | {"address": address, "place": f"/signin/enrol/{token}"}
    return page(desk, request, "enrol.html", status, errors=Given(errors), **values)


def app_values(desk: Desk, request: Request, address: str) -> dict[str, object]:
    """Return what a page shows from which an app learns its secret: the same one until the form is right."""
    given = request.state.form.get("secret", "")
    secret = given if passwords.is_secret(given) else passwords.new_secret()
    uri = passwords.secret_uri(secret, address, f"Gatekeeper {desk.host}")
    picture = segno.make(uri, error="m").svg_inline(scale=4, border=4, light="#fff", svgclass="code", lineclass=None)
    return {
        "secret": secret,
        "shown_secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        "picture": Markup(picture),
        "least": passwords.LEAST_PASSWORD,
    }


def set_up_password(desk: Desk, request: Request) -> Response:
    """Set up a password with an app; sign in, and show the recovery codes."""
    token, address = _link(desk, request)
    count_try(desk, request, address)
    errors = wrong_password(request.state.form)
    if errors:
        return _page(desk, request, 422, **errors)
    try:
        codes = credentials.enrol_password(desk.signins, token, new_password(request.state.form))
    except (WeakPassword, WrongCode) as error:
        return _page(desk, request, 422, **named(error))
    answer = enter(desk, request, Proof(address, PASSWORD), "/account/codes")
    desk.codes.note(request.state.token, "\n".join(codes))
    return answer


def new_password(form: dict[str, str]) -> NewPassword:
    """Return the password and the code that a form has; the secret, where it is for a new app."""
    secret = form.get("secret", "")
    return NewPassword(form["password"], form["code"], secret if passwords.is_secret(secret) else None)


def wrong_password(form: dict[str, str]) -> dict[str, str]:
    """Return what is wrong with a form for a new password that can be told without looking further."""
    errors = {}
    if not form.get("password"):
        errors["password"] = _("Choose a password.")
    elif form["password"] != form.get("again"):
        errors["again"] = _("This is not the same password: write it twice.")
    if not form.get("code", "").strip():
        errors["code"] = _("Write the code that the app shows.")
    return errors


def named(error: Exception) -> dict[str, str]:
    """Return the words of a refusal at the field that they are about."""
    return {"password" if isinstance(error, WeakPassword) else "code": str(error)}


def begin_passkey(desk: Desk, request: Request) -> Response:
    """Answer what the browser needs to make a passkey."""
    _token, address = _link(desk, request)
    count_try(desk, request, address)
    return ask_for_passkey(desk, address)


def ask_for_passkey(desk: Desk, address: str) -> Response:
    """Answer what the browser needs to make a passkey for an account."""
    handle, known = credentials.handle_of(desk.signins, address), credentials.passkeys_of(desk.signins, address)
    options, challenge = passkeys.registration(desk.url, address, handle, known)
    return asked(desk, options, {"challenge": challenge})


def made_passkey(desk: Desk, request: Request, address: str) -> credentials.Passkey:
    """Return the passkey that the browser has made. Raises Refused."""
    answer, challenge = answered(desk, request)
    try:
        return passkeys.made(desk.url, answer, challenge, address, request.state.form.get("name", ""))
    except passkeys.WrongAnswer:
        raise Refused(422, _("the browser made no passkey that can be used here: try another device")) from None


def set_up_passkey(desk: Desk, request: Request) -> Response:
    """Set up a passkey, and sign in."""
    token, address = _link(desk, request)
    credentials.enrol_passkey(desk.signins, token, made_passkey(desk, request, address))
    answer = enter(desk, request, Proof(address, PASSKEY), "/account")
    desk.said.note(request.state.token, _("The passkey is set up. Add a second one, in case you lose this."))
    return answer


ROUTES = (
    PageRoute("/signin/enrol/{token}", "GET", enrol, ANYBODY, "shows how to set up an account, by its link"),
    PageRoute("/signin/enrol/{token}/password", "POST", set_up_password, ANYBODY, "sets up a password with an app"),
    PageRoute("/signin/enrol/{token}/passkey/begin", "POST", begin_passkey, ANYBODY, "says how to make a passkey"),
    PageRoute("/signin/enrol/{token}/passkey", "POST", set_up_passkey, ANYBODY, "sets up a passkey"),
)
