"""`gatekeeper rules check` and `rules test`, as people, CI and code hosts read them."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta

import pytest
from click.testing import CliRunner

from gatekeeper.cli import main
from gatekeeper.rules import read_cases, read_ruleset
from tests.peers.gate import RULES
from tests.rules.making import HEAD, ROOT


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str):
    return CliRunner().invoke(main, ["rules", *words])


def rules(*lines: str, head: str = HEAD) -> str:
    return head + "rules:\n" + "".join(f"  - {line}\n" for line in lines)


# -- check -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            rules(
                "{id: most, then: reject, when: {users: {over: 100}}}",
                "{id: some, then: hold, when: {users: {over: 200}, visible: {over: 5}}}",
            ),
            "rules.yaml:12:5: warning: rule some decides nothing: most in line 11 matches whenever it",
        ),
        (
            rules("{id: a, then: hold, when: {mass: true}}", "{id: b, then: hold, when: {mass: true, subject: x}}"),
            "rule b decides nothing: a in line 11 matches whenever it does, and asks for the same",
        ),
        (rules("{id: a, then: hold, when: {consented: false}}"), "a asks for consented, and consent does not say"),
        (
            rules("{id: a, then: hold, when: {reach: {of: x@example.gov, over: 1}}}"),
            "asks for the reach of x@example.gov",
        ),
        (
            rules("{id: a, then: hold, when: {reach: {of: x@example.gov, over: 1}}}"),
            "nobody knows a list of that address",
        ),
        (rules("{id: a, then: hold, when: {sender_group: press}}"), "asks for the group press, which nothing declares"),
        (rules(head=HEAD + "requests: {calendar: XX}\n") + "  []\n", "no calendar of that country"),
        (
            rules(head=HEAD.replace("[deq.example.gov]", "[deq.doa.example.gov]")) + "  []\n",
            "domain deq.doa.example.gov of DEQ lies below *.doa.example.gov of DOA: it is DEQ's",
        ),
        (
            rules(head=HEAD + "review: 2020-01-01\n") + "  []\n",
            "rules.yaml:10:1: warning: the review date of these rules has",
        ),
        (
            rules(head=HEAD.replace("{members: [a@deq.example.gov], ", "{file: gone.txt, ")) + "  []\n",
            "gone.txt: no such file",
        ),
        (rules(head=HEAD.replace("members: [a@deq.example.gov]", "members: []")) + "  []\n", "has no file"),
        (rules("{id: a, then: warn, when: {subject: {matches: '(a)\\1'}}}"), "expected a regular expression of RE2"),
        (
            rules("{id: a, then: hold, when: {users: {under: 5}}}"),
            "under beside users: expected over or at_least; users grows",
        ),
        (rules("{id: a, then: hold, ask: admin, when: {mass: true}}"), "asks admin, a role that nobody"),
    ],
)
def test_a_check_says_what_is_wrong_or_good_to_know_and_where(home, text, told):
    (home / "rules.yaml").write_text(text)
    result = run("check")
    assert told in result.output and "rules.yaml" in result.output


def test_nothing_is_shadowed_that_asks_others_or_holds_at_times(home):
    (home / "rules.yaml").write_text(
        rules(
            "{id: a, then: hold, when: {users: {over: 100}}}",
            "{id: b, then: hold, ask: cio@example.gov, when: {users: {over: 200}}}",
            "{id: c, then: warn, when: {visible: {over: 5}}}",
            "{id: d, then: reject, when: {mass: true}, unless: {subject: x}}",
            "{id: e, then: warn, when: {mass: true}}",
        )
    )
    assert run("check").output == "rules.yaml: good\n"


def test_exit_codes_fit_pre_commit(home):
    (home / "good.yaml").write_text(RULES)
    (home / "bad.yaml").write_text("version: 2\n")
    (home / "warned.yaml").write_text(f"review: {date.today() + timedelta(days=3)}\n" + RULES)
    assert run("check", "good.yaml").exit_code == run("check", "warned.yaml").exit_code == 0
    assert run("check", "good.yaml", "bad.yaml").exit_code == 65
    assert run("check", "--strict", "warned.yaml").exit_code == 65
    assert run("check", "good.yaml", "none.yaml").exit_code == 66


def test_the_formats_of_a_check(home):
    (home / "rules.yaml").write_text(HEAD.replace("head:", "haed:") + "rules: []\n")
    text = "unknown key 'haed' (did you mean head?)"
    (problem,) = json.loads(run("check", "--format", "json").stdout)
    assert problem == {"file": "rules.yaml", "line": 3, "column": 80, "text": text, "severity": "error"}
    assert json.loads(run("check", "--json").stdout) == [problem]
    assert run("check", "--format", "github").output == f"::error file=rules.yaml,line=3,col=80::{text}\n"
    (finding,) = json.loads(run("check", "--format", "gitlab").stdout)
    assert (finding["severity"], finding["location"]) == ("critical", {"path": "rules.yaml", "lines": {"begin": 3}})


# -- test --------------------------------------------------------------------------------------------------------

CASES = """\
cases:
  - name: few pass
    to: {number: 3, at: [doa.example.gov, dphhs.example.gov]}
    expect: {verdict: relay, rules: [], users: 3, external: 0, agencies: [DOA, DPHHS]}
  - name: without a subject
    cite: C9
    mail: hello.eml
    to: {number: 300, at: example.org}
    expect: {verdict: reject, rules: [subject], users: 0, external: 300}
  - name: with a file
    to: {number: 300, at: doa.example.gov}
    show: ann@doa.example.gov
    attachments: [plan.pdf, {name: b.zip, size: 2MB}]
    expect: {verdict: warn, rules: [attachments]}
