"""Try a ruleset on its cases: make each message, read and judge it as the gate would, and compare the verdict.

Pure but for reading files of messages: nothing is sent, counted or stored.
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
from gatekeeper.rules import Case, Explanation, expand_recipients, explain
from gatekeeper.rules.cases.case_standing import Permitted

_A_WEEK = timedelta(days=7)


@immutable
class CaseResult:
    """One case, its explanation, and the differences from what the case expects."""

    case: Case
    explanation: Explanation
    differences: tuple[str, ...] = ()


def run_case(case: Case, policy: Policy, folder: Path, today: datetime) -> CaseResult:
    """Judge one case and return its result.

    Args: `folder` has the case's message file; `today` is an aware datetime, used for cases that name no time. Raises
    OSError where the message cannot be read.
    """
    transaction = _transaction(case, folder)
    facts = read_facts(transaction.content)
    audience = audience_of(transaction.addresses, facts, policy)
    source = source_of(transaction, facts, policy)
    moment = _moment_of_case(case, policy, today)
    counts = _counts(case, _reached(case, transaction, facts, policy), policy)
    standing = _standing(case, policy, source, moment)
    explanation = explain(policy.ruleset, Evidence(transaction, facts, audience, counts, standing, source), moment)
    return CaseResult(case, explanation, tuple(_differences(case, explanation)))


def unmatched_rules(results: Iterable[CaseResult], policy: Policy) -> tuple[str, ...]:
    """Return the ids of rules that match in no case."""
    fired = {trace.rule for each in results for trace in each.explanation.rules if trace.answer is True}
    return tuple(rule.id for rule in policy.ruleset.rules if rule.id not in fired)


def _moment_of_case(case: Case, policy: Policy, today: datetime) -> datetime:
    zone = policy.ruleset.timezone
    if isinstance(case.at, datetime):
        return case.at
    return datetime.combine(case.at or today.astimezone(zone).date(), time(12), zone)


def _counts(case: Case, reached: Audience, policy: Policy) -> Counts:
    """Return the counts of the case's mailing, and what its origin has reached by all of its mailings."""
    own = Counts.of(reached)
    numbers = {"sender_people": own.people, "sender_agencies": len(own.agencies)}
    before = case.standing.sent
    sent = {query: numbers.get(query.field, own.users) for query in policy.ruleset.sent}
    of_people = {query: number + before for query, number in sent.items() if query.field != "sender_agencies"}
    return replace(own, sent=sent | of_people)


# -- the standing before the message -----------------------------------------------------------------------------


def _reached(case: Case, transaction: Transaction, facts: Facts, policy: Policy) -> Audience:
    """Return whom the mailing has reached, this message included."""
    earlier = expand_recipients(case.reached)
    return audience_of((*earlier, *transaction.addresses), facts, policy)


def _standing(case: Case, policy: Policy, source: Source, moment: datetime) -> Standing:
    expected = case.standing
    permits = (_permit(f"P-{number}", given, moment) for number, given in enumerate(expected.permits, 1))
    suspended = Suspension("S-1", Scope(senders=frozenset({source.mailbox})), "as the case says", moment + _A_WEEK)
    return Standing(
        permits=tuple(permits),
        whole=True,
        suspensions=(suspended,) if expected.suspended else (),
        earlier=expected.how_many(policy.ruleset.earlier, source.mailbox),
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


# -- differences -------------------------------------------------------------------------------------------------


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
    content = _message_of(folder / case.mail) if case.mail else _build_message(case)
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


def _build_message(case: Case) -> bytes:
    """Build the message that a case describes; From and further fields are put in exactly as written."""
    message = EmailMessage()
    message.set_content(case.text)
    for file in case.files:
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        main, _, sub = kind.partition("/")
        message.add_attachment(bytes(file.size), maintype=main, subtype=sub, filename=file.name)
    shown = ",\r\n ".join(expand_recipients(case.show)) or "undisclosed-recipients:;"
    fields = {"From": case.author, "To": shown, "Message-ID": "<case@example.gov>"}
    if case.subject is not None:
        fields["Subject"] = case.subject
    head = "".join(f"{name}: {value}\r\n" for name, value in {**fields, **case.header}.items())
    return head.encode() + message.as_bytes(policy=SMTP)
