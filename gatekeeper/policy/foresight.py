"""Says what the gate would do with a message that nobody has sent, and whom a list of addresses reaches.

For `gatekeeper explain` and the console: as the first message of its mailing, as if the ledger were empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from gatekeeper.address import is_valid
from gatekeeper.lib.immutable import immutable
from gatekeeper.message import read_facts
from gatekeeper.model import Counts, Evidence, Facts, Recipient, Standing, Transaction
from gatekeeper.policy.acceptance import CLIENT
from gatekeeper.policy.active import Policy
from gatekeeper.policy.evidence import audience_of, source_of
from gatekeeper.rules import Explanation
from gatekeeper.rules import explain as explain_rules

_WORD = re.compile(r"[^\s,;<>\"'()\[\]\t]+")


def explain_message(
    transaction: Transaction, policy: Policy, now: datetime, planned: Counts | None = None
) -> Explanation:
    """Judge a message as the first of its mailing. Args: `planned` counts, in place of those of its recipients."""
    facts = read_facts(transaction.content)
    audience = audience_of(transaction.addresses, facts, policy)
    source = source_of(transaction, facts, policy)
    nothing = Standing(whole=True, earlier=dict.fromkeys(policy.ruleset.earlier, 0))
    evidence = Evidence(transaction, facts, audience, planned or Counts.of(audience), nothing, source)
    return explain_rules(policy.ruleset, evidence, now)


def written(sender: str, recipients: Iterable[str], content: bytes, login: str | None = None) -> Transaction:
    """Return a message as a transaction that somebody on this machine would begin. Args: `content` has CR LF."""
    return Transaction(
        listener="smtp",
        client=CLIENT,
        sender=sender.strip("<>"),
        recipients=tuple(map(Recipient, recipients)),
        content=content,
        login=login,
        authenticated=login is not None,
    )


def as_smtp(message: bytes) -> bytes:
    """Return the message with CR LF line ends, as SMTP has them (RFC 5321 2.3.8)."""
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@immutable
class Reached:
    """Whom addresses reach, as numbers."""

    users: int
    agencies: dict[str, int]
    external: int
    unknown: int
    given: int  # addresses that were read, each once
    lately: int = 0  # of these people, those whom mailings to many have reached in the last seven days


def count_people(addresses: Iterable[str], policy: Policy) -> tuple[Reached, frozenset[str]]:
    """Count whom addresses reach, lists as their members; return who they are as well.

    Agencies' ids count as nothing: they are no addresses.
    """
    given = sorted({each for each in addresses if is_valid(each)})
    audience = audience_of(given, Facts(), policy)
    counts = Counts.of(audience)
    reached = Reached(counts.users, dict(counts.agencies), counts.external, counts.unresolved, len(given))
    return reached, audience.externals.union(audience.users)


def addresses_in(text: str) -> list[str]:
    """Return the addresses in a text: one a line, a column of a table, or as mail programs write them."""
    found = (word.strip(".:") for word in _WORD.findall(text) if "@" in word)
    return list(dict.fromkeys(each for each in found if is_valid(each)))
