"""Every page in a made-up language: what stands in no brackets was not handed to gettext, unless people wrote it."""

from __future__ import annotations

import re
from gettext import NullTranslations
from html.parser import HTMLParser

import pytest
from playwright.sync_api import sync_playwright

from gatekeeper.console import words
from gatekeeper.console.routes import ROUTES
from tests.console.browsing import served
from tests.console.test_matrix import place_of, visits
from tests.console.test_words import Pseudo
from tests.ledger.scene import CIO
from tests.peers import require

__all__ = ["visits"]
# a report that was kept is in the words of its digest
NO_PAGES = (
    *("/static/", "/livez", "/events", ".csv", "/messages/", "/message", "/signout", "/oidc/logout"),
    "/reports/RP-",
)
MORE = (  # lists that are empty or in parts, forms that are wrong
    "/mailings?q=nothing+like+it",
    "/waiting?q=nothing+like+it",
    "/requests?q=nothing",
    "/permits?q=nothing",
    "/mailings/M-1?view=text",
    "/mailings/M-1/recipients?state=sent",
    "/people?q=nobody",
    "/nowhere",
)
# What people, rules and mail have written, and what the ledger answers: shown as it is.
DATA = re.compile(
    r"[\w.+-]+@[\w.-]+|https?://\S+|(?:[\w-]+\.)+[a-z]{3,}(?:/\S*)?|\b[0-9a-f]{16,64}\b"
    r"|\b(?:[A-Z2-7]{4} ?){8}|\b[MRPS]-\d+\b"
    r"|Gatekeeper|SHA-256|Mass electronic mail|Administration|Health|DOA|DPHHS|1220.XS2 III.A|registrar|testclient"
    r"|With a file|Another|Parking|First|Second|Third|Fourth|This mailing reaches 30 users and needs approval.|approval"
    r"|our page|application/octet-stream|flood|too much|benefits|batch \d|recipients|yes"
    r"|no such (?:session|passkey of yours): .*|has no account: .*|nobody's name is pinned to it"
    r"|Recovery codes go with .*"
    r"|may not (?:look at|read|decide) .*|may read it for a case.*|\(for |\) or|\(approver\), and|\(head\), and"
)
SHOWN = ("aria-label", "alt", "title", "placeholder", "data-name", "data-words", "data-changed", "data-show")


class Shown(HTMLParser):
    """What a page shows or has read aloud, but for what somebody has written at length."""

    def __init__(self, page):
        super().__init__()
        self.found, self._quiet = [], 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self._quiet += tag in ("script", "pre", "textarea")
        self.found += [value for name, value in attributes if name in SHOWN and value]

    def handle_endtag(self, tag):
        self._quiet -= tag in ("script", "pre", "textarea")

    def handle_data(self, data):
        self.found += [data] if not self._quiet else []


def unsaid(page):
    """The texts of a page of which a part went past gettext."""
    found = []
    for text in Shown(page).found:
        rest = text
        while (less := re.sub(r"⟦[^⟦⟧]*⟧", " ", rest)) != rest:
            rest = less
        rest = DATA.sub(" ", rest)
        found += [text.strip()] if re.search(r"[A-Za-z]{2,}", rest) else []
    return found


@pytest.fixture(scope="module")
def pseudo():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_catalogue", lambda wanted: Pseudo() if wanted[:1] == ("en_XA",) else NullTranslations())
        yield


SPOKEN = {"accept-language": "en-XA"}


@pytest.mark.parametrize("who", ["nobody", "approver", "requester", "admin"])
def test_every_word_of_every_page_can_be_said_in_another_language(visits, pseudo, who):
    client, csrf = visits[1][who]
    answers = [client.get(place, headers=SPOKEN) for place in [*places("GET"), *MORE]]
    answers += [client.post(place, headers=SPOKEN, data={"csrf": csrf}) for place in places("POST")]
    pages = [each for each in answers if each.headers.get("content-type", "").startswith("text/html")]
    assert len(pages) >= 10
    assert [(str(page.url), each) for page in pages for each in unsaid(page.text)] == []


def places(method):
    """A place of each route that answers with a page; of those that change something without more being said none."""
    found = [place_of(route) for route in ROUTES if route.method == method]
    return [place for place in found if not any(each in place for each in NO_PAGES)]


def test_longer_words_fit_on_the_smallest_phone(visits, pseudo):
    program = require("chromium")
    with served(visits[0]) as desk, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 320, "height": 700}, locale="en-XA").new_page()
        page.goto(f"{desk.url}/signin/start/{desk.signins.make_link(CIO, 60)}")
        page.get_by_role("button").click()
        page.wait_for_url("**/waiting")
        for place in ("/waiting", "/mailings/M-1", "/requests/R-1", "/permits", "/account"):
            page.goto(f"{desk.url}{place}")
            assert page.url.endswith(place) and page.locator("html").get_attribute("lang") == "en-XA"
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, place
        browser.close()
