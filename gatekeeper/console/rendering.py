"""Make pages of templates: numbers, times and states as people read them; everything escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, tzinfo
from hashlib import sha256
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from gatekeeper.console.desk import Desk, Visitor
from gatekeeper.console.guard import appearance_for, ledger_for, visitor_for
from gatekeeper.console.program_names import program_name
from gatekeeper.console.words import _, language, ngettext, plural
from gatekeeper.ledger.sight import asks, sees_all
from gatekeeper.ledger.suspensions import may_suspend
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import said
from gatekeeper.model import Scope
from gatekeeper.notices.texts import plain
from gatekeeper.rules import Ruleset

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_ENVIRONMENT = Environment(
    loader=PackageLoader("gatekeeper.console", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    extensions=["jinja2.ext.i18n"],
)
_ENVIRONMENT.policies["ext.i18n.trimmed"] = True


def static_files() -> Mapping[str, tuple[str, bytes, str]]:
    """Return the files that pages load, by their paths: (name, octets, type); the path changes with the content."""
    found = {}
    for entry in resources.files("gatekeeper.console").joinpath("static").iterdir():
        octets = entry.read_bytes()
        digest = sha256(octets).hexdigest()[:16]
        found[f"/static/{digest}/{entry.name}"] = (entry.name, octets, _TYPES[entry.name.rpartition(".")[2]])
    return found


STATIC = static_files()
_PATHS = {name: path for path, (name, _, _) in STATIC.items()}


def page(desk: Desk, request: Request, template: str, status: int = 200, **more: Any) -> HTMLResponse:
    """Render a template as a whole page."""
    ledger, visitor = ledger_for(desk, request), visitor_for(desk, request)
    ruleset, who_decides = ledger.ruleset, visitor is not None and ledger.decides(visitor.address)
    told = desk.said.take(visitor.token) if visitor else None
    values = {
        "visitor": visitor,
        "ends": desk.signins.ends(visitor.session) if visitor else None,
        "can_passkey": desk.can_passkey,
        "title": ruleset.title,
        "contact": ruleset.contact,
        "navigation": _navigation(ruleset, visitor, who_decides=who_decides),
        "path": request.url.path,
        "told": told,
        "request_id": request.state.id,
        "static": _PATHS,
        "language": language,
        "appearance": appearance_for(request),
        "waits": _waits(desk, request, visitor) if visitor and who_decides else 0,
        "plural": plural,
        "now": desk.signins.clock(),
        "next_place": lambda after: f"{request.url.path}?{_with(request, after=after)}",
        "zip_same": lambda names: [(name, name) for name in names],
        "time": _clock(ruleset.timezone),
        "day": _day(ruleset.timezone),
        **more,
    }
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(values), status)


def _waits(desk: Desk, request: Request, visitor: Visitor) -> int:
    """Return how many matters wait for somebody; counted anew where something has happened, and once a minute."""
    ledger = ledger_for(desk, request)
    minute = int(desk.signins.clock() // 60)
    key = ("waits", visitor.address, ledger.ruleset.digest, ledger.newest_event(), minute)
    known = desk.counted.get(key)
    if known is None:
        known = str(ledger.count_waiting(visitor.address))
        desk.counted.note(key, known)
    return int(known)


def _with(request: Request, **changes: str) -> str:
    """Return the query of a page's address with some values changed."""
    return urlencode({**request.query_params, **changes})


def _navigation(ruleset: Ruleset, visitor: Visitor | None, *, who_decides: bool) -> list[tuple[str, str]]:
    """Return the pages that somebody may open: address and name."""
    if visitor is None:
        return []
    by, all_see = visitor.address, sees_all(ruleset, visitor.address)
    person = ruleset.people.get(by)
    is_admin = person is not None and "admin" in person.roles
    who_asks = asks(ruleset, by)
    pages = (
        ("/waiting", _("Waiting"), who_decides),
        ("/mailings", _("Mailings"), True),
        ("/requests", _("Requests"), who_decides or who_asks or all_see),
        ("/permits", _("Permits"), who_decides or who_asks or all_see),
        ("/emergency", _("Emergency"), who_asks),
        ("/suspensions", _("Suspensions"), may_suspend(ruleset, by)),
        ("/people", _("People"), is_admin),
        ("/health", _("Health"), is_admin),
        ("/check", _("May I?"), True),
    )
    return [(place, name) for place, name, is_shown in pages if is_shown]


