"""A department head decides on a phone, in a real browser: Debian's chromium, a running gate, a console beside it."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from datetime import date, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from random import Random

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.peers import free_port, listens, missing, require, wait_for
from tests.peers.gate import PROGRAM, RULES, Gate
from tests.store.arrivals import people

CIO = "cio@example.gov"
SMALL = (
    RULES.replace("over: 2000", "over: 20")
    .replace("over: 200}", "over: 10}")
    .replace("people:\n", "people:\n  deputy@example.gov: {roles: [approver, admin]}\n")
)
DEPUTY, HEAD_OF_DOA = "deputy@example.gov", "head@doa.example.gov"
PAGES = (
    *("/waiting", "/mailings", "/mailings?state=expired", "/mailings/M-3", "/mailings/M-3?view=text", "/requests"),
    *("/requests/R-1", "/permits", "/permits/P-1", "/permits/new", "/emergency", "/suspensions", "/health", "/check"),
    *("/account", "/accessibility", "/nowhere", "/mailings/M-99"),
    *("/mailings/M-6", "/mailings/M-6?view=text", "/mailings/M-6?view=source", "/mailings/M-6/delivery", "/people"),
    "/waiting?q=nothing",
    "/waiting?kind=request",
    "/mailings?q=parking&since=2026-01-01",
    "/mailings/M-3/recipients",
    "/mailings/M-3/recipients?state=sent",
    "/mailings/M-3/delivery",
)
# What somebody writes who wants to act on the page of another: in a subject, a name, a file's name, a reason.
EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script><svg/onload=alert(3)>{{7*7}}+alert(4)+'
STEPS = ("/requests", "/requests/new", "/requests/new/what", "/requests/new/when")
HEAD = b"From: clerk@doa.example.gov\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"
HOSTILE = (
    b"<h2>Open enrolment</h2><p>Dear <b>colleagues</b>, choose a plan.</p>"
    b'<img src="http://127.0.0.1:9/spy.png" alt="a picture"><script>document.title="taken"</script>'
    b'<a href="http://127.0.0.1:9/away" id=x>here</a><form action="http://127.0.0.1:9/"><button>Go</button></form>'
)


SUBJECTS = (
    "Open enrolment starts Monday",
    "Parking behind the hall",
    "Survey of field offices",
    "Holidays",
    "Flooding",
)


def mail(subject):
    chance = Random(subject)
    words = " ".join("".join(chance.choices("abdeghiklmnoprstuvz", k=7)) for _ in range(40))
    head = f"Subject: {subject}\r\nMessage-ID: <{subject[:4]}@x>\r\n\r\n".encode()
    return HEAD + head + f"<p>{words}</p>\r\n".encode() + HOSTILE


def evil_mail():
    message = EmailMessage()
    message["From"] = Address(EVIL, addr_spec="clerk@doa.example.gov")
    message["Subject"] = EVIL
    message.set_content(EVIL)
    message.add_alternative(f'<a href="https://evil.example/{EVIL}">{EVIL}</a>{EVIL}', subtype="html")
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename=EVIL)
    return message.as_bytes(policy=SMTP)


@contextmanager
def console_of(gate):
    """A console beside a gate, on its database; its address."""
    port = free_port()
    environment = gate.environment | {"GATEKEEPER_CONSOLE": f"127.0.0.1:{port}"}
    process = subprocess.Popen([str(PROGRAM), "console"], cwd=gate.home, env=environment)
    try:
        wait_for(lambda: listens(port), lambda: "the console does not listen")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def browser():
    program = require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def gate():
    with Gate("maildir:out", rules=SMALL) as gate:
        for subject in SUBJECTS:
            assert gate.send("clerk@doa.example.gov", people(30), mail(subject))[0] == 250
        assert gate.send("clerk@doa.example.gov", people(30), evil_mail())[0] == 250
        asked = ("--agency", "DOA", "--sender", "news@doa.example.gov", "--audience", "DOA", "--audience", "DPHHS")
        day, by = str(date.today() + timedelta(days=14)), ("--by", HEAD_OF_DOA)
        about = ("--users", "240", "--subject", "Survey", "--planned", day, "--purpose", EVIL)
        gate.cli("request", "submit", *asked, *about, *by)
        gate.cli("permit", "emergency", "--agency", "DOA", "--hours", "1", "--reason", EVIL, *by)
        gate.cli("suspend", "group", EVIL, "--until", day, "--reason", EVIL, "--by", CIO)
        yield gate


@pytest.fixture(scope="module")
def console(gate):
    with console_of(gate) as address:
        yield address


def signed_in(browser: Browser, gate, console, who=CIO, **more) -> tuple[Page, list[str]]:
    """A page of somebody who has signed in by a link, and what it asks for or complains of."""
    told: list[str] = []
    usual = {"viewport": {"width": 360, "height": 780}, "java_script_enabled": False}
    page = browser.new_context(**{**usual, **more}).new_page()
    page.on("request", lambda request: told.append(request.url) if not request.url.startswith(console) else None)
    page.on("console", lambda message: told.append(message.text))
    page.on("dialog", lambda dialog: told.append(dialog.message))
    port = console.rpartition(":")[2]
    link = gate.cli("account", "link", who, "--console", f"127.0.0.1:{port}").stdout.strip()
    page.goto(link)
    page.get_by_role("button", name=f"Sign in as {who}").click()
    return page, told


def test_a_held_mailing_is_decided_on_a_phone_in_two_taps(browser, gate, console):
    page, told = signed_in(browser, gate, console)
    assert page.get_by_role("heading", name="Waiting for you").is_visible()
    page.get_by_role("link", name="Open enrolment starts Monday").click()
    assert page.get_by_role("region", name="Why it is held").get_by_text("needs approval").is_visible()
    assert page.get_by_role("table", name="Who gets it").get_by_text("30", exact=True).count() == 0
    frame = page.frame_locator("iframe[title='The message']")
    assert frame.get_by_text("Dear colleagues, choose a plan.").is_visible()
    assert frame.get_by_text("Picture from outside, not loaded: a picture").is_visible()
    page.get_by_role("form", name="Decide").get_by_text("Approve", exact=True).click()
    page.get_by_role("button", name="Decide").click()
    assert page.get_by_role("status").inner_text() == "M-1 is released."
    assert gate.ask("mailing", "show", "M-1")["state"] == "released"
    assert told == []


def test_by_keyboard_alone(browser, gate, console):
    page, _ = signed_in(browser, gate, console, viewport={"width": 1280, "height": 900})
    page.goto(f"{console}/mailings/M-2")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        seen.append(focused.get_attribute("name") or (focused.inner_text() if focused.count() else ""))
        if seen[-1] == "decision":
            page.keyboard.press("Space")
        if seen[-1] == "Decide":
            page.keyboard.press("Enter")
            break
    page.wait_for_load_state()
    assert seen[0] == "Skip to the content"
    assert page.get_by_role("status").inner_text() == "M-2 is released."


def test_no_page_scrolls_sideways_and_each_has_one_heading(browser, gate, console):
    for who, shown in ((DEPUTY, PAGES), (HEAD_OF_DOA, STEPS)):
        page, told = signed_in(browser, gate, console, who, java_script_enabled=True)
        for place in shown:
            page.goto(f"{console}{place}")
            check_layout(page, place)
        assert [each for each in told if "the server responded with a status of 404" not in each] == []
        page.context.close()  # only four pages of a person are told what changes


# On a narrow screen a row is a block, and each cell's name stands left of it, in the cell's padding.
CELLS_WITHOUT_LABEL = """[...document.querySelectorAll(".queue td[data-name]")].filter(cell => {
    const look = getComputedStyle(cell);
    return look.display === "block" && parseFloat(look.paddingLeft) < 100;
}).map(cell => cell.dataset.name)"""


def check_layout(page, place):
    for width in (320, 360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, (place, wide)
        assert page.evaluate(CELLS_WITHOUT_LABEL) == [], (place, width)
        assert page.get_by_role("heading", level=1).count() == 1, (place, width)
        assert page.get_by_role("main").count() == page.get_by_role("banner").count() == 1, (place, width)


def test_a_message_opened_by_its_own_address_does_nothing_either(browser, gate, console):
    page, told = signed_in(browser, gate, console, java_script_enabled=True)
    page.goto(f"{console}/mailings/M-3/messages/3")
    assert page.title() == "The message" and page.get_by_text("choose a plan").is_visible()
    assert [each for each in told if "127.0.0.1:9" in each] == []


def test_a_sender_withdraws_what_waits(browser, gate, console):
    page, _ = signed_in(browser, gate, console, "clerk@doa.example.gov")
    page.get_by_role("link", name="Holidays").click()
    assert page.get_by_text("nobody decides their own").is_visible()
    page.get_by_role("button", name="Take it back").click()
    assert page.get_by_role("status").inner_text() == "M-4 is withdrawn."


def test_a_denial_without_a_reason_says_where_and_keeps_the_choice(browser, gate, console):
    page, _ = signed_in(browser, gate, console)
    page.goto(f"{console}/mailings/M-5")
    page.get_by_role("form", name="Decide").get_by_text("Deny", exact=True).click()
    page.get_by_role("button", name="Decide").click()
    assert page.get_by_role("alert").get_by_role("link", name="Say why: the sender reads it.").is_visible()
    assert page.get_by_role("radio", name="Deny").is_checked()
    page.get_by_label("Reason").fill("Not official business")
    page.get_by_label("Category").select_option("official")
    page.get_by_role("button", name="Decide").click()
    assert page.get_by_role("status").inner_text() == "M-5 is denied."


AXE = Path(__file__).parents[2] / ".peers" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
RULES_OF_AXE = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_axe_finds_nothing_on_any_page_in_any_state(browser, gate, console, width, scheme):
    if not AXE.exists():
        missing("axe-core of npm, by tests/peers/fetch_parsers.sh")
    usual = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "java_script_enabled": True}
    page, _ = signed_in(browser, gate, console, DEPUTY, **usual)

    def check(page: Page, state: str) -> None:
        page.evaluate(AXE.read_text())
        asked = {"runOnly": list(RULES_OF_AXE), "iframes": False}
        found = page.evaluate("asked => axe.run(document, asked)", asked)
        told = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]]
        assert told == [] and len(found["passes"]) > 10, (state, width, scheme)

    for place in PAGES:
        page.goto(f"{console}{place}")
        check(page, place)
    for place, button in (
        ("/mailings/M-3", "Decide"),
        ("/requests/R-1", "Decide"),
        ("/permits/P-1", "Narrow P-1"),
        ("/permits/new", "Give the exception"),
        ("/emergency", "Declare it"),
        ("/suspensions", "Suspend"),
        ("/health", "Only observe"),
        ("/check", "Check it"),
    ):
        page.goto(f"{console}{place}")
        page.get_by_role("button", name=button).click()
        assert page.get_by_role("alert").is_visible(), place
        check(page, f"a form that is wrong: {place}")
    page.goto(f"{console}/waiting")
    page.get_by_text("Decide those that are chosen").click()
    page.get_by_role("button", name="Decide them").click()
    assert page.get_by_role("alert").is_visible()
    check(page, "a form for several that is wrong")
    asking, _ = signed_in(browser, gate, console, HEAD_OF_DOA, **usual)
    for place in STEPS:
        asking.goto(f"{console}{place}")
        check(asking, place)
    page.goto(f"{console}/account")
    page.get_by_role("button", name="Sign out").click()
    check(page, "signed out")
    page.context.close()
    asking.context.close()


def test_an_open_page_says_that_it_has_changed_and_keys_go_to_places(browser, gate, console):
    page, told = signed_in(browser, gate, console, java_script_enabled=True, viewport={"width": 1280, "height": 900})
    page.goto(f"{console}/requests/R-1")
    badge = page.locator("[data-waits]")
    before = int(badge.inner_text())
    page.keyboard.press("a")
    assert page.get_by_role("radio", name="Approve").is_checked()
    assert page.get_by_label("Reason").evaluate("element => element === document.activeElement")
    page.keyboard.type("d is a letter here")
    assert page.get_by_role("radio", name="Approve").is_checked()
    gate.cli("request", "changes", "R-1", "--by", DEPUTY, "--reason", "whom does it help?")
    page.get_by_role("link", name="Show what changed").click()
    assert page.get_by_text("whom does it help?").first.is_visible()
    assert (int(badge.inner_text()) if badge.count() else 0) == before - 1
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.wait_for_url("**/mailings")
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.wait_for_url("**/mailings/M-*")
    assert told == []
