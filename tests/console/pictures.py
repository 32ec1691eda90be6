"""Make the pictures of docs/console/: each page of a console with a day's work in it, as people see it.

`python -m tests.console.pictures` writes them anew, in Debian's chromium; a test compares which there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.console.test_browser import console_of
from tests.peers import require
from tests.peers.gate import RULES, Gate
from tests.store.arrivals import people

FOLDER = Path(__file__).parents[2] / "docs" / "console"
APPROVER, ADMIN, REQUESTER = "cio@example.gov", "deputy@example.gov", "head@doa.example.gov"
DAY_RULES = RULES.replace(
    "people:\n",
    "people:\n  deputy@example.gov: {roles: [approver, admin]}\n  hr@example.gov: {roles: [owner]}\n",
).replace("    then: hold\n", "    then: hold\n    cite: 1220.XS2 III.A\n    ask: {any: 2, of: [approver]}\n", 1)
PLAN = str(date.today() + timedelta(days=14))


@dataclass(frozen=True)
class Picture:
    """A picture: its name in docs/console/, the page, who looks at it, how wide, and light or dark."""

    name: str
    place: str
    who: str = APPROVER
    width: int = 1280
    scheme: str = "light"
    whole: bool = True  # else as much as a screen shows


PICTURES = (
    Picture("signin", "/signin", who=""),
    Picture("waiting", "/waiting"),
    Picture("waiting-phone", "/waiting", width=360),
    Picture("review", "/mailings/M-1"),
    Picture("review-phone", "/mailings/M-1", width=360),
    Picture("review-dark", "/mailings/M-1", scheme="dark"),
    Picture("mailings", "/mailings"),
    Picture("recipients", "/mailings/M-1/recipients", whole=False),
    Picture("delivery", "/mailings/M-3/delivery"),
    Picture("requests", "/requests", who=REQUESTER),
    Picture("request", "/requests/R-1"),
    Picture("request-whom", "/requests/new", who=REQUESTER),
    Picture("request-what", "/requests/new/what", who=REQUESTER),
    Picture("request-when", "/requests/new/when", who=REQUESTER),
    Picture("request-rules", "/requests/new/rules", who=REQUESTER),
    Picture("request-check", "/requests/new/check", who=REQUESTER),
    Picture("check", "/check", who=REQUESTER),
    Picture("permits", "/permits"),
    Picture("permit", "/permits/P-1"),
    Picture("exception", "/permits/new"),
    Picture("emergency", "/emergency", who=REQUESTER),
    Picture("suspensions", "/suspensions"),
    Picture("people", "/people", who=ADMIN),
    Picture("health", "/health", who=ADMIN),
    Picture("account", "/account"),
    Picture("accessibility", "/accessibility"),
)


def letter(subject: str, body: str) -> bytes:
    """A message with HTML, a picture from outside and a file."""
    message = EmailMessage()
    message["From"] = "Benefits office <benefits@doa.example.gov>"
    message["Subject"] = subject
    message["Message-ID"] = f"<{subject.split()[0].lower()}@doa.example.gov>"
    message.set_content(body)
    message.add_alternative(
        f'<p>Dear colleagues,</p><p>{body}</p><p>Start here: <a href="https://benefits.example.gov/plans">Benefits '
        'portal</a></p><img src="https://img.example.com/banner.png" alt="banner"><p>Benefits office</p>',
        subtype="html",
    )
    message.add_attachment(b"%PDF-1.4\n", maintype="application", subtype="pdf", filename="plans.pdf")
    return message.as_bytes(policy=SMTP)


def fill(gate: Gate) -> None:
    """A day's work: mailings that wait, are agreed to, are released; requests, permits, a suspension."""
    for subject, number, body in (
        ("Open enrolment starts Monday", 2400, "from 1 to 31 December you can change your health plan for next year."),
        (
            "Survey of field offices",
            3120,
            "each office answers twelve questions about its rooms until Friday.",
        ),
        (
            "Parking behind the hall",
            2310,
            "the lot behind the hall is closed from Thursday until Saturday.",
        ),
    ):
        assert gate.send("benefits@doa.example.gov", people(number), letter(subject, body))[0] == 250
    asked = ("--agency", "DOA", "--sender", "news@doa.example.gov", "--audience", "DOA", "--audience", "DPHHS")
    for subject, users in (("Holiday schedule", "2500"), ("Winter shelter volunteers", "2600")):
        about = ("--subject", subject, "--users", users, "--planned", PLAN, "--purpose", "information")
        gate.cli("request", "submit", *asked, *about, "--by", REQUESTER)
    for by in (APPROVER, ADMIN):
        gate.cli("request", "approve", "R-2", "--by", by, "--reason", "as last year")
        gate.cli("mailing", "approve", "M-3", "--by", by, "--reason", "short and useful")
    gate.cli("mailing", "approve", "M-1", "--by", ADMIN, "--reason", "fine for all staff")
    gate.cli("permit", "emergency", "--agency", "DOA", "--hours", "6", "--reason", "a flood", "--by", REQUESTER)
    gate.cli("suspend", "sender", "loud@doa.example.gov", "--until", PLAN, "--reason", "warned", "--by", APPROVER)


def answer_steps(page: Page, console: str) -> None:
    """The steps of a request, up to its check."""
    page.goto(f"{console}/requests/new")
    for name in ("Administration", "Health"):
        page.get_by_label(name, exact=True).check()
    page.get_by_label("Users that it reaches at most").fill("2400")
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Subject line").fill("Open enrolment")
    page.get_by_label("What it is for").fill("benefits")
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Planned day").fill(PLAN)
    page.get_by_role("button", name="Go on").click()


def signed_in(browser: Browser, gate: Gate, console: str, picture: Picture) -> Page:
    """A page of the person who looks at a picture's page."""
    size = {"width": picture.width, "height": 780}
    page = browser.new_context(viewport=size, color_scheme=picture.scheme).new_page()
    if picture.who:
        link = gate.cli("account", "link", picture.who, "--console", console.partition("//")[2]).stdout.strip()
        page.goto(link)
        page.get_by_role("button", name=f"Sign in as {picture.who}").click()
    return page


def make() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with Gate("maildir:out", rules=DAY_RULES) as gate, console_of(gate) as console, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=["--no-sandbox"])
        fill(gate)
        pages: dict[tuple[str, int, str], Page] = {}
        for picture in PICTURES:
            key = (picture.who, picture.width, picture.scheme)
            if key not in pages:
                pages[key] = signed_in(browser, gate, console, picture)
                if picture.who == REQUESTER:
                    answer_steps(pages[key], console)
            page = pages[key]
            page.set_viewport_size({"width": picture.width, "height": 780})
            page.goto(f"{console}{picture.place}")
            page.wait_for_load_state()
            height = page.evaluate("document.documentElement.scrollHeight") if picture.whole else 780
            page.set_viewport_size({"width": picture.width, "height": height})  # the message is drawn where it is seen
            page.wait_for_timeout(300)
            page.screenshot(path=FOLDER / f"{picture.name}.png")
        browser.close()


if __name__ == "__main__":
    make()
