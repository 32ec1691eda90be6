"""People sign in, in a real browser: by a passkey, by a password with a code, by a link in their mail."""

from __future__ import annotations

import re
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Page, sync_playwright

from tests.console.test_browser import AXE, RULES_OF_AXE, SMALL
from tests.peers import free_port, listens, missing, require, wait_for
from tests.peers.gate import Gate

CIO, HEAD, PASSWORD = "cio@example.gov", "clerk@doa.example.gov", "three tall pelicans"
ADMIN = "admin@example.gov"
RULES = SMALL.replace("people:\n", f"people:\n  {ADMIN}: {{roles: [admin]}}\n")
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def browser():
    program = require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def gate(port):
    own = {
        "GATEKEEPER_CONSOLE": f"127.0.0.1:{port}",
        "GATEKEEPER_PUBLIC_URL": f"http://localhost:{port}",  # passkeys are for names, not for bare addresses
        "GATEKEEPER_SIGNIN": "local,link",
        "GATEKEEPER_SESSION_IDLE": "153s",
    }
    with Gate("maildir:out", rules=RULES, environment=own) as gate:
        wait_for(lambda: listens(port), lambda: gate.log())
        yield gate


def opened(browser, **more) -> tuple[Page, list[str]]:
    """A page, and what it complains of."""
    told: list[str] = []
    page = browser.new_context(**{"viewport": {"width": 360, "height": 780}, **more}).new_page()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    return page, told


def with_device(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})


def invited(gate, port, who, verb="add"):
    return gate.cli("account", verb, who).stdout.strip()


def check(page: Page, state: str) -> None:
    """No sideways scroll, one heading, and nothing that axe finds."""
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], state
    assert page.get_by_role("heading", level=1).count() == 1, state
    if not AXE.exists():
        missing("axe-core of npm, by tests/peers/fetch_parsers.sh")
    page.evaluate(AXE.read_text())
    found = page.evaluate("asked => axe.run(document, asked)", {"runOnly": list(RULES_OF_AXE)})
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]] == [], state


def test_a_passkey_is_set_up_and_signs_in_and_a_second_one_is_added(browser, gate, port):
    page, told = opened(browser, color_scheme="dark")
    with_device(page)
    page.goto(invited(gate, port, CIO))
    check(page, "enrolment")
    page.get_by_label("Name of this device").fill("Phone")
    page.get_by_role("button", name="Set up a passkey").click()
    page.wait_for_url("**/account")
    assert "The passkey is set up" in page.get_by_role("status").inner_text()
    check(page, "account")
    page.get_by_role("button", name="Sign out").click()
    check(page, "sign in")
    page.goto(f"http://localhost:{port}/mailings?state=held")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/mailings?state=held")
    page.goto(f"http://localhost:{port}/account/passkeys")
    page.get_by_text("You will be signed out in two minutes.").wait_for()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    check(page, "passkeys, about to be signed out")
    page.get_by_role("button", name="Stay signed in").click()
    page.get_by_text("You will be signed out in two minutes.").wait_for(state="hidden")
    assert page.get_by_text("Phone").first.is_visible()
    page.get_by_role("button", name="Remove Phone").click()
    assert "only way into the account" in page.get_by_role("main").inner_text()
    assert [each for each in told if "409" not in each] == []


def test_who_stops_the_browser_is_told_so_and_can_go_on(browser, gate, port):
    page, _ = opened(browser)
    page.goto(f"http://localhost:{port}/signin")
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE | {"isUserVerified": False}})
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("was not let use a passkey").wait_for()
    assert page.get_by_role("button", name="Sign in with a passkey").is_enabled()