"""


@pytest.fixture
def tried(home):
    (home / "rules.yaml").write_text(RULES)
    (home / "rules.test.yaml").write_text(CASES)
    (home / "hello.eml").write_bytes(b"From: jo@doa.example.gov\n\nHello\n")
    return home


def test_cases_that_come_out_as_expected(tried):
    result = run("test")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "rules.test.yaml:1:1: warning: no case fires rule approval",
        "rules.test.yaml:1:1: warning: no case fires rule blind-copy",
        "rules.test.yaml: 3 cases, 0 failed",
    ]
    assert run("test", "rules.yaml").output == run("test", "rules.test.yaml").output == result.output


def test_cases_that_do_not(tried):
    (tried / "rules.test.yaml").write_text(CASES.replace("users: 3", "users: 4").replace("[attachments]", "[subject]"))
    result = run("test")
    assert result.exit_code == 65
    assert "rules.test.yaml:2:5: few pass: users: expected 4, got 3\n" in result.output
    assert "rules.test.yaml:10:5: with a file: rules: expected subject, got attachments\n" in result.output
    document = json.loads(run("test", "--json").stdout)
    assert [case["passed"] for case in document["cases"]] == [False, True, False]
    assert document["silent"] == ["approval", "blind-copy"] and document["cases"][1]["verdict"] == "reject"
    assert "::error file=rules.test.yaml,line=2,col=5::few pass" in run("test", "--format", "github").output


LARGE = "to: {number: 1200, at: [doa.example.gov, dphhs.example.gov]}"
REST = f"{LARGE}, reached: {{number: 1200, at: [dphhs.example.gov, doa.example.gov]}}"
PERMIT = "{rules: [approval], users: 2400}"


@pytest.mark.parametrize(
    ("case", "expect"),
    [
        (LARGE, "{verdict: relay, users: 1200}"),
        (REST, "{verdict: hold, rules: [approval], users: 2400}"),
        (f"{REST}, standing: {{permits: {PERMIT}}}", "{verdict: relay, users: 2400}"),
        (f"{REST}, standing: {{permits: {PERMIT.replace('2400', '2399')}}}", "{verdict: hold}"),
        (
            f"{REST}, standing: {{permits: {PERMIT.replace('users: 2400', 'subject: Enrolment')}}}",
            "{verdict: hold}",
        ),
        (
            f"{REST}, subject: ENROLMENT, standing: {{permits: {{rules: [approval], subject: Enrolment}}}}",
            "{verdict: relay}",
        ),
        (f"{LARGE}, standing: {{suspended: true}}", "{verdict: reject}"),
        ("to: a@doa.example.gov, standing: {suspended: true}", "{verdict: relay}"),
        (f"{LARGE}, standing: {{earlier: {{ago: 6d}}}}", "{verdict: warn, rules: [often]}"),
        (f"{LARGE}, standing: {{earlier: {{ago: 7d}}}}", "{verdict: relay}"),
        (f"{LARGE}, standing: {{earlier: {{ago: 6d, sender: jo@doa.example.gov}}}}", "{verdict: relay}"),
    ],
)
def test_a_case_says_what_was_before_its_message(tried, case, expect):
    """Clauses M1, C10, T4: what earlier messages reached, permits, suspensions, earlier mailings."""
    often = "  - {id: often, when: {mass: true, earlier: {within: 7d, at_least: 1}}, then: warn}\n"
    (tried / "rules.yaml").write_text(RULES + often)
    (tried / "rules.test.yaml").write_text(f"cases:\n  - {{name: it, {case}, expect: {expect}}}\n")
    result = run("test")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("cases", "code", "told"),
    [
        ("cases: [{name: a, to: x@example.gov}]", 65, "rules.test.yaml:1:9: expect missing"),
        (
            "cases: [{name: a, to: x@example.gov, expect: {rules: [sbuject]}}]",
            65,
            "'sbuject': expected the id of a rule",
        ),
        ("cases: [{name: a, to: x, expect: {verdict: hold}}]", 65, "expected an address"),
        ("cases: [{name: a, to: x@example.gov, expect: {}}]", 65, "nothing is expected"),
        (
            "cases: [{name: a, to: x@example.gov, mail: a.eml, subject: b, expect: {users: 1}}]",
            65,
            "subject beside mail",
        ),
        ("cases: [{name: a, to: x@example.gov, mail: a.eml, expect: {users: 1}}]", 66, "a.eml: No such file"),
        ("cases: [", 65, "rules.test.yaml:"),
        ("cases: [{name: a, to: {number: 2000000, at: x.org}, expect: {users: 1}}]", 65, "from 1 to 1000000"),
        ("cases: [{name: a, to: x@x.org, attachments: {name: a, size: 1GB}, expect: {users: 1}}]", 65, "at most 100MB"),
        (
            "cases: [{name: a, to: x@x.org, standing: {permits: {rules: aproval}}, expect: {users: 1}}]",
            65,
            "'aproval': expected the id of a rule",
        ),
        ("cases: [{name: a, to: x@x.org, standing: {earlier: {to: DOA}}, expect: {users: 1}}]", 65, "ago missing"),
        ("", 65, "expected cases"),
    ],
)
def test_cases_that_cannot_be_tried_say_why(tried, cases, code, told):
    (tried / "rules.test.yaml").write_text(cases)
    result = run("test")
    assert (result.exit_code, told in result.stderr) == (code, True), result.stderr


def test_a_ruleset_without_cases_says_so(tried):
    (tried / "rules.test.yaml").unlink()
    assert run("test").exit_code == 66


# -- what is shipped ---------------------------------------------------------------------------------------------

SHIPPED = [ROOT / "rules.yaml", *sorted((ROOT / "examples").glob("*/rules.yaml"))]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_a_shipped_ruleset_is_good_and_its_cases_fire_every_rule(path):
    check = json.loads(run("check", str(path), "--json").stdout)
    to_mend = [problem["text"] for problem in check if problem["severity"] != "note"]
    assert [text for text in to_mend if "review date" not in text] == []
    result = run("test", str(path), "--json")
    document = json.loads(result.stdout)
    assert [case["name"] for case in document["cases"] if not case["passed"]] == [], result.output
    assert document["silent"] == []


def test_the_schema_that_the_modeline_names_is_the_one_that_is_printed():
    assert json.loads((ROOT / "rules.schema.json").read_text()) == json.loads(run("schema").stdout)
    for path in SHIPPED:
        first = path.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=")
        assert (path.parent / first.partition("$schema=")[2]).resolve() == ROOT / "rules.schema.json"


CLAUSES = {"1220-xs2": "M", "social-media": "S", "212-police": "C", "university": "T", "5450-schools": "D"}


@pytest.mark.parametrize("name", CLAUSES)
def test_an_example_cites_its_own_policy_alone(name):
    folder = ROOT / "examples" / name
    texts = [(folder / file).read_text() for file in ("rules.yaml", "rules.test.yaml")]
    cited = [line.partition("cite:")[2] for text in texts for line in text.splitlines() if "cite:" in line]
    clauses = {clause for cite in cited for clause in re.findall(r"\b[MSCTD][0-9]+\b", cite)}
    assert clauses and {clause[0] for clause in clauses} == {CLAUSES[name]}
    if name == "social-media":  # it governs tools, not mail: no reply to a sender cites it
        assert "cite:" not in texts[0]
    others = "".join(CLAUSES.values()).replace(CLAUSES[name], "")
    assert not re.findall(rf"\b[{others}][0-9]+\b", "".join(texts))
    titles = [read_ruleset(path).title for path in SHIPPED]
    assert len(set(titles)) == len(SHIPPED) == 6


def test_every_clause_that_a_rule_cites_has_a_case():
    for path in SHIPPED[1:]:
        cases = {case.cite for case in read_cases(path.with_name("rules.test.yaml"), read_ruleset(path))}
        for rule in read_ruleset(path).rules:
            assert not rule.cite or rule.cite.rpartition(" ")[2] in cases, (path, rule.id)


def test_a_check_says_what_a_scope_rests_on(home):
    """Clause M9: without a login, the excepted agency is known by addresses that anybody can write."""
    (home / "rules.yaml").write_text(RULES.replace("rules:\n", "scope: {except: [DOA]}\nrules:\n", 1))
    result = run("check", "--strict")
    line = RULES[: RULES.index("rules:\n")].count("\n") + 1
    assert f"rules.yaml:{line}:1: note: scope: where the gate knows no login, senders of DOA" in result.output
    assert result.output.endswith("rules.yaml: good\n") and result.exit_code == 0
    assert json.loads(run("check", "--json").stdout)[-1]["severity"] == "note"
    assert f"::notice file=rules.yaml,line={line}" in run("check", "--format", "github").output


def test_a_check_warns_of_a_directory_with_addresses_in_a_subdomain_that_nobody_declared(home):
    lists = "lists: {board@example.net: {members: [ann@lab.dphhs.example.gov, bob@lab.dphhs.example.gov]}}\n"
    (home / "rules.yaml").write_text(RULES.replace("rules:\n", f"{lists}rules:\n", 1))
    told = "ann@lab.dphhs.example.gov and 1 more: nobody declared lab.dphhs.example.gov"
    assert told in run("check").output
    (home / "rules.yaml").write_text(RULES.replace("rules:\n", f"outside: [lab.dphhs.example.gov]\n{lists}rules:\n", 1))
    assert told not in run("check").output
