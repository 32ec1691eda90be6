"""`gatekeeper demo`: send sample messages through a running gate by SMTP."""

from __future__ import annotations

import smtplib
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from typing import Any

import click
from prometheus_client.samples import Sample as MetricSample

from gatekeeper.cli.commands.explain import policy_at
from gatekeeper.cli.common import UNAVAILABLE, USAGE, Failure, json_option, print_json, setting_options, settings_of
from gatekeeper.cli.table import table
from gatekeeper.lib.immutable import immutable
from gatekeeper.ops.running_metrics import read_metrics
from gatekeeper.rules import Ruleset
from gatekeeper.settings import Settings, SettingsError

_COUNTED_SECONDS = 3.0  # until a refusal is in the metrics
MASS, OVER = 300, 2400  # recipients: enough for mass mail; more than an agency may reach without approval (policy M1)


@immutable
class Sample:
    """One message of the sample day."""

    title: str
    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage


@immutable
class Answer:
    """The gate's reply to a sample message, and the rules that matched by the gate's counters."""

    sample: Sample
    code: int
    text: str
    rules: dict[str, str]  # id -> action

    @property
    def verdict(self) -> str:
        """The verdict, read from the reply code; a warning shows only in the action of a rule."""
        if self.code >= 400:
            return "reject" if self.code >= 500 else "defer"
        if "Held for approval" in self.text:
            return "hold"
        return "warn" if "warn" in self.rules.values() else "relay"


@click.command()
@setting_options("listen", "ops", "rules", "console", "public_url")
@click.option("--really", is_flag=True, help="also through a gate that relays to a mail server: the samples leave")
@json_option
def demo(really: bool, as_json: bool, **given: Any) -> None:
    """Send a day's sample messages through the running gate, and show the verdict of each."""
    settings = settings_of(given)
    if not really:
        _check_next_hop(settings)
    ruleset = policy_at(settings.judging.rules).ruleset
    answers = [_send(sample, settings) for sample in _sample_day(_domains(ruleset))]
    if as_json:
        print_json([_document(answer) for answer in answers])
        return
    _print(answers, settings)


# -- the sample day ----------------------------------------------------------------------------------------------


def _domains(ruleset: Ruleset) -> tuple[str, str]:
    """Return a domain of each of two agencies that the rules cover."""
    found = [
        agency.domains[0].replace("*.", "mail.")
        for id, agency in ruleset.agencies.items()
        if agency.domains and id not in ruleset.scope_except
    ]
    if len(found) < 2:
        raise Failure("the sample day needs two agencies with domains under agencies in rules.yaml", UNAVAILABLE)
    return found[0], found[1]


def _sample_day(domains: tuple[str, str]) -> Iterator[Sample]:
    tag = f"{int(time.time()) % 1_000_000}"  # so that messages of a second run do not join the mailings of the first
    many, more = _users(MASS, domains), _users(OVER, domains)

    def sample(title: str, name: str, people: tuple[str, ...], subject: str | None, to: str = "") -> Sample:
        sender = f"{name}-{tag}@{domains[0]}"
        return Sample(title, sender, people, _message(sender, to, subject and f"{subject} ({tag})"))

    yield sample("ordinary mail", "clerk", (f"colleague@{domains[1]}",), "Lunch on Friday", f"colleague@{domains[1]}")
    yield sample("mass mail without a subject", "hasty", many, None)
    yield sample("mass mail with a visible list", "open", many, "Office closing early", ", ".join(many))
    attached = sample("mass mail with an attachment", "filer", many, "The new form")
    attached.message.add_attachment(b"%PDF-1.4\n", maintype="application", subtype="pdf", filename="form.pdf")
    yield attached
    yield sample("mass mail over both limits", "deputy", more, "Open enrolment")


def _users(number: int, domains: tuple[str, str]) -> tuple[str, ...]:
    return tuple(f"user{index}@{domains[index % 2]}" for index in range(number))


def _message(sender: str, to: str, subject: str | None) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to or "undisclosed-recipients:;"
    if subject is not None:
        message["Subject"] = subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=sender.partition("@")[2])
    message.set_content(f"Hello,\n\nthis is a message of Gatekeeper's sample day, about {subject or 'nothing'}.\n")
    return message


# -- through the gate --------------------------------------------------------------------------------------------


def _send(sample: Sample, settings: Settings) -> Answer:
    before = _rule_hits(settings)
    code, text = _transaction(sample, settings)
    after = _rule_hits(settings)
    return Answer(
        sample,
        code,
        text,
        {rule: action for rule, action in after if after[rule, action] > before.get((rule, action), 0)},
    )


