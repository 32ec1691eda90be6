"""What all pages share: a route, who asks, a form that is checked, a request that is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gatekeeper.console.desk import Desk, Visitor
from gatekeeper.console.forms import Form
from gatekeeper.console.guard import is_own_form, ledger_for, visitor_for
from gatekeeper.console.words import _
from gatekeeper.ledger.service import LedgerError, NotAllowed, NotFound

Page = Callable[[Desk, Request], Response]
MOST_REASON = 2_000  # characters
_MOST_DIGITS = 9  # of a number in a form
MOST_NUMBER = 10**_MOST_DIGITS - 1  # of a mailing, say: databases keep 31 bits
ANYBODY, SIGNED_IN, SIGHT, CONTENT, DECIDER, OWNER, REQUESTER, APPROVER, ADMIN = (
    "anybody",
    "signed in",
    "who may see it",
    "who may read it",
    "who may decide it",
    "whose it is",
    "requesters and approvers of the agency",
    "approvers, admins",
    "admins",
)


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One route: path, method, its page, who may open it, and what it is for."""

    path: str
    method: str
    page: Page
    who: str
    about: str
    uploads: bool = False  # its form may hold files


class Given(dict[str, str]):
    """What a form had, or what is wrong with it; "" where it had nothing."""

    def __missing__(self, name: str) -> str:
        return ""


class Refused(Exception):
    """A request that gets an error page: its status, what to do, and header fields beside it."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers


class SignInAgain(Exception):
    """A request for which somebody has to show again who they are; `place` is where it leads then."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


def visitor_of(desk: Desk, request: Request) -> Visitor:
    """Return who is signed in: the route lets nobody else in."""
    visitor = visitor_for(desk, request)
    assert visitor is not None
    return visitor


def checked_form(desk: Desk, request: Request) -> tuple[Visitor, Form]:
    """Return who sends a form, and its fields. Raises Refused where it was not made for them."""
    visitor, form = visitor_of(desk, request), request.state.form
    if not is_own_form(visitor, form.get("csrf")):
        raise Refused(403, _("this form is too old, or was not made for you: open the page again, and repeat it"))
    return visitor, form


def require_fresh(desk: Desk, request: Request, place: str) -> None:
    """Raise SignInAgain for who has not shown within ten minutes who they are. Args: `place` where they go on."""
    if not desk.signins.is_fresh(visitor_of(desk, request).session):
        raise SignInAgain(place)


def once(desk: Desk, request: Request, place: str, act: Callable[[], tuple[str, str]]) -> Response:
    """Carry out what a form asks for once, however often it is sent, and lead to the page that shows it.

    Args: `place` is for whoever sends it again while it is being done; `act` returns the page and what to tell there.
    """
    visitor, form = checked_form(desk, request)
    key = (visitor.address, request.url.path, form.get("key"))
    if not form.get("key"):
        raise Refused(422, _("this form is not whole: open the page again, and repeat it"))
    if not desk.done.claim(key):
        return to(desk.done.get(key) or place)
    try:
        found, told = act()
    except BaseException:
        desk.done.take(key)
        raise
    desk.done.note(key, found)
    desk.said.note(visitor.token, told)
    return to(found)


def to(place: str) -> RedirectResponse:
    """Return the answer that leads to another page."""
    return RedirectResponse(place, 303)


def agency_names(desk: Desk, request: Request) -> dict[str, str]:
    """Return the names of agencies by their ids."""
    return {id: agency.name for id, agency in ledger_for(desk, request).ruleset.agencies.items()}


def note_opened(desk: Desk, visitor: Visitor, id: str, version: str) -> None:
    """Remember that somebody has opened the page of a mailing or a request as it was at a version."""
    desk.read.note((visitor.token, id, version))


def was_opened(desk: Desk, visitor: Visitor, id: str, version: str) -> bool:
    """Return True where they have."""
    return desk.read.get((visitor.token, id, version)) is not None


def count_content(desk: Desk, request: Request) -> None:
    """Count that somebody opens content. Raises Refused where it is more within a minute than a person reads."""
    wait = desk.contents.take(visitor_of(desk, request).address)
    if wait:
        told = _("you have opened more within a minute than anybody reads: wait, then go on")
        raise Refused(429, told, {"retry-after": str(int(wait) + 1)})


def case_for(desk: Desk, visitor: Visitor, number: int) -> str:
    """Return the case for which an admin or auditor reads a mailing in this session; "" where they gave none."""
    return desk.read.get((visitor.token, "case", number)) or ""


def read_number(text: str, wrong: str) -> int | None:
    """Read a number of at least 1; None for an empty field. Raises ValueError with `wrong`."""
    if not text:
        return None
    if not (text.isdecimal() and len(text) <= _MOST_DIGITS and int(text) > 0):
        raise ValueError(wrong)
    return int(text)


def refusal_of(error: Exception) -> tuple[int, str] | None:
    """Return the status and the text of an error page; None for a fault."""
    if isinstance(error, Refused):
        return error.status, error.text
    for kind, status in ((NotFound, 404), (NotAllowed, 403), (LedgerError, 409)):
        if isinstance(error, kind):
            return status, str(error)
    return None
