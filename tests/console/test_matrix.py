"""Every route for every person, as the table in docs/console-rights.md has it: a route without a row fails."""

from __future__ import annotations

import asyncio
import re
import secrets
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gatekeeper.api.report.document import document_text, report_document
from gatekeeper.console.desk import Desk, Tries
from gatekeeper.console.rates import Rates
from gatekeeper.console.rendering import STATIC
from gatekeeper.console.routes import ROUTES
from gatekeeper.ledger import accounts, reports
from gatekeeper.ledger.context import act_of
from gatekeeper.ledger.signins import Signins
from gatekeeper.settings import SigningIn
from gatekeeper.store import Database, Store
from tests.console.test_lists import hold_with_file
from tests.console.test_pages import AUDITOR, OTHER, SMALL, URL, browser, form_of, hold
from tests.ledger.scene import CIO, HEAD, SENDER, TODAY, Scene, written
from tests.store.databases import lay_out, memory

PAGE = Path(__file__).parents[2] / "docs" / "console-rights.md"
RULES = SMALL.replace(
    "people:\n",
    "people:\n"
    "  hr@example.gov: {roles: [owner], of: [registrar]}\n"
    "  dean@example.gov: {roles: [owner], of: [registrar]}\n"
    "  health@example.gov: {roles: [approver], of: [DPHHS]}\n"
    "  boss@example.gov: {roles: [admin]}\n",
    1,
).replace(
    "{roles: [approver], final: true}",
    "{roles: [approver], final: true, delegate: {to: stand.in@example.gov, until: 2027-01-31}}",
).replace(
    "{roles: [approver, admin]}", "{roles: [approver], delegate: {to: once@example.gov, until: 2026-11-01}}"
).replace("    then: hold\n", "    then: hold\n    ask: [approver, head]\n", 1)  # fmt: skip
DISABLED = "disabled"
PEOPLE = {
    "nobody": None,
    "sender": SENDER,
    "requester": HEAD,
    "requester elsewhere": OTHER,
    "owner asked": "hr@example.gov",
    "owner": "dean@example.gov",
    "head asked": "chief@doa.example.gov",
    "delegate": "stand.in@example.gov",
    "delegate once": "once@example.gov",
    "approver": CIO,
    "approver elsewhere": "health@example.gov",
    "admin": "boss@example.gov",
    "auditor": AUDITOR,
    DISABLED: "gone@doa.example.gov",
}
SIGNED_IN = PEOPLE.keys() - {"nobody", DISABLED}
YES, OWN, NO, NONE, SIGN_IN = "yes", "own", "no", "-", "sign in"
# Of these a page has only what is its visitor's own, by a name that nobody guesses: the test asks for another.
OWN_ONLY = (
    "/waiting/outcome/", "/account/sessions/", "/account/passkeys/", "/people/sessions/", "/people/pins",
    "/signin/start/", "/signin/enrol/", "/signin/link/{",
)  # fmt: skip


def read_table():
    """The table's rows: path and method, and what each person gets."""
    lines = PAGE.read_text().partition("| path |")[2].splitlines()
    names = _cells(lines[0])[1:]
    assert names == list(PEOPLE)
    found = {}
    for line in lines[2:]:
        path, method, *cells = _cells(line)
        found[path.strip("`"), method] = dict(zip(names, cells, strict=True))
    return found


def _cells(line):
    return [each.strip() for each in line.strip("|").split("|")]


TABLE = read_table()