def _transaction(sample: Sample, settings: Settings) -> tuple[int, str]:
    listen = settings.listening.listen
    try:
        with smtplib.SMTP(listen.host, listen.port, timeout=60) as client:
            client.ehlo()
            code, text = client.mail(sample.sender)
            for recipient in sample.recipients if code < 400 else ():
                code, text = client.rcpt(recipient)
                if code >= 400:
                    break
            if code < 400:
                code, text = client.data(sample.message.as_bytes(policy=SMTP))
            return code, text.decode("ascii", "replace")
    except smtplib.SMTPResponseException as error:
        return error.smtp_code, str(error.smtp_error)
    except OSError as error:
        raise _no_gate(settings, error) from None


def _no_gate(settings: Settings, error: OSError) -> Failure:
    text = f"no gate at {settings.listening.listen}: {_cause(error)}; start one with `gatekeeper serve`"
    return Failure(text, UNAVAILABLE)


def _check_next_hop(settings: Settings) -> None:
    """Raise Failure where the sample messages may reach somebody."""
    kinds = [one.labels["kind"] for one in _metrics(settings) if one.name == "gatekeeper_next_hop_info"]
    if kinds != ["maildir"]:
        where = f"{kinds[0]}:" if kinds else "a place that it does not tell (--ops)"
        raise Failure(
            f"the gate at {settings.listening.listen} relays to {where}: expected one with --next-hop maildir:DIR; "
            "--really sends the samples all the same",
            USAGE,
        )
    if not _is_one_gate(settings):
        raise Failure(
            f"what answers at {settings.listening.listen} is not the gate at {settings.ops.ops}, where mail goes to a "
            "maildir: expected --listen and --ops of one gate; --really sends the samples all the same",
            USAGE,
        )


def _is_one_gate(settings: Settings) -> bool:
    """Return True where --listen and --ops are of one gate: it counts what is refused of a command that is none."""
    before, listen = _refusals(settings), settings.listening.listen
    try:  # a gate that has no connection left counts that, and what is no SMTP counts nothing
        with suppress(smtplib.SMTPException), smtplib.SMTP(listen.host, listen.port, timeout=60) as client:
            client.ehlo()
            client.docmd("MAIL", "FROM:no-address")
    except OSError as error:
        raise _no_gate(settings, error) from None
    until = time.monotonic() + _COUNTED_SECONDS
    while (counted := _refusals(settings)) <= before and time.monotonic() < until:
        time.sleep(0.1)  # with --workers, one process asks the others
    return counted > before


def _refusals(settings: Settings) -> float:
    return sum(one.value for one in _metrics(settings) if one.name == "gatekeeper_refused_total")


def _rule_hits(settings: Settings) -> dict[tuple[str, str], float]:
    """Return how often each pair of rule and action matched, from the gate's metrics; empty where --ops is off."""
    return {
        (one.labels["rule"], one.labels["action"]): one.value
        for one in _metrics(settings)
        if one.name == "gatekeeper_rule_hits_total"
    }


def _metrics(settings: Settings) -> list[MetricSample]:
    """Return what the gate's metrics say; nothing where --ops is off."""
    ops = settings.ops.ops
    if ops is None:
        return []
    try:
        return read_metrics(ops)
    except OSError as error:
        raise Failure(
            f"no metrics at http://{ops}: {_cause(error)}; start `gatekeeper serve`, or name its --ops",
            UNAVAILABLE,
        ) from None


def _cause(error: OSError) -> str:
    reason = getattr(error, "reason", error)  # urllib.error.URLError has the cause in `reason`
    return str(getattr(reason, "strerror", None) or reason)


# -- what is shown -----------------------------------------------------------------------------------------------


def _document(answer: Answer) -> dict[str, Any]:
    return {
        "sent": answer.sample.title,
        "sender": answer.sample.sender,
        "recipients": len(answer.sample.recipients),
        "verdict": answer.verdict,
        "rules": sorted(answer.rules),
        "reply": f"{answer.code} {answer.text}",
    }


def _row(answer: Answer) -> tuple[object, ...]:
    rules, reply = ", ".join(sorted(answer.rules)) or "-", f"{answer.code} {answer.text}"
    return answer.sample.title, len(answer.sample.recipients), answer.verdict, rules, reply


def _print(answers: list[Answer], settings: Settings) -> None:
    for line in table([("sent", "rcpt", "verdict", "rules", "reply"), *map(_row, answers)]):
        click.echo(line)
    if any(answer.verdict == "hold" for answer in answers):
        click.echo("\nwhat is held:   gatekeeper mailing list --state held")
        click.echo("to decide it:   gatekeeper mailing approve M-... --by an-approver-of-rules.yaml")
        url = _console(settings)
        click.echo(f"in a browser:   {url}/waiting" if url else "in a browser:   no console runs here (--console)")


def _console(settings: Settings) -> str:
    """Return the address of the console that runs; "" where none does."""
    if settings.console is None:
        return ""
    try:
        url = settings.console_url
        with urllib.request.urlopen(f"http://{settings.console}/livez", timeout=5):
            return url
    except urllib.error.HTTPError:
        return url  # it is there, for another host
    except (SettingsError, OSError):
        return ""
