"""Broken rules files: each error with its line, its column and what was expected, all of them at once."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import pytest

from gatekeeper.rules import RulesetError, parse_ruleset, read_ruleset
from tests.rules.making import ROOT, check

# The line that is wrong stands among these, as line 4; other errors of the file are on its own lines.
BEFORE = """\
version: 1
agencies: {DOA: {name: Administration, domains: [doa.example.gov]}}
people: {cio@example.gov: {roles: [approver]}}
"""
RULES = "rules:\n  - id: a\n    when: {users: {over: 1}}\n    then: hold\n"


def top(line: str) -> str:
    return BEFORE + line + "\n" + RULES


def rule(line: str) -> str:
    """A file whose line 8 is the given one, a key of the rule."""
    return BEFORE + RULES + "    " + line + "\n"


def when(condition: str) -> str:
    """A file whose line 6 holds the condition, from column 11 on."""
    return BEFORE + f"rules:\n  - id: a\n    when: {condition}\n    then: hold\n"


BROKEN = [
    # YAML itself
    ("", 1, 1, "the file is empty"),
    ("# only a remark\n", 1, 1, "the file is empty"),
    ("just text\n", 1, 1, "a single value here: expected a rules file"),
    ("- a\n- b\n", 1, 1, "a list here: expected a rules file"),
    (top("title: a: b"), 4, 9, "a colon with a space after it"),
    (top("domains: [*.example.gov]"), 4, 11, "text that begins with * needs quotes"),
    (top("title: @home"), 4, 8, "text that begins with @ needs quotes"),
    (top("title: 'never closed"), 9, 1, "a quote that is opened and never closed"),
    (top("domains: [a.example.gov"), 5, 6, "a [ or { that is opened and never closed"),
    (top("scope:\n\texcept: [DOA]"), 5, 1, "a tab: indent with spaces"),
    (rule("say: {users} users"), 8, 10, "text that begins with { needs quotes"),
    (rule("say: {users}"), 8, 10, "text that begins with { needs quotes"),
    (top("title: !!python/name:os.system x"), 4, 8, "expected a plain value"),
    (top("title: one") + "---\nversion: 1\n", 9, 1, "a second document"),
    (top("<<: {title: x}"), 4, 1, "merge key"),
    (top("scope: &s {except: *s}"), 4, 20, "refers to what it is part of"),
    (top("title: \x07"), 4, 8, "control character U+0007"),
    (top("rules: " + "[" * 60), 4, 47, "nested more than 40 deep"),
    # keys
    (top("titel: x"), 4, 1, "did you mean title?"),
    (top("version: 1"), 4, 1, "again: it stands in line 1"),
    (top("mailing: {whitin: 24h}"), 4, 11, "did you mean within?"),
    (top("held: {remind: 2 working days, remind: 1h}"), 4, 32, "again: it stands in line 4"),
    (rule("cites: M1"), 8, 5, "did you mean cite?"),
    ("version: 1\n", 1, 1, "rules missing"),
    ("rules: []\n", 1, 1, "version missing"),
    ("version: 2\nrules: []\n", 1, 10, "expected 1"),
    (BEFORE + "rules:\n  - id: a\n    then: hold\n", 5, 5, "when missing"),
    (BEFORE + "rules: {a: b}\n", 4, 8, "expected a list of rules"),
    (BEFORE + RULES + "  - id: a\n    when: {size: {over: 1MB}}\n    then: warn\n", 8, 9, "rule a again"),
    # values
    (top("effective: 01/01/2026"), 4, 12, "write year, month and day as in 2026-12-31"),
    (top("review: 2026-02-30"), 4, 9, "no such day: the last one of that month is 2026-02-28"),
    (top("timezone: America/Dever"), 4, 11, "did you mean America/Denver?"),
    (top("timezone: America"), 4, 11, "expected a time zone"),
    (top("title:"), 4, 7, "nothing stands here: expected a text"),
    (top("title: [a, b]"), 4, 8, "a list here: expected a text"),
    (top("domains: [not a domain]"), 4, 11, "expected a domain"),
    (top('domains: ["*.OnMicrosoft.com"]'), 4, 11, "everybody's names are there: write yours"),
    (top("domains: [onmicrosoft.us]"), 4, 11, "such as example.onmicrosoft.us"),
    (top("scope: {except: [DOB]}"), 4, 18, "did you mean DOA?"),
    (top("directory: [{csv: a.csv, aliases: b}]"), 4, 13, "expected exactly one of"),
    (top("directory: [{csv: a.csv, base: b}]"), 4, 13, "base beside csv: expected complete, age only"),
    (top("directory: [{ldap: 'ldaps://h'}]"), 4, 13, "ldap without base"),
    (
        top("directory: [{sql: 'sqlite:///a', query: q, base: b}]"),
        4,
        13,
        "base beside sql: expected complete, age, query",
    ),
    (top("directory: [{csv: a.csv, query: b}]"), 4, 13, "query beside csv"),
    (top("directory: [{entra: t}]"), 4, 13, "entra without client"),
    (top("directory: [{entra: t, client: c}]"), 4, 13, "expected exactly one of secret_file, certificate_file"),
    (top("directory: [{entra: 't/../x', client: c, secret_file: s}]"), 4, 13, "expected a domain of the tenant"),
    (top("directory: [{entra: t, client: c, secret_file: s, server: 'http://h'}]"), 4, 13, "expected https://"),
    (top("directory: [{google: t, subject: a@example.gov}]"), 4, 13, "google without key_file"),
    (top("directory: [{google: t, subject: a, key_file: k, login: 'https://h'}]"), 4, 13, "login beside google"),
    (top("directory: [{google: t, subject: a, key_file: k, agencies: {x: DOB}}]"), 4, 64, "did you mean DOA?"),
    (top("directory: [{csv: a.csv, enabled: true}]"), 4, 13, "enabled beside csv"),
    (top("lists: {staff: {owner: hr}}"), 4, 9, "expected an address"),
    (top("lists: {a@example.gov: {file: a, members: [b@example.gov]}}"), 4, 24, "file and members together"),
    (top("lists: {a@example.gov: {owner: hr}, A@example.gov: {owner: hr}}"), 4, 37, "again, in another spelling"),
    (top("mailing: {source: agencies}"), 4, 19, "expected sender or agency"),
    (top("mailing: {within: 1 fortnight}"), 4, 19, "expected a length of time"),
    (top("mailing: {within: 0s}"), 4, 19, "expected a length of time"),
    (top("mailing: {gather: {at: [50], from: 20}}"), 4, 19, "at and from together"),
    (top("mailing: {gather: {quiet: 10m, limit: 5m}}"), 4, 19, "quiet is longer than limit"),
    (top("mailing: {gather: maybe}"), 4, 19, "expected {at: [50, 100]"),
    (top("mailing: {separate: [{}]}"), 4, 22, "network missing: expected the address of a sender, or {network: "),
    (top("mailing: {separate: [{networks: 192.0.2.1}]}"), 4, 23, "did you mean network?"),
    (top("mailing: {separate: [192.0.2.1]}"), 4, 22, "expected an address, such as "),
    (top("requests: {calendar: Montana}"), 4, 22, "expected a country with its state"),
    (
        top("requests: {holidays: {add: [2026-01-02], remove: [2026-01-02]}}"),
        4,
        22,
        "2026-01-02 in add and in remove",
    ),
    (top("people: {a@b.example.gov: {roles: [admin], asked: when needed}}"), 4, 27, "expected it for an owner"),
    (top("people: {a@b.example.gov: {roles: [admin], delegate: {to: c@d.example.gov}}}"), 4, 54, "until missing"),
    (top("held: {escalate: {after: 1h, to: boss}}"), 4, 34, "'boss': expected a role"),
    (top("requests: {notice: soon}"), 4, 20, "expected a length of time, such as 5 working days"),
    (top("mass: {size: {over: 1MB}}"), 4, 15, "over of size under mass: expected users"),
    (top("mass: {people: 200}"), 4, 16, "write people: {over: 200}"),
    (top("mass: {not: {people: {over: 200}}}"), 4, 8, "not under mass"),
    (top("define: {users: {size: 1}}"), 4, 10, "expected a name that is not that of a field"),
    (top("define: {x: y, y: x}"), 4, 19, "define x refers to itself"),
    # rules
    (rule("then: holds"), 8, 5, "again: it stands in line 7"),
    (BEFORE + "rules:\n  - {id: a b, when: {users: {over: 1}}, then: hold}\n", 5, 10, "expected a word"),
    (BEFORE + "rules:\n  - {id: a, when: {users: {over: 1}}, then: refuse}\n", 5, 45, "expected one of relay, warn"),
    (rule("ask: aprover"), 8, 10, "did you mean approver?"),
    (rule("ask: agencies.DOB.head"), 8, 10, "did you mean DOA?"),
    (rule("ask: {any: 2, of: [cio@example.gov]}"), 8, 10, "expected no more than there are"),
    (rule("ask: {any: 0, of: [approver]}"), 8, 16, "expected a whole number of at least 1"),
    (rule("during: {from: 2026-02-01, until: 2026-01-01}"), 8, 13, "until is not after from"),
    (rule("during: {since: 2026-02-01}"), 8, 14, "expected one of from, until"),
    (rule("mode: watch"), 8, 11, "expected enforce or observe"),
    (rule("repair: blind"), 5, 5, "expected it beside then: warn"),
    (rule("say: Reaches {user} people"), 8, 10, "did you mean users?"),
    (rule("say: Reaches {reach} of them"), 8, 10, "unknown placeholder {reach}"),
    (rule("say: a brace } alone"), 8, 10, "expected }} where the sender shall read }"),
    # conditions
    (when("[users]"), 6, 11, "a list here: expected conditions"),
    (when("{}"), 6, 11, "expected conditions"),
    (when("{user: {over: 1}}"), 6, 12, "did you mean users?"),
    (when("{users: {over: many}}"), 6, 26, "expected a whole number"),
    (when("{users: {over: -1}}"), 6, 26, "expected a whole number"),
    (when("{users: {above: 1}}"), 6, 20, "'above' is no test of users"),
    (when("{users: {over: 1, over: 2}}"), 6, 29, "again: it stands in line 6"),
    (when("{users: {}}"), 6, 19, "no test of users"),
    (when("{size: {over: big}}"), 6, 25, "expected a size"),
    (when("{subject: [a, b]}"), 6, 21, "a list beside subject"),
    (when("{subject: {in: []}}"), 6, 26, "an empty list"),
    (when('{subject: {matches: "("}}'), 6, 31, "expected a regular expression"),
    (when("{subject: {over: 3}}"), 6, 22, "'over' is no test of subject"),
    (when("{agencies: {includes: DOB}}"), 6, 33, "did you mean DOA?"),
    (when("{network: {in: [192.0.2.0/33]}}"), 6, 27, "expected a network"),
    (when("{listener: lmtp}"), 6, 22, "expected smtp or milter"),
    (when("{any: {users: {over: 1}}}"), 6, 17, "expected a list of conditions under any"),
    (when("{everybody: true}"), 6, 12, "unknown field"),
    (when("everybody"), 6, 11, "or the name of a define"),
    (when("{mass: false}"), 6, 18, "expected true"),
    (when("{reach: {of: a@example.gov}}"), 6, 19, "expected one of over and at_least"),
    (when("{earlier: {within: 7d, at_least: 0}}"), 6, 44, "expected a whole number of at least 1"),
]


@pytest.mark.parametrize(("text", "line", "column", "told"), BROKEN)
def test_a_broken_file(text, line, column, told):
    found = [problem for problem in check(text) if not problem.warning]
    assert [(line, column)] == [(p.line, p.column) for p in found if told in p.text], [str(p) for p in found]


def test_there_are_enough_of_them():
    assert len(BROKEN) >= 40


def test_all_errors_are_told_at_once_in_the_order_of_the_file():
    head = "version: 1\ntitel: x\nreview: never\n"
    text = f"{head}rules:\n  - {{id: a, then: hold}}\n  - {{id: a, when: {{user: 1}}, then: hold}}\n"
    with pytest.raises(RulesetError) as raised:
        parse_ruleset(text, "my.yaml", Path("."))
    assert [(p.line, p.column) for p in raised.value.problems] == [(2, 1), (3, 9), (5, 5), (6, 10), (6, 20)]
    assert str(raised.value).splitlines()[1] == "my.yaml:3:9: 'never': expected a day, such as 2026-12-31"


# -- what grows ---------------------------------------------------------------------------------------

GROWING = ("users", "external", "people", "unresolved", "agencies", "lists")
FLIPPING = ("under: 5", "at_most: 5", "in: [5]")
SETS = ("only: [DOA]", "missing: true", "in: [DOA]")


def test_a_key_that_is_there_twice_hides_no_other_error():
    found = check(
        top("define:\ndefine: {big: {size: {over: 1MB}}}\nagencies: {DEQ: {name: x}}\nscope: {except: [DEQ, D]}")
    )
    assert [(problem.line, problem.column) for problem in found if not problem.warning] == [
        (4, 8),
        (5, 1),
        (6, 1),
        (7, 23),
    ]


@pytest.mark.parametrize("field", GROWING)
@pytest.mark.parametrize("test", FLIPPING)
def test_a_test_that_would_flip_is_refused(field, test):
    found = check(when(f"{{{field}: {{{test}}}}}"))
    assert any("mid-mailing" in problem.text for problem in found), found


@pytest.mark.parametrize("test", SETS)
def test_a_test_of_agencies_that_would_flip_is_refused(test):
    assert any("mid-mailing" in problem.text for problem in check(when(f"{{agencies: {{{test}}}}}")))


@pytest.mark.parametrize("field", GROWING)
def test_a_growing_count_is_not_compared_for_equality(field):
    assert any("{over: 5}" in problem.text for problem in check(when(f"{{{field}: 5}}")))


@pytest.mark.parametrize(
    "condition",
    [
        "{not: {users: {over: 5}}}",
        "{not: [{size: 1}, {users: {over: 5}}]}",
        "{not: {any: [{not: {users: {over: 5}}}]}}",
        "{not: big}",
        "{not: {mass: true}}",
        "{not: {reach: {of: a@example.gov, at_least: 80%}}}",
    ],
)
def test_nothing_that_grows_is_turned_round(condition):
    text = when(condition) + "define: {big: {users: {over: 5}}}\n"
    assert any("under not: it grows" in problem.text for problem in check(text))


@pytest.mark.parametrize("condition", ["{users: {over: 5}}", "{mass: true}", "big", "{big: true}"])
def test_nothing_that_grows_takes_a_match_back(condition):
    text = rule(f"unless: {condition}") + "define: {big: {users: {over: 5}}}\n"
    assert any("under unless: it grows" in problem.text for problem in check(text))


def test_counts_of_one_message_do_not_grow():
    assert not check(when("{not: {visible: {over: 5}}, recipients: {under: 9}, attachments: 0}"))


# -- bytes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("version: 1\ntitle: Stra\xdfe\n".encode("latin-1"), ":2:12: octet 0xdf is not UTF-8"),
        ("version: 1\n".encode("utf-16"), ":1:1: the file is UTF-16"),
        (b"#" * 20_000_000, ":1:1: the file has more than"),
    ],
)
def test_a_file_in_other_bytes(tmp_path, content, place):
    path = tmp_path / "rules.yaml"
    path.write_bytes(content)
    with pytest.raises(RulesetError, match=r"rules\.yaml" + place):
        read_ruleset(path)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    text = (ROOT / "rules.yaml").read_text(encoding="utf-8")
    path = tmp_path / "rules.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    read = read_ruleset(path)
    assert [rule.id for rule in read.rules][:4] == ["approval", "subject", "blind-copy", "attachments"]
    assert read.folder == tmp_path


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_ruleset(tmp_path / "rules.yaml")


# -- files made to hurt ------------------------------------------------------------------------------------------

ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
DEFINES = (
    "version: 1\ndefine:\n  d0: {size: 1}\n"
    + "".join(f"  d{i}: {{any: [{', '.join([f'd{i - 1}'] * 9)}]}}\n" for i in range(1, 9))
    + "rules: [{id: a, when: d8, then: hold}]\n"
)
CHAIN = "version: 1\ndefine:\n  d0: {size: 1}\n" + "".join(f"  d{i}: {{not: d{i - 1}}}\n" for i in range(1, 2000))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ALIASES, "once aliases are written out"),
        (DEFINES, "once defines are written out"),
        (CHAIN, "defines within defines"),
        ("[" * 100_000, "nested more than"),
        ("- " * 100_000, "nested more than"),
        ("{a: " * 100_000, "nested more than"),
        ("".join(f"key{i}: x\n" for i in range(20_000)), "too many problems"),
        ("title: " + "9" * 400_000 + "\nversion: " + "9" * 50_000, "expected 1"),
        ("x" * 600_000, "expected a rules file"),
    ],
)
def test_a_file_made_to_hurt_is_an_error_in_no_time(text, told):
    begin = time.process_time()
    assert any(told in problem.text for problem in check(text))
    assert time.process_time() - begin < 10 * _an_ordinary_reading()


@cache
def _an_ordinary_reading() -> float:
    """Seconds that a sound file of 200 kB takes here and now."""
    line = "  - {id: r%d, when: {mass: true, subject: {like: '*a%d*'}}, then: warn, say: 'No {users}.'}\n"
    text = "version: 1\nrules:\n" + "".join(line % (number, number) for number in range(2200))
    begin = time.process_time()
    assert not check(text)
    return time.process_time() - begin
