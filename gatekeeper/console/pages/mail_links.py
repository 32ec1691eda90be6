"""Sign in by a link that is mailed to who asks for it."""

from __future__ import annotations

import secrets

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.address import is_valid, normalise
from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import client_of, ledger_for, step_cookie
from gatekeeper.console.pages.common import ANYBODY, Given, PageRoute, Refused, to
from gatekeeper.console.pages.entering import (
    count_try,
    enter,
    place_after,
    require_method,
    set_step,
    too_often,
    with_place,
)
from gatekeeper.console.pages.local_accounts import LOCAL
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger import mail_links
from gatekeeper.ledger.mail_links import Asker, WrongLinkCode
from gatekeeper.ledger.signins import LINK, MAIL, SigninLink


def ask_form(desk: Desk, request: Request) -> Response:
    """Ask for the address to mail a link to."""
    require_method(desk, LINK)
    return _form(desk, request)


def _form(desk: Desk, request: Request, status: int = 200, **errors: str) -> Response:
    given = {"address": request.state.form.get("address", "")}
    values = {"errors": Given(errors), "given": Given(given), "next": place_after(request)}
    return page(desk, request, "signin_mail.html", status, **values)


def ask(desk: Desk, request: Request) -> Response:
    """Mail a link to who may sign in; the answer is the same for everybody, and comes before anything is looked up."""
    require_method(desk, LINK)
    given = request.state.form.get("address", "").strip()
    if not is_valid(given):
        return _form(desk, request, 422, address=_("Write your mail address, such as name@example.gov."))
    address, browser = normalise(given), secrets.token_urlsafe(32)
    count_try(desk, request)
    if wait := desk.tries.mails.take(address):
        too_often(wait)
    program, place = request.headers.get("user-agent", ""), place_after(request)
    asker = Asker(address, browser, client_of(request), program, place, desk.url, LOCAL in desk.signing_in.signin)
    answer = to(with_place("/signin/link/sent", place))
    set_step(desk, answer, browser)
    answer.background = BackgroundTask(mail_links.mail_link, desk.signins, ledger_for(desk, request).letterhead, asker)
    return answer


def sent(desk: Desk, request: Request) -> Response:
    """Show the code that another browser would need."""
    require_method(desk, LINK)
    browser = request.cookies.get(step_cookie(desk))
    if not browser:
        return to("/signin/link")
    return page(desk, request, "signin_sent.html", code=mail_links.code_of(browser), next=place_after(request))


def look(desk: Desk, request: Request) -> Response:
    """Show whose link it is; looking at it changes nothing, so that a program that follows links signs nobody in."""
    return _shown(desk, request, _link(desk, request))


def _link(desk: Desk, request: Request) -> SigninLink:
    require_method(desk, LINK)
    link = desk.signins.link(request.path_params["token"], MAIL)
    if link is None:
        raise Refused(404, _("this link was used already, or its time is over: ask for a new one"))
    return link


def _shown(desk: Desk, request: Request, link: SigninLink, status: int = 200, **errors: str) -> Response:
    asks = not mail_links.is_asking_browser(link, request.cookies.get(step_cookie(desk)))
    values = {"errors": Given(errors), "address": link.address, "asks_code": asks}
    return page(desk, request, "signin_mailed.html", status, **values)


def use(desk: Desk, request: Request) -> Response:
    """Sign in by a link, which is used up; from another browser only with the code."""
    link, browser = _link(desk, request), request.cookies.get(step_cookie(desk))
    code = request.state.form.get("code", "")
    count_try(desk, request)
    if not code.strip() and not mail_links.is_asking_browser(link, browser):
        return _shown(desk, request, link, 422, code=_("Write the code that the browser shows in which you asked."))
    try:
        proof, place = mail_links.use_mail_link(desk.signins, request.path_params["token"], browser, code)
    except WrongLinkCode as error:
        return _shown(desk, request, link, 422, code=str(error))
    return enter(desk, request, proof, place)


ROUTES = (
    PageRoute("/signin/link", "GET", ask_form, ANYBODY, "asks for the address to mail a link to"),
    PageRoute("/signin/link", "POST", ask, ANYBODY, "mails it to people who may sign in"),
    PageRoute("/signin/link/sent", "GET", sent, ANYBODY, "shows the code that another browser needs"),
    PageRoute("/signin/link/{token}", "GET", look, ANYBODY, "shows whose mailed link it is"),
    PageRoute("/signin/link/{token}", "POST", use, ANYBODY, "signs in by it, once"),
)
