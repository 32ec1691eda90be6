"""The judge against a naive evaluator: the same verdict for every ruleset and message that hypothesis makes up.

The evaluator works on plain dictionaries as a person would read the rules, and shares no code with the package.
"""

from __future__ import annotations

import fnmatch
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.model import Evidence, ListReach
from gatekeeper.rules import explain, judge
from tests.rules.making import NOW, attached, evidence, ruleset

UNKNOWN = "unknown"
SEVERITY = ["relay", "warn", "defer", "hold", "reject"]
COUNTS = ("users", "external", "people", "unresolved", "unlisted", "unconsented")  # of the last two, None is unknown
LIST = "all-staff@example.gov"
NUMBERS = ("visible", "recipients", "size", "attachments")
UNAVAILABLE = ("suspended", "purpose")

# -- the naive evaluator -----------------------------------------------------------------------------------------


def value_of(message: dict[str, Any], field: str) -> Any:
    if field in UNAVAILABLE:
        return UNKNOWN
    if field == "people":
        return message["users"] + message["external"]
    if field == "mass":
        return message["users"] + message["external"] > 200
    if field == "attachments":
        return len(message["names"])
    if field in ("unlisted", "unconsented", "from_problem"):
        return UNKNOWN if message[field] is None else message[field]
    if field == "from_allowed":
        return UNKNOWN if message["from_problem"] is None else message["from_problem"] == ""
    if field == "consented":
        return UNKNOWN if message["unconsented"] is None else message["unconsented"] == 0
    if field == "sender_group":
        return message["groups"]
    return message["names"] if field == "attachment_names" else message[field]


def reached(share: tuple[int, int] | None, test: dict[str, Any]) -> Any:
    """Of a list of which so many of so many members are reached."""
    if share is None or test["of"] != LIST:
        return UNKNOWN
    word = "over" if "over" in test else "at_least"
    number, members = share
    if isinstance(test[word], str):
        number, bound = number * 100, int(test[word].removesuffix("%")) * members
    else:
        bound = test[word]
    return members > 0 and (number > bound if word == "over" else number >= bound)


def one_test(value: Any, word: str, operand: Any) -> Any:
    if value == UNKNOWN:
        return UNKNOWN
    if word == "missing":
        return (value is None or value in ("", [])) == operand
    size = len(value) if isinstance(value, list) else value
    if word in ("over", "under", "at_least", "at_most"):
        return {
            "over": size > operand,
            "under": size < operand,
            "at_least": size >= operand,
            "at_most": size <= operand,
        }[word]
    if isinstance(value, int):
        return value == operand if word == "equal" else value in operand
    names = value if isinstance(value, list) else [value] if value else []
    if word == "matches":
        return any(re.search(operand, name) for name in names)
    names = [name.lower() for name in names]
    wanted = [text.lower() for text in (operand if isinstance(operand, list) else [operand])]
    if word == "like":
        return any(fnmatch.fnmatchcase(name, text) for name in names for text in wanted)
    if word == "only":
        return bool(names) and all(name in wanted for name in names)
    return any(name in wanted for name in names)


def both(answers: list[Any]) -> Any:
    return False if False in answers else UNKNOWN if UNKNOWN in answers else True


def opposite(answer: Any) -> Any:
    return answer if answer == UNKNOWN else not answer


def holds(condition: dict[str, Any], message: dict[str, Any]) -> Any:
    answers = []
    for key, value in condition.items():
        if key == "all":
            answers.append(both([holds(part, message) for part in value]))
        elif key == "any":
            answers.append(opposite(both([opposite(holds(part, message)) for part in value])))
        elif key == "not":
            answers.append(opposite(holds(value, message)))
        elif key == "reach":
            answers.append(reached(message["reach"], value))
        elif isinstance(value, dict):
            answers += [one_test(value_of(message, key), word, operand) for word, operand in value.items()]
        else:
            answers.append(one_test(value_of(message, key), "equal", value))
    return both(answers)