def _clock(zone: tzinfo) -> Callable[[float | datetime], str]:
    def shown(moment: float | datetime) -> str:
        local = (moment_of(moment) if isinstance(moment, int | float) else moment).astimezone(zone)
        return f"{_dated(local)}, {local:%H:%M}"

    return shown


def _day(zone: tzinfo) -> Callable[[float | datetime], str]:
    def shown(moment: float | datetime) -> str:
        local = (moment_of(moment) if isinstance(moment, int | float) else moment).astimezone(zone)
        words = {"weekday": _(f"{local:%A}"), "day": local.day, "month": _(f"{local:%B}")}
        return _("%(weekday)s %(day)s %(month)s") % words

    return shown


def _dated(day: date | str) -> str:
    """Return a day with the names of its weekday and month in the language in use. Args: a text is an ISO day."""
    if isinstance(day, str):
        day = date.fromisoformat(day)
    words = {"weekday": _(f"{day:%a}"), "day": day.day, "month": _(f"{day:%b}"), "year": day.year}
    return _("%(weekday)s %(day)s %(month)s %(year)s") % words


_ACCOUNT_STATES: Mapping[str, Callable[[], str]] = {
    "invited": lambda: _("invited"),
    "enrolled": lambda: _("set up"),
    "disabled": lambda: _("disabled"),
}
_METHODS: Mapping[str, Callable[[], str]] = {  # how somebody has signed in, in words
    "start": lambda: _("a link of an administrator"),
    "password": lambda: _("password and code"),
    "passkey": lambda: _("passkey"),
    "link": lambda: _("a link by mail"),
    "proxy": lambda: _("the organisation's login"),
    "oidc": lambda: _("the organisation's login"),
}


_PEOPLE = re.compile(
    r"(?<![\w.,-])\d{4,9}(?= (?:users|people|recipients|members|addresses)\b)|(?<= permit allows )\d{4,9}"
)


def _figures(text: str) -> str:
    """Return a sentence of a rule with numbers of people as the pages write them: replies by SMTP have bare digits."""
    return _PEOPLE.sub(lambda found: f"{int(found[0]):,}", plain(text))


def _marked(text: str, **values: Any) -> Markup:
    """Return a text of a template in the language in use, with escaped values: a list has hundreds of them."""
    found = Markup(_(text))
    return found % values if "%" in text else found


def _scope(scope: Scope) -> str:
    """Return whose mail a permit lets pass; "" where it names nobody."""
    agencies = (_("agency %(name)s") % {"name": name} for name in sorted(scope.agencies))
    groups = (_("group %(name)s") % {"name": name} for name in sorted(scope.groups))
    return ", ".join((*sorted(scope.senders), *agencies, *groups))


def _machine_time(moment: float | datetime) -> str:
    return (moment_of(moment) if isinstance(moment, int | float) else moment).isoformat(timespec="seconds")


_ENVIRONMENT.install_gettext_callables(_, ngettext, newstyle=True)  # type: ignore[attr-defined]
_ENVIRONMENT.globals["_"] = _marked
_ENVIRONMENT.filters["number"] = lambda number: f"{number:,}"
_ENVIRONMENT.filters["said"] = lambda state: _(said(state))
_ENVIRONMENT.filters["account_state"] = lambda state: _ACCOUNT_STATES[state]()
_ENVIRONMENT.filters["role"] = lambda role: _(role)
_ENVIRONMENT.filters["method"] = lambda method: _METHODS[method]()
_ENVIRONMENT.filters["program"] = program_name
_ENVIRONMENT.filters["line"] = plain
_ENVIRONMENT.filters["figures"] = _figures
_ENVIRONMENT.filters["date"] = _dated
_ENVIRONMENT.filters["scope"] = _scope
_ENVIRONMENT.filters["iso"] = _machine_time
