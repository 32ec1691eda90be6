"""Show a person their own account: how they sign in, where they are signed in; change it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import SIGNED_IN, Given, PageRoute, checked_form, require_fresh, to, visitor_of
from gatekeeper.console.pages.enrolment import (
    app_values,
    ask_for_passkey,
    made_passkey,
    named,
    new_password,
    wrong_password,
)
from gatekeeper.console.pages.local_accounts import LOCAL
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger import credentials
from gatekeeper.ledger.credentials import WrongCode
from gatekeeper.ledger.passwords import WeakPassword

_HOME, _PASSKEYS, _PASSWORD, _CODES = "/account", "/account/passkeys", "/account/password", "/account/codes"


def account(desk: Desk, request: Request) -> Response:
    """Show how somebody signs in, and where they are signed in."""
    visitor = visitor_of(desk, request)
    person = ledger_for(desk, request).ruleset.people.get(visitor.address)
    return page(
        desk,
        request,
        "account.html",
        sessions=desk.signins.sessions(visitor.address),
        own=visitor.session.token,
        roles=person.roles if person else (),
        account=credentials.account_of(desk.signins, visitor.address) if LOCAL in desk.signing_in.signin else None,
        passkeys=credentials.passkeys_of(desk.signins, visitor.address),
    )


def end_session(desk: Desk, request: Request) -> Response:
    """End one of the visitor's sessions."""
    visitor, _form = checked_form(desk, request)
    desk.signins.end_of(visitor.address, request.path_params["key"])
    desk.said.note(visitor.token, _("The session has ended."))
    return to(_HOME)


# -- passkeys ----------------------------------------------------------------------------------------------------


def passkeys_page(desk: Desk, request: Request) -> Response:
    """Show the visitor's passkeys, and how to add one."""
    require_fresh(desk, request, _PASSKEYS)
    found = credentials.passkeys_of(desk.signins, visitor_of(desk, request).address)
    return page(desk, request, "account_passkeys.html", passkeys=found)


def begin_passkey(desk: Desk, request: Request) -> Response:
    """Answer what the browser needs to make a passkey."""
    visitor, _form = checked_form(desk, request)
    require_fresh(desk, request, _PASSKEYS)
    return ask_for_passkey(desk, visitor.address)


def add_passkey(desk: Desk, request: Request) -> Response:
    """Add the passkey that the browser has made."""
    visitor, _form = checked_form(desk, request)
    require_fresh(desk, request, _PASSKEYS)
    credentials.add_passkey(desk.signins, made_passkey(desk, request, visitor.address))
    desk.said.note(visitor.token, _("The passkey is added."))
    return to(_PASSKEYS)


def remove_passkey(desk: Desk, request: Request) -> Response:
    """Remove one of the visitor's passkeys."""
    visitor, _form = checked_form(desk, request)
    require_fresh(desk, request, _PASSKEYS)
    credentials.remove_passkey(desk.signins, visitor.address, request.path_params["key"])
    desk.said.note(visitor.token, _("The passkey is removed: it opens nothing here any more."))
    return to(_PASSKEYS)


# -- password, app and recovery codes ----------------------------------------------------------------------------


def password_page(desk: Desk, request: Request) -> Response:
    """Show the form for another password, and another app where asked for."""
    require_fresh(desk, request, _PASSWORD)
    return _password(desk, request)


def _password(desk: Desk, request: Request, status: int = 200, **errors: str) -> Response:
    address = visitor_of(desk, request).address
    own = credentials.account_of(desk.signins, address)
    wanted = "app" in request.query_params or bool(request.state.form.get("secret"))
    anew = wanted or own is None or not own.has_password
    values = app_values(desk, request, address)
    return page(desk, request, "account_password.html", status, errors=Given(errors), anew=anew, **values)


def change_password(desk: Desk, request: Request) -> Response:
    """Change the visitor's password, and their app where it is a new one."""
    visitor, form = checked_form(desk, request)
    require_fresh(desk, request, _PASSWORD)
    credentials.handle_of(desk.signins, visitor.address)  # who has no account gets none by this
    if errors := wrong_password(form):
        return _password(desk, request, 422, **errors)
    try:
        codes = credentials.set_password(desk.signins, visitor.address, new_password(form))
    except (WeakPassword, WrongCode) as error:
        return _password(desk, request, 422, **named(error))
    desk.said.note(visitor.token, _("The password is changed."))
    if not codes:
        return to(_HOME)
    desk.codes.note(visitor.token, "\n".join(codes))
    return to(_CODES)


def codes_page(desk: Desk, request: Request) -> Response:
    """Show new recovery codes until the visitor says that they have kept them."""
    codes = desk.codes.get(visitor_of(desk, request).token)
    return page(desk, request, "account_codes.html", codes=codes.split("\n") if codes else [])


def renew_codes(desk: Desk, request: Request) -> Response:
    """Make new recovery codes in the place of the earlier ones."""
    visitor, _form = checked_form(desk, request)
    require_fresh(desk, request, _CODES)
    codes = credentials.renew_codes(desk.signins, visitor.address)
    desk.codes.note(visitor.token, "\n".join(codes))
    return to(_CODES)


def keep_codes(desk: Desk, request: Request) -> Response:
    """Show the recovery codes no more."""
    visitor, _form = checked_form(desk, request)
    desk.codes.take(visitor.token)
    return to(_HOME)


ROUTES = (
    PageRoute("/account", "GET", account, SIGNED_IN, "how and where somebody is signed in"),
    PageRoute("/account/sessions/{key}/end", "POST", end_session, SIGNED_IN, "ends one of these sessions"),
    PageRoute("/account/passkeys", "GET", passkeys_page, SIGNED_IN, "passkeys, within ten minutes of signing in"),
    PageRoute("/account/passkeys", "POST", add_passkey, SIGNED_IN, "adds one"),
    PageRoute("/account/passkeys/begin", "POST", begin_passkey, SIGNED_IN, "says how to make one"),
    PageRoute("/account/passkeys/{key}/remove", "POST", remove_passkey, SIGNED_IN, "removes one"),
    PageRoute("/account/password", "GET", password_page, SIGNED_IN, "a new password, likewise"),
    PageRoute("/account/password", "POST", change_password, SIGNED_IN, "changes it"),
    PageRoute("/account/codes", "GET", codes_page, SIGNED_IN, "new recovery codes"),
    PageRoute("/account/codes", "POST", renew_codes, SIGNED_IN, "makes new ones"),
    PageRoute("/account/codes/kept", "POST", keep_codes, SIGNED_IN, "shows them no more"),
)
