"""Rules tried on their cases: each message is made, read and judged as the gate would, and what comes of it compared.

Pure but for the files of messages: nothing is sent, counted or kept.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from gatekeeper.lib.immutable import immutable
from gatekeeper.message import read_facts, subject_key
from gatekeeper.model import (
    Audience,
    Client,
    Counts,
    Evidence,
    Facts,
    Permit,
    Recipient,
    Scope,
    Source,
    Standing,
    Suspension,
    Transaction,
)
from gatekeeper.policy.active import Policy
from gatekeeper.policy.evidence import audience_of, source_of
from gatekeeper.rules import Case, Explanation, explain, spread
from gatekeeper.rules.cases.case_standing import Permitted

_A_WEEK = timedelta(days=7)


@immutable
class Tried:
    """A case, what came of it, and how that differs from what was expected."""

    case: Case
    explanation: Explanation
    differences: tuple[str, ...] = ()


def try_case(case: Case, policy: Policy, folder: Path, today: datetime) -> Tried:
    """Judge one case. Args: `folder` is where its message's file is; `today` is aware, for cases that name no time.

    Raises OSError where its message cannot be read.
    """
    transaction = _transaction(case, folder)
    facts = read_facts(transaction.content)
    audience = audience_of(transaction, facts, policy)
    source = source_of(transaction, facts, policy)
    moment, counts = _moment_of_case(case, policy, today), Counts.of(_reached(case, transaction, facts, policy))
    standing = _standing(case, policy, source, moment)
    explanation = explain(policy.ruleset, Evidence(transaction, facts, audience, counts, standing, source), moment)
    return Tried(case, explanation, tuple(_differences(case, explanation)))


def silent_rules(tried: Iterable[Tried], policy: Policy) -> tuple[str, ...]:
    """Rules that match in no case."""
    fired = {trace.rule for each in tried for trace in each.explanation.rules if trace.answer is True}
    return tuple(rule.id for rule in policy.ruleset.rules if rule.id not in fired)


def _moment_of_case(case: Case, policy: Policy, today: datetime) -> datetime:
    zone = policy.ruleset.timezone
    if isinstance(case.at, datetime):
        return case.at
    return datetime.combine(case.at or today.astimezone(zone).date(), time(12), zone)


# -- what was before it ------------------------------------------------------------------------------------------


def _reached(case: Case, transaction: Transaction, facts: Facts, policy: Policy) -> Audience:
    """Whom the mailing has reached with this message."""
    earlier = tuple(map(Recipient, spread(case.reached)))
    return audience_of(replace(transaction, recipients=(*earlier, *transaction.recipients)), facts, policy)


def _standing(case: Case, policy: Policy, source: Source, moment: datetime) -> Standing:
    told = case.standing
    permits = (_permit(f"P-{number}", given, moment) for number, given in enumerate(told.permits, 1))
    suspended = Suspension("S-1", Scope(senders=frozenset({source.mailbox})), "as the case says", moment + _A_WEEK)
    return Standing(
        permits=tuple(permits),
        whole=True,
        suspensions=(suspended,) if told.suspended else (),
        earlier=told.how_many(policy.ruleset.earlier, source.mailbox),
    )


def _permit(id: str, given: Permitted, moment: datetime) -> Permit:
    return Permit(
        id,
        given.rules,
        digests=frozenset(),
        ceiling=given.users,
        agencies=given.agencies,
        until=moment + _A_WEEK,
        kind=given.kind,
        subject=given.subject,
        subject_key=subject_key(given.subject),
        lists=given.lists,
        purpose=given.purpose,
    )


# -- what came of it ---------------------------------------------------------------------------------------------


def _differences(case: Case, explanation: Explanation) -> Iterator[str]:
    verdict, counts, expect = explanation.verdict, explanation.counts, case.expect
    found = {
        "verdict": verdict.action,
        "users": counts.users,
        "external": counts.external,
    }
    for name, value in found.items():
        wanted = getattr(expect, name)
        if wanted is not None and wanted != value:
            yield f"{name}: expected {wanted}, got {value}"
    for name, names in (("rules", verdict.rules), ("agencies", counts.agencies)):
        wanted = getattr(expect, name)
        if wanted is not None and wanted != frozenset(names):
            yield f"{name}: expected {_listed(wanted)}, got {_listed(names)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


# -- messages ----------------------------------------------------------------------------------------------------


def _transaction(case: Case, folder: Path) -> Transaction:
    content = _message_of(folder / case.mail) if case.mail else _made(case)
    sender = case.sender
    if sender is None:
        author = read_facts(content).author
        sender = author[0].address if author else ""
    return Transaction(
        listener=case.listener,
        client=Client(case.client, "client.example.gov", "client.example.gov"),
        sender=sender,
        recipients=tuple(map(Recipient, case.recipients)),
        content=content,
        login=case.login,
        authenticated=case.login is not None,
    )


def _message_of(path: Path) -> bytes:
    return path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _made(case: Case) -> bytes:
    """The message that a case tells of; From and further fields stand in it as they were written."""
    message = EmailMessage()
    message.set_content(case.text)
    for file in case.files:
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        main, _, sub = kind.partition("/")
        message.add_attachment(bytes(file.size), maintype=main, subtype=sub, filename=file.name)
    shown = ",\r\n ".join(spread(case.show)) or "undisclosed-recipients:;"
    fields = {"From": case.author, "To": shown, "Message-ID": "<case@example.gov>"}
    if case.subject is not None:
        fields["Subject"] = case.subject
    head = "".join(f"{name}: {value}\r\n" for name, value in {**fields, **case.header}.items())
    return head.encode() + message.as_bytes(policy=SMTP)