def test_a_password_with_an_app_is_set_up_and_signs_in_without_javascript(browser, gate, port):
    page, told = opened(browser, java_script_enabled=False)
    page.goto(invited(gate, port, HEAD))
    assert page.get_by_role("img", name="QR code").is_visible()
    assert not page.get_by_role("button", name="Set up a passkey").is_visible()
    app = pyotp.TOTP(page.locator("input[name=secret]").get_attribute("value"))
    page.locator("#field-password").fill(PASSWORD)
    page.get_by_label("The same password again").fill(PASSWORD)
    page.get_by_label("Code that the app shows").fill(app.now())
    page.get_by_role("button", name="Set up password and app").click()
    codes = page.locator("ol.codes code").all_inner_texts()
    assert len(codes) == 10
    page.get_by_role("button", name="I have kept them").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in with a password").click()
    page.get_by_label("Your mail address").fill(HEAD)
    page.locator("#field-password").fill(PASSWORD)
    page.locator("#field-code").fill("123456")
    page.get_by_role("button", name="Sign in", exact=True).click()
    assert page.get_by_role("alert").get_by_text("is not right").is_visible()
    page.locator("#field-password").fill(PASSWORD)
    page.locator("#field-code").fill(codes[0])
    page.get_by_role("button", name="Sign in", exact=True).click()
    assert page.get_by_role("heading", name="Mailings").is_visible()
    assert [each for each in told if "422" not in each] == []


def mailed(gate) -> str:
    """The newest link that was mailed."""

    def links():
        mails = sorted(Path(gate.home, "out", "new").iterdir(), key=lambda each: each.stat().st_mtime)
        found = [re.search(rb"http://localhost:\d+/signin/link/[\w-]+", each.read_bytes()) for each in mails]
        return [each[0].decode() for each in found if each]

    wait_for(lambda: Path(gate.home, "out", "new").exists() and links(), lambda: gate.log())
    return links()[-1]


def test_a_link_by_mail_signs_in_here_at_once_and_on_the_phone_with_the_code(browser, gate, port):
    page, told = opened(browser, java_script_enabled=False, viewport={"width": 1280, "height": 800})
    page.goto(f"http://localhost:{port}/signin?next=/account")
    page.get_by_role("button", name="Get a link by mail").click()
    page.get_by_label("Your mail address").fill("hr@dphhs.example.gov")
    page.get_by_role("button", name="Send me a link").click()
    code = page.locator(".big").inner_text()
    link = mailed(gate)
    phone, _ = opened(browser, java_script_enabled=False)
    phone.goto(link)
    phone.get_by_role("button", name="Sign in as").click()
    assert phone.get_by_role("alert").is_visible()
    phone.get_by_label("Code").fill(code)
    phone.get_by_role("button", name="Sign in as").click()
    assert phone.get_by_role("heading", name="Your account").is_visible()
    page.goto(link)
    assert page.get_by_text("used already").is_visible()
    assert [each for each in told if "404" not in each] == []


def test_pages_of_signing_in_are_sound_in_every_state(browser, gate, port):
    page, _ = opened(browser, viewport={"width": 320, "height": 700})
    for place in ("/signin", "/signin/password", "/signin/link", "/signin/link/none", "/signin/enrol/none"):
        page.goto(f"http://localhost:{port}{place}")
        check(page, place)
    page.goto(invited(gate, port, "sound@doa.example.gov"))
    page.get_by_role("button", name="Set up password and app").click()
    check(page, "a wrong enrolment")


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_people_are_sound_and_an_account_is_made_there(browser, gate, port, width, scheme):
    page, _ = opened(browser, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(invited(gate, port, ADMIN, "link"))
    page.get_by_role("button", name="Sign in as").click()
    page.goto(f"http://localhost:{port}/people")
    page.get_by_label("Who is to sign in, or no longer").fill(f"p{width}@doa.example.gov")
    page.get_by_role("button", name="Make an account").click()
    assert page.get_by_text(f"http://localhost:{port}/signin/enrol/").is_visible()
    check(page, "people")
    page.get_by_role("button", name=f"Disable p{width}@doa.example.gov").click()
    assert "is disabled" in page.get_by_role("status").inner_text()
