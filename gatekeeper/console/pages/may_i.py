"""Answer "may I send this?": a message and whom it reaches are judged, and nothing is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.address import is_valid
from gatekeeper.console.desk import Desk
from gatekeeper.console.forms import Form
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import SIGNED_IN, Given, PageRoute, agency_names, checked_form, visitor_of
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.policy.foresight import addresses_in, as_smtp, explain_message, written
from gatekeeper.rules import Explanation


def check(desk: Desk, request: Request) -> Response:
    """Show the form."""
    return _check(desk, request)


def _check(desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    by, ruleset = visitor_of(desk, request).address, ledger_for(desk, request).ruleset
    given, errors = Given(more.pop("given", {"sender": by})), Given(more.pop("errors", {}))
    options: dict[str, Any] = {"lists": sorted(ruleset.lists), "names": agency_names(desk, request), "found": None}
    return page(desk, request, "check.html", status, **{**options, "given": given, "errors": errors, **more})


def answer(desk: Desk, request: Request) -> Response:
    """Judge what was given, and say what would become of it."""
    form = checked_form(desk, request)[1]
    sender, errors = form.get("sender", "").strip(), {}
    text = form.get("addresses", "") + "\n" + form.files.get("people", b"").decode("utf-8", "replace")
    recipients = [*form.all("list"), *addresses_in(text)]
    if not is_valid(sender):
        errors["sender"] = _("Write the address that sends it, such as you@example.gov.")
    if not recipients:
        errors["addresses"] = _("Say whom it reaches: paste addresses, upload a file with them, or choose lists.")
    policy = desk.policy()
    if policy is None:
        errors["form"] = _("The directory cannot be read here, so nothing can be judged: send it to find out.")
    if errors or policy is None:
        return _check(desk, request, 422, given=form, errors=errors, chosen=form.all("list"))
    now = datetime.fromtimestamp(desk.signins.clock(), UTC)
    found = explain_message(written(sender, recipients, _message(form, sender)), policy, now)
    return _check(desk, request, given=form, found=found, shown=_shown(found), chosen=form.all("list"))


def _message(form: Form, sender: str) -> bytes:
    """Return the message that was uploaded, or one of the subject and text that were typed."""
    if "file" in form.files:
        return as_smtp(form.files["file"])
    message = EmailMessage()
    message["From"] = sender
    if subject := " ".join(form.get("subject", "").split()):
        message["Subject"] = subject
    message.set_content(form.get("text", "") or "-")
    return message.as_bytes(policy=SMTP)


def _shown(found: Explanation) -> tuple[str, str]:
    """Return in a line what would become of the message, and what to do."""
    return {
        "relay": (_("You may send this"), _("It would be sent.")),
        "warn": (_("You may send this, but note what follows"), _("It would be sent, with a warning.")),
        "hold": (_("This needs approval"), _("Ask before you send it, or send it and wait for the decision.")),
        "defer": (_("This cannot be told now"), _("A rule asks what is not known now: try again later.")),
        "reject": (_("Do not send this as it is"), _("It would be refused. Put right what follows, then check again.")),
    }[found.verdict.action.value]


ROUTES = (
    PageRoute("/check", "GET", check, SIGNED_IN, "may I send this?"),
    PageRoute("/check", "POST", answer, SIGNED_IN, "judges a message, and keeps nothing", uploads=True),
)
