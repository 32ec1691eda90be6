"""Let a person choose light or dark pages, and whether keys are shortcuts; their browser keeps it in a cookie."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import APPEARANCE, THEMES
from gatekeeper.console.pages.common import SIGNED_IN, PageRoute, Refused, checked_form, to
from gatekeeper.console.words import _

_YEAR = 365 * 86_400


def choose(desk: Desk, request: Request) -> Response:
    """Keep what somebody has chosen, in their browser."""
    visitor, form = checked_form(desk, request)
    theme, keys = form.get("theme", ""), "on" if form.get("shortcuts") == "on" else "off"
    if theme not in THEMES:
        raise Refused(422, _("choose light, dark, or as the browser says"))
    desk.said.note(visitor.token, _("Noted for this browser."))
    answer = to("/account")
    answer.set_cookie(
        APPEARANCE, f"{theme}.{keys}", _YEAR, secure=desk.is_secure, httponly=True, samesite="lax", path="/"
    )
    return answer


ROUTES = (PageRoute("/account/appearance", "POST", choose, SIGNED_IN, "chooses light or dark, and shortcuts"),)
