"""Gatekeeper: a mail gate that counts whom each mailing reaches, and relays, holds or rejects mail by written rules.

This module is the public API: the names in `__all__`. Everything else in the package may change from version to
version.

Judge one message by a rules file:

    >>> from datetime import UTC, datetime
    >>> from pathlib import Path
    >>> from gatekeeper import *
    >>> ruleset = read_ruleset(Path("rules.yaml"))
    >>> sender, content = "head@doa.example.gov", b"From: head@doa.example.gov\\r\\nSubject: Hi\\r\\n\\r\\nHello\\r\\n"
    >>> users = {f"user{n}@{agency}.example.gov": agency.upper() for n in range(1500) for agency in ("doa", "deq")}
    >>> message = Transaction("smtp", Client("192.0.2.1"), sender, tuple(map(Recipient, users)), content)
    >>> audience = Audience(users, recipients=len(users))
    >>> source = Source(sender, authenticated=True, agency="DOA")
    >>> evidence = Evidence(message, read_facts(content), audience, Counts.of(audience), Standing(whole=True), source)
    >>> verdict = judge(ruleset, evidence, datetime(2026, 3, 2, 12, tzinfo=UTC))
    >>> print(verdict.action, *verdict.rules)
    hold approval

`judge` is pure: the same evidence, ruleset and time always give the same verdict. `explain` returns the verdict with
every rule that led to it. The names are imported when they are first used, so that a command starts no slower for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatekeeper.lib import __version__ as __version__

if TYPE_CHECKING:
    from gatekeeper.message import read_facts
    from gatekeeper.model import (
        Action,
        Attachment,
        Audience,
        Client,
        Counts,
        EarlierMailings,
        Evidence,
        Facts,
        Likeness,
        ListReach,
        Mailbox,
        Permit,
        Reason,
        Recipient,
        Scope,
        Source,
        Standing,
        Suspension,
        TextLikeness,
        Transaction,
        Verdict,
        WatchedList,
    )
    from gatekeeper.rules import Explanation, Ruleset, RulesetError, explain, judge, read_ruleset

__all__ = [
    "Action",
    "Attachment",
    "Audience",
    "Client",
    "Counts",
    "EarlierMailings",
    "Evidence",
    "Explanation",
    "Facts",
    "Likeness",
    "ListReach",
    "Mailbox",
    "Permit",
    "Reason",
    "Recipient",
    "Ruleset",
    "RulesetError",
    "Scope",
    "Source",
    "Standing",
    "Suspension",
    "TextLikeness",
    "Transaction",
    "Verdict",
    "WatchedList",
    "explain",
    "judge",
    "read_facts",
    "read_ruleset",
]

_OF_RULES = ("Explanation", "Ruleset", "RulesetError", "explain", "judge", "read_ruleset")
_MODULES = {"read_facts": "gatekeeper.message"} | dict.fromkeys(_OF_RULES, "gatekeeper.rules")


def __getattr__(name: str) -> Any:
    """Import a name of the public API when it is first used. Raises AttributeError for any other name."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_MODULES.get(name, "gatekeeper.model")), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