# Each form is whole, so that who may send it would be heard: their answer is that it is done, or what is wrong with it.
GIVEN = {
    "/waiting": {"act": "deny", "pick.M-9": "v", "reason": "r", "category": "other"},
    "/mailings/M-{number:int}/case": {"case": ""},
    "/mailings/M-{number:int}/decision": {"decision": "approve"},
    "/mailings/M-{number:int}/ask": {"whom": "hr@example.gov"},
    "/mailings/M-{number:int}/withdraw": {"reason": "r"},
    "/requests/R-{number:int}/decision": {"decision": "approve"},
    "/requests/R-{number:int}/ask": {"whom": "hr@example.gov"},
    "/requests/R-{number:int}/withdraw": {"reason": "r"},
    "/requests/R-{number:int}/revoke": {"reason": "r"},
    "/permits/P-{number:int}/narrow": {"reason": "r", "max_users": "5"},
    "/permits/P-{number:int}/revoke": {"reason": "r"},
    "/permits/P-{number:int}/review": {"reason": "r"},
    "/permits/new": {"sender": "lab@dphhs.example.gov", "until": "2026-12-01", "reason": "r"},
    "/emergency": {"agency": "DOA", "hours": "4", "reason": "r", "sure": "yes"},
    "/suspensions": {"kind": "sender", "name": "lab@dphhs.example.gov", "until": "2026-12-01", "reason": "r"},
    "/suspensions/S-{number:int}/end": {"reason": "r"},
    "/health/mode": {"mode": "enforce", "reason": "r"},
}
# What a form ends is another thing than that which the other rows look at.
NUMBERS = {
    "/mailings/M-{number:int}/decision": "2",
    "/mailings/M-{number:int}/withdraw": "3",
    "/requests/R-{number:int}/decision": "2",
    "/requests/R-{number:int}/withdraw": "3",
    "/requests/R-{number:int}/revoke": "4",
    "/permits/P-{number:int}/revoke": "2",
}


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """A browser of each person, and a ledger with mailings, requests, permits and a suspension."""
    with TemporaryDirectory(dir=memory(), ignore_cleanup_errors=True) as folder:
        store = Store(Database(lay_out(Path(folder) / "gate.db"), 5))
        store.open()
        scene = Scene(store, tmp_path_factory.mktemp("rules"), RULES)
        asyncio.run(fill(scene))
        tries = Tries(networks=Rates(1_000), accounts=Rates(1_000))
        ways = SigningIn(signin=("local", "link"))
        desk = Desk(lambda: scene.service, Signins(store, clock=scene.clock), URL, ways, tries)
        accounts.add_account(desk.signins, PEOPLE[DISABLED])
        found = {name: signed_in(desk, address) for name, address in PEOPLE.items()}
        accounts.disable_account(desk.signins, PEOPLE[DISABLED])
        for address in filter(None, PEOPLE.values()):
            while desk.streams.begin(address):  # as many as there may be: a further one is told so, and ends
                pass
        yield desk, found
        store.close()


def signed_in(desk, address):
    """A browser of somebody, and what their forms hold."""
    client = browser(desk, address)
    return client, form_of(client.get("/account")).get("csrf", "")


async def fill(scene):
    """M-1, M-2, R-1 and R-2 about which an owner is asked too, P-1 an emergency, P-2 of R-4."""
    service, later = scene.service, TODAY + timedelta(days=14)
    await hold_with_file(scene)
    await hold(scene, subject="Another", text=b"quite another text, about something else altogether\n")
    await hold(scene, subject="Parking", text=b"the lot behind the annex closes on Monday while they dig for pipes\n")
    for subject in ("First", "Second", "Third", "Fourth"):
        scene.ask(subject=subject, planned=later, content=written(SENDER, subject))
    for number in (1, 2):
        service.ask(number, CIO, "hr@example.gov")
        service.ask_about_request(number, CIO, "hr@example.gov")
    service.declare_emergency("DOA", HEAD, "flood", 4)
    for by in (CIO, "chief@doa.example.gov"):
        service.approve_request(4, by, "yes")
    span = reports.Period(scene.now - 86_400.0, scene.now)
    made = reports.compute(scene.store, service.ruleset, span)
    reports.keep(scene.store, span, document_text(report_document(made)), act_of("", "", scene.now))
    service.suspend("sender", "clerk@dphhs.example.gov", CIO, "too much", date(2026, 12, 24))


def what_happens(visits, name, route):
    """What a person gets of a route."""
    desk, found = visits
    is_last = route.path == "/signout"
    client, csrf = signed_in(desk, PEOPLE[name]) if is_last and name != DISABLED else found[name]
    given = form(desk, csrf, route) if route.method == "POST" else None
    answer = client.request(route.method, place_of(route), data=given)
    assert answer.status_code < 500, (name, answer.text)
    leads = answer.headers.get("location", "").partition("?")[0]
    if answer.status_code == 303 and leads == "/signin" and not (is_last and name in SIGNED_IN):
        return SIGN_IN
    if answer.status_code == 404:
        return OWN if route.path.startswith(OWN_ONLY) else NONE
    return NO if answer.status_code == 403 else YES


def place_of(route):
    """A place of a route: that of a thing that is there."""
    if "/static/" in route.path:
        return next(iter(STATIC))
    place = route.path.replace("{number:int}", NUMBERS.get(route.path, "1"))
    return re.sub(r"{\w+}", "x", re.sub(r"{\w+:int}", "1", place))


def form(desk, csrf, route):
    """A form of that person, as a browser would send it who has just opened its page."""
    given = GIVEN.get(route.path, {})
    if "decision" in given:
        ledger, number = desk.service(), int(NUMBERS[route.path])
        shown = ledger.show(number).mailing if "mailings" in route.path else ledger.show_request(number).request
        given = given | {"seen": shown.version}
    return {"csrf": csrf, "key": secrets.token_hex(8)} | given


def in_order(expected):
    """The people, those last who may: what is done once is done only after nobody else could."""
    return sorted(expected, key=lambda name: expected[name] == YES)


def test_every_route_has_a_row_and_every_row_a_route():
    assert set(TABLE) == {(route.path, route.method) for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_each_person_gets_of_a_route_what_its_row_says(visits, route):
    expected = TABLE[route.path, route.method]
    assert {name: what_happens(visits, name, route) for name in in_order(expected)} == expected