def naive(rules: list[dict[str, Any]], message: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    reasons = []
    mass = value_of(message, "mass")
    for rule in rules:
        answer = holds(rule["when"], message)
        if "unless" in rule:
            answer = both([answer, opposite(holds(rule["unless"], message))])
        if answer == UNKNOWN and rule["then"] not in ("relay", "warn"):
            reasons.append((rule["id"], "hold" if mass else "defer"))
        elif answer is True or (answer == UNKNOWN and rule["then"] == "warn"):
            reasons.append((rule["id"], rule["then"]))
    return max((action for _, action in reasons), key=SEVERITY.index, default="relay"), reasons


# -- what is made up ---------------------------------------------------------------------------------------------

small = st.integers(0, 4)
bounds = st.sampled_from(["over", "at_least"])
any_bounds = st.sampled_from(["over", "at_least", "under", "at_most"])
subjects = st.sampled_from(["Open", "closed", "OPEN now"])
names = st.sampled_from(["a.pdf", "B.EXE", "c.pdf"])
globs = st.sampled_from(["open*", "*ed", "?pen", "*", "*e*n*", "closed", "x*"])
expressions = st.sampled_from(["^O", "(?i)open", "ed$", "^$", "n.{0,3}", "x|[.]pdf", "[.]EXE$"])
agencies = st.sampled_from(["DOA", "DEQ"])
groups = st.sampled_from(["press", "contractors"])


def pair(key: Any, value: Any) -> Any:
    return st.tuples(key, value).map(lambda both: {both[0]: both[1]})


def test_of(fields: tuple[str, ...], tests: Any) -> Any:
    return pair(st.sampled_from(fields), tests)


test_of.__test__ = False  # type: ignore[attr-defined]

steady = st.one_of(
    test_of(NUMBERS, st.one_of(small, pair(any_bounds, small), pair(st.just("in"), st.lists(small, min_size=1)))),
    test_of(("subject",), st.one_of(subjects, pair(st.just("in"), st.lists(subjects, min_size=1)))),
    test_of(("subject", "attachment_names"), pair(st.just("missing"), st.booleans())),
    test_of(("subject",), pair(st.just("like"), globs)),
    test_of(("subject", "attachment_names"), pair(st.just("matches"), expressions)),
    test_of(("attachment_names",), pair(st.sampled_from(["includes", "only", "in"]), st.lists(names, min_size=1))),
    test_of(("attachment_names",), pair(any_bounds, small)),
    test_of(("attachment_names",), pair(st.just("like"), st.sampled_from(["*.exe", "*"]))),
    test_of((*UNAVAILABLE, "from_allowed"), st.booleans()),
    test_of(("from_problem",), st.one_of(pair(st.just("missing"), st.booleans()), st.just("not yours"))),
    test_of(("sender_group",), st.one_of(groups, pair(st.just("includes"), st.lists(groups, min_size=1)))),
)
shares = st.one_of(small, st.sampled_from(["1%", "7%", "50%", "100%"]))
growing = st.one_of(
    test_of(COUNTS, pair(bounds, st.sampled_from([0, 1, 2, 150, 200, 201]))),
    test_of(("agencies",), st.one_of(pair(bounds, small), pair(st.just("includes"), agencies))),
    st.just({"mass": True}),
    st.just({"consented": False}),
    st.tuples(st.sampled_from([LIST, "others@example.gov"]), bounds, shares).map(
        lambda each: {"reach": {"of": each[0], each[1]: each[2]}}
    ),
)


def combined(tests: Any, turned: Any) -> Any:
    """Conditions of those tests; under `not` only of those that may be turned."""
    return st.recursive(
        tests,
        lambda inner: st.one_of(
            pair(st.sampled_from(["any", "all"]), st.lists(inner, min_size=1, max_size=3)),
            st.tuples(inner, inner).map(lambda both: {**both[0], **both[1]}),
            turned.map(lambda part: {"not": part}),
        ),
        max_leaves=6,
    )


turnable = combined(st.one_of(steady, st.just({"consented": True})), steady)
conditions = combined(st.one_of(steady, growing), turnable)
made_rules = st.lists(
    st.fixed_dictionaries({"when": conditions, "then": st.sampled_from(SEVERITY)}, optional={"unless": turnable}),
    max_size=5,
).map(lambda rules: [{"id": f"r{number}", **rule} for number, rule in enumerate(rules)])
likes = st.one_of(pair(st.just("like"), globs), pair(st.just("matches"), expressions))
flags = {"mass": st.just(True), "from_allowed": st.just(False)}
much_alike = st.one_of(
    st.fixed_dictionaries({"subject": likes}, optional=flags),
    st.fixed_dictionaries({"attachment_names": likes}, optional=flags),
    st.fixed_dictionaries({}, optional={**flags, "subject": likes, "visible": pair(bounds, small)}),
    st.fixed_dictionaries({}, optional={**flags, "sender_group": groups, "users": pair(bounds, small)}),
)
rules_much_alike = st.lists(
    st.tuples(st.sampled_from(["warn", "hold", "reject"]), much_alike), min_size=6, max_size=16
).map(
    lambda rules: [
        {"id": f"r{number}", "when": {"size": {"at_most": 4}, **asked}, "then": action}
        for number, (action, asked) in enumerate(rules)
    ]
)
messages = st.fixed_dictionaries(
    {
        "users": st.sampled_from([0, 1, 2, 3, 199, 200, 201]),
        "external": small,
        "unresolved": small,
        "agencies": st.lists(agencies, unique=True),
        "visible": small,
        "recipients": small,
        "size": small,
        "subject": st.one_of(st.none(), subjects),
        "names": st.lists(names, max_size=3),
        "unlisted": st.one_of(st.none(), small),
        "unconsented": st.one_of(st.none(), small),
        "reach": st.one_of(st.none(), st.tuples(st.integers(0, 3), st.integers(3, 4)), st.just((0, 0))),
        "groups": st.lists(groups, unique=True),
        "from_problem": st.sampled_from([None, "", "not yours"]),
    }
)


def evidence_of(message: dict[str, Any]) -> Evidence:
    seen = {**message, "agencies": dict.fromkeys(message["agencies"], 1)}
    seen["attachments"] = attached(*seen.pop("names"))
    seen["reach"] = {} if message["reach"] is None else {LIST: ListReach(*message["reach"])}
    return evidence(**seen)


def compare(rules: list[dict[str, Any]], message: dict[str, Any]) -> None:
    read = ruleset("".join(f"  - {json.dumps(rule)}\n" for rule in rules) or "  []\n")
    given_evidence = evidence_of(message)
    verdict = judge(read, given_evidence, NOW)
    assert (str(verdict.action), [(reason.rule, str(reason.action)) for reason in verdict.reasons]) == naive(
        rules, message
    )
    told = {trace.rule: trace.result for trace in explain(read, given_evidence, NOW).rules}
    words = {True: "matched", False: "not", UNKNOWN: "unknown"}
    for rule in rules:
        unless = opposite(holds(rule["unless"], message)) if "unless" in rule else True
        assert told[rule["id"]] == words[both([holds(rule["when"], message), unless])]


@settings(max_examples=300, deadline=None)
@given(made_rules, messages)
def test_the_judge_agrees_with_a_naive_evaluator(rules, message):
    compare(rules, message)


@settings(max_examples=80, deadline=None)
@given(rules_much_alike, messages)
def test_rules_that_share_what_they_ask_are_found_as_if_each_were_asked(rules, message):
    """Those of which one look tells that they do not match are passed over, many at one go."""
    compare(rules, message)


@pytest.mark.soak
@settings(max_examples=20_000, deadline=None)
@given(st.one_of(made_rules, rules_much_alike), messages)
def test_the_judge_agrees_for_long(rules, message):
    compare(rules, message)


@settings(max_examples=200, deadline=None)
@given(conditions, messages, small, st.integers(0, 300), st.lists(agencies))
def test_what_matched_a_mailing_matches_it_still_when_it_has_grown(condition, message, external, users, more):
    """What grows cannot turn a yes into a no in mid-mailing."""
    grown = dict(message)
    grown.update(users=message["users"] + users, external=message["external"] + external)
    grown["agencies"] = sorted({*message["agencies"], *more})
    for field in ("unlisted", "unconsented"):
        grown[field] = None if message[field] is None else message[field] + external
    if message["reach"] is not None:
        number, members = message["reach"]
        grown["reach"] = (min(members, number + external), members)
    rules = ruleset(f"  - {json.dumps({'id': 'only', 'when': condition, 'then': 'warn'})}\n")
    answers = []
    for each in (message, grown):
        answers.append(explain(rules, evidence_of(each), NOW).rules[0].result)
    assert answers[0] != "matched" or answers[1] == "matched"
