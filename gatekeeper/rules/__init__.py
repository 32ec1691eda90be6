"""Read and check rules.yaml, judge by the rules, and explain a verdict: rules.yaml -> Ruleset -> Verdict.

Read `judge.py` first, then `fields.py`, the registry of everything that a rule can look at. `language/` reads YAML,
`matching/` compiles conditions and finds the rules that may match, `cases/` reads the cases that rules are tested with.
"""

from __future__ import annotations

from gatekeeper.rules.cases.case_file import Case, expand_recipients, read_cases
from gatekeeper.rules.explain import Explanation, RuleTrace, TestTrace, decision, explain
from gatekeeper.rules.field_kinds import Field
from gatekeeper.rules.fields import FIELDS
from gatekeeper.rules.judge import is_mass, judge, observed
from gatekeeper.rules.language.json_schema import schema
from gatekeeper.rules.language.problems import Problem, RulesetError
from gatekeeper.rules.language.read_peers import parse_peers, peers_schema, read_peers
from gatekeeper.rules.language.reader import (
    at_its_line,
    check_ruleset,
    date_problems,
    date_warnings,
    parse_ruleset,
    read_ruleset,
    scope_notes,
)
from gatekeeper.rules.peers import Peer, Peers
from gatekeeper.rules.permit_coverage import uncovered
from gatekeeper.rules.ruleset import Rule, Ruleset
from gatekeeper.rules.specs import (
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
    Span,
)

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
    "Peer",
    "Peers",
    "Person",
    "Problem",
    "Requests",
    "Rule",
    "RuleTrace",
    "Ruleset",
    "RulesetError",
    "Span",
    "TestTrace",
    "at_its_line",
    "check_ruleset",
    "date_problems",
    "date_warnings",
    "decision",
    "expand_recipients",
    "explain",
    "is_mass",
    "judge",
    "observed",
    "parse_peers",
    "parse_ruleset",
    "peers_schema",
    "read_cases",
    "read_peers",
    "read_ruleset",
    "schema",
    "scope_notes",
    "uncovered",
]
