"""People sign in at a certified issuer, npm's oidc-provider, in a real browser, and are signed out by it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.console.test_browser import SMALL
from tests.console.test_signing_in_browser import browser, opened  # noqa: F401 - a fixture
from tests.peers import free_port, listens, missing, require, wait_for
from tests.peers.gate import Gate

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / ".peers" / "npm" / "node_modules" / "oidc-provider" / "lib" / "index.js"


@pytest.fixture(scope="module")
def console():
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def issuer(console, tmp_path_factory):
    """A running issuer; its address and what it says of faults. It is another site than the console."""
    if not PACKAGE.exists():
        missing("oidc-provider of npm, by tests/peers/fetch_parsers.sh")
    port, said = free_port(), tmp_path_factory.mktemp("issuer") / "log"
    words = [require("node"), str(ROOT / "tests" / "peers" / "oidc_provider.mjs"), str(PACKAGE), str(port), console]
    with said.open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        wait_for(lambda: listens(port), said.read_text)
        yield f"http://localhost:{port}", said
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def gate(console, issuer, tmp_path_factory):
    secret = tmp_path_factory.mktemp("secret") / "oidc"
    secret.write_text("s3cret\n")
    own = {
        "GATEKEEPER_CONSOLE": console.removeprefix("http://"),
        "GATEKEEPER_SIGNIN": "oidc",
        "GATEKEEPER_OIDC_ISSUER": issuer[0],
        "GATEKEEPER_OIDC_CLIENT_ID": "gate",
        "GATEKEEPER_OIDC_CLIENT_SECRET_FILE": str(secret),
    }
    with Gate("maildir:out", rules=SMALL, environment=own) as gate:
        wait_for(lambda: listens(int(console.rpartition(":")[2])), lambda: gate.log())
        yield gate


def let_in(page: Page, name: str) -> None:
    """Sign in at the issuer and agree to what it tells the console."""
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("any")
    page.locator("button[type=submit]").click()
    page.get_by_role("button", name="Continue").click()


def test_the_way_to_the_issuer_and_back_to_the_page_wanted(browser, gate, issuer, console):  # noqa: F811
    page, told = opened(browser)
    page.goto(f"{console}/mailings?state=held")
    page.get_by_role("button", name="Sign in with localhost").click()
    let_in(page, "cio")
    page.wait_for_url(f"{console}/mailings?state=held")
    assert page.get_by_role("link", name="cio@example.gov").is_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    page.wait_for_url(f"{console}/signin**")
    page.goto(f"{console}/account")
    assert page.get_by_role("heading", name="Sign in").is_visible()
    assert [each for each in told if "favicon" not in each and "Content Security Policy" in each] == []
    assert issuer[1].read_text().count("Error") == 0


def test_who_signs_out_at_the_issuer_is_signed_out_here(browser, gate, issuer, console):  # noqa: F811
    page, _ = opened(browser)
    page.goto(f"{console}/account")
    page.get_by_role("button", name="Sign in with localhost").click()
    let_in(page, "cio")
    page.wait_for_url(f"{console}/account")
    page.goto(f"{issuer[0]}/session/end")
    page.get_by_role("button", name="Yes, sign me out").click()
    wait_for(lambda: "signed out sessions=1" in gate.log(), issuer[1].read_text)
    page.goto(f"{console}/account")
    assert page.get_by_role("heading", name="Sign in").is_visible()


def test_an_address_that_the_issuer_does_not_vouch_for_is_nobodys(browser, gate, issuer, console):  # noqa: F811
    page, _ = opened(browser)
    page.goto(f"{console}/signin")
    page.get_by_role("button", name="Sign in with localhost").click()
    let_in(page, "doubtful")
    assert page.get_by_text("does not vouch for your address").is_visible()
    assert "openid connect" in gate.log()
