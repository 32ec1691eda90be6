"""rules.yaml -> Ruleset -> Verdict: read, check, judge, explain.

Start with `judge.py`; `fields.py` is the registry of what a rule can look at.
"""

from __future__ import annotations

from .cases import Case, read_cases, spread
from .check import check_ruleset, date_problems, date_warnings, parse_ruleset, read_ruleset, scope_notes
from .explain import Explanation, RuleTrace, TestTrace, decision, explain
from .fields import FIELDS
from .judge import is_mass, judge, observed
from .kinds import Field
from .permits import uncovered
from .problems import Problem, RulesetError
from .ruleset import (
    Agency,
    Ask,
    AskSome,
    AskTerm,
    AuditRules,
    ConsentSource,
    DirectorySpec,
    During,
    Gather,
    Held,
    ListSpec,
    MailingRules,
    Person,
    Requests,
    Rule,
    Ruleset,
    Span,
)
from .schema import schema

__all__ = [
    "FIELDS",
    "Agency",
    "Ask",
    "AskSome",
    "AskTerm",
    "AuditRules",
    "Case",
    "ConsentSource",
    "DirectorySpec",
    "During",
    "Explanation",
    "Field",
    "Gather",
    "Held",
    "ListSpec",
    "MailingRules",
    "Person",
    "Problem",
    "Requests",
    "Rule",
    "RuleTrace",
    "Ruleset",
    "RulesetError",
    "Span",
    "TestTrace",
    "check_ruleset",
    "date_problems",
    "date_warnings",
    "decision",
    "explain",
    "is_mass",
    "judge",
    "observed",
    "parse_ruleset",
    "read_cases",
    "read_ruleset",
    "schema",
    "scope_notes",
    "spread",
    "uncovered",
]
