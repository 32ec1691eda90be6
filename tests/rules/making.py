"""Rulesets and evidence for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatekeeper.model import (
    Attachment,
    Audience,
    Client,
    Counts,
    Evidence,
    Facts,
    ListReach,
    Mailbox,
    Permit,
    Recipient,
    Source,
    Standing,
    Transaction,
    Verdict,
)
from gatekeeper.rules import Problem, Ruleset, check_ruleset, judge, parse_ruleset

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HEAD = """\
version: 1
agencies:
  DOA: {name: Administration, domains: [doa.example.gov, "*.doa.example.gov"], head: head@doa.example.gov}
  DEQ: {name: Environment, domains: [deq.example.gov]}
lists:
  all-staff@example.gov: {members: [a@deq.example.gov], owner: hr}
people:
  cio@example.gov: {roles: [approver, auditor], final: true}
  hr-head@example.gov: {roles: [owner], of: [hr]}
"""


def ruleset(rules: str, head: str = HEAD) -> Ruleset:
    """A ruleset of rules in YAML, below agencies DOA and DEQ, a list and two people."""
    return parse_ruleset(f"{head}rules:\n{rules}", "rules.yaml", Path("."))


def one(when: str, then: str = "hold", more: str = "") -> Ruleset:
    """A ruleset of one rule, with the id `only`."""
    return ruleset(f"  - {{id: only, when: {when}, then: {then}{', ' + more if more else ''}}}\n")


def check(text: str) -> tuple[Problem, ...]:
    """Errors and warnings of a whole file."""
    return check_ruleset(text, "rules.yaml", Path("."))


def errors(when: str, more: str = "") -> list[str]:
    """What is wrong with a rule of that condition."""
    text = f"{HEAD}rules:\n  - {{id: only, then: hold, when: {when}{', ' + more if more else ''}}}\n"
    return [problem.text for problem in check(text) if not problem.warning]


def evidence(
    *,
    users: int = 1,
    external: int = 0,
    agencies: dict[str, int] | None = None,
    lists: frozenset[str] = frozenset(),
    unresolved: int = 0,
    visible: int = 1,
    recipients: int = 1,
    listener: str = "smtp",
    client: str = "192.0.2.7",
    sender: str = "head@doa.example.gov",
    mail_from: str | None = None,
    login: str | None = None,
    agency: str | None = "DOA",
    covered: bool = True,
    standing: Standing | None = None,
    unlisted: int | None = None,
    unconsented: int | None = None,
    reach: dict[str, ListReach] | None = None,
    groups: Sequence[str] = (),
    from_problem: str | None = None,
    **facts: Any,
) -> Evidence:
    """A small message from head@doa.example.gov to one user, but for what is given."""
    facts.setdefault("subject", "Open enrolment")
    facts.setdefault("author", (Mailbox("", sender),))
    transaction = Transaction(
        listener,
        Client(client),
        sender if mail_from is None else mail_from,
        (Recipient("a@deq.example.gov"),),
        b"",
        login=login,
    )
    return Evidence(
        transaction,
        Facts(**facts),
        Audience(recipients=recipients, visible=visible),
        Counts(
            users,
            external,
            {"DEQ": users} if agencies is None else agencies,
            lists,
            unresolved,
            unlisted,
            unconsented,
            reach or {},
        ),
        standing or Standing(),
        Source(
            sender,
            agency=agency,
            covered=covered,
            groups=tuple(groups),
            from_problem=from_problem,
            names=(sender,),
            proven=True,
        ),
    )


def attached(*names: str, size: int = 1000) -> tuple[Attachment, ...]:
    """Attachments of those names."""
    return tuple(Attachment(name, "application/pdf", size) for name in names)


def permit(**changes: Any) -> Permit:
    """A permit P-3 for rule `only`, of 2400 users, for a year."""
    values: dict[str, Any] = {
        "id": "P-3",
        "rules": frozenset({"only"}),
        "digests": frozenset(),
        "ceiling": 2400,
        "agencies": frozenset(),
        "until": datetime(2026, 12, 31, tzinfo=UTC),
    }
    return Permit(**{**values, **changes})


def verdict(rules: Ruleset, **given: Any) -> Verdict:
    """What the ruleset says of that evidence in June 2026."""
    return judge(rules, evidence(**given), NOW)


def matched(when: str, more: str = "", **given: Any) -> bool:
    """Whether a rule of that condition matches."""
    return verdict(one(when, more=more), **given).rules == ("only",)
