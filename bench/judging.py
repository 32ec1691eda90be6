"""How long judging one message takes by a compiled set of 200 rules: `python -m bench.judging`.

The rules are what a large organisation has: many ask for mass mail first, others for the subject, files or links. Of
each kind of message the best and the median of many rounds are printed, in microseconds of CPU; and the same by the
rules that are shipped, of which the mass mail breaks one.
"""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

from gatekeeper.model import (
    Attachment,
    Audience,
    Client,
    Counts,
    Evidence,
    Facts,
    Mailbox,
    Recipient,
    Source,
    Standing,
    Transaction,
)
from gatekeeper.rules import Ruleset, judge, parse_ruleset, read_ruleset

RULES = 200
ROUNDS, TIMES = 50, 200
KINDS = (
    "{{users: {{over: {n}00}}, agencies: {{over: 1}}}}, then: hold",
    "{{mass: true, subject: {{like: '*offer {n}*'}}}}, then: warn",
    "{{mass: true, visible: {{over: {n}}}}}, then: warn",
    "{{mass: true, attachment_size: {{over: {n}MB}}}}, then: warn",
    "{{subject: {{matches: 'invoice {n}$'}}}}, then: warn",
    "{{attachment_names: {{like: '*.x{n}'}}}}, then: reject",
    "{{links: {{includes: host{n}.example.org}}}}, then: hold",
    "{{sender: jo{n}@doa.example.gov, people: {{over: 50}}}}, then: hold",
)


def ruleset() -> Ruleset:
    """A set of so many rules."""
    rules = "".join(f"  - {{id: r{n}, when: {KINDS[n % len(KINDS)].format(n=n)}}}\n" for n in range(1, RULES + 1))
    return parse_ruleset(f"version: 1\nrules:\n{rules}", "rules.yaml", Path("."))


def message(users: int, visible: int = 1) -> Evidence:
    """A message with a file and two links, to so many users."""
    facts = Facts(
        size=40_000,
        author=(Mailbox("Jo", "jo@doa.example.gov"),),
        subject="Open enrolment",
        attachments=(Attachment("plan.pdf", "application/pdf", 30_000),),
        links=frozenset({"www.example.gov", "forms.example.org"}),
    )
    sender = "jo@doa.example.gov"
    transaction = Transaction("smtp", Client("192.0.2.7"), sender, (Recipient("a@deq.example.gov"),), b"")
    audience = Audience(recipients=min(users, 50), visible=visible)
    return Evidence(transaction, facts, audience, Counts(users, 0, {"DOA": users}), Standing(), Source(sender))


def measure(rules: Ruleset, evidence: Evidence) -> list[float]:
    """Microseconds of CPU for one judgment, a round each, sorted."""
    now, found = datetime(2026, 6, 1, tzinfo=UTC), []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in range(TIMES):
            judge(rules, evidence, now)
        found.append((time.process_time() - begin) / TIMES * 1e6)
    return sorted(found)


def main() -> None:
    """Measure and print."""
    for rules in (ruleset(), read_ruleset(Path(__file__).parents[1] / "rules.yaml")):
        for name, evidence in (("ordinary, to one", message(1)), ("mass, to 300", message(300))):
            found, many = measure(rules, evidence), len(rules.rules)
            print(f"{name:20} best {found[0]:6.1f} us   median {statistics.median(found):6.1f} us   {many} rules")


if __name__ == "__main__":
    main()
