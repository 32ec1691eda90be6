"""Directories that are servers: SQLite, Postgres, a real slapd; what stands while they are down, and for how long."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from gatekeeper.directory.loaders import server_cache
from gatekeeper.directory.loaders.load import load, unchanged
from gatekeeper.directory.loaders.server_cache import ServerAnswer, ServerCopies, SourceDown
from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.directory.snapshot import Directory
from gatekeeper.message import read_facts
from gatekeeper.model import Action, Client, Counts, Evidence, Recipient, Standing, Transaction
from gatekeeper.policy.active import Policy
from gatekeeper.policy.evidence import audience_of, source_of
from gatekeeper.rules import judge, parse_ruleset
from tests.peers.slapd import PASSWORD, READER, SUFFIX, Slapd
from tests.rules.making import NOW

HEAD = """\
version: 1
agencies:
  DOA: {name: Administration, domains: [doa.example.gov]}
  TAX: {name: Taxes, domains: [tax.example.gov]}
domains: [example.gov]
"""
ROWS = [
    ("jo@doa.example.gov", "jo@doa.example.gov", "", "press"),
    ("jo.doe@example.gov", "jo@doa.example.gov", "", ""),
    ("ann@contractor.example.org", "E17", "TAX", "contractors night"),
    ("bob@tax.example.gov", None, "UNKNOWN", None),
    ("not an address", "", "", ""),
]


class Clock:
    """A clock that a test sets, and the copies of this test alone."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.copies = ServerCopies(clock=lambda: self.now)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def read(folder: Path, source: str, clock: Clock) -> Directory:
    return load(parse_ruleset(f"{HEAD}directory: [{source}]\nrules: []\n", "rules.yaml", folder), clock.copies)


def told(here: Directory) -> list[object]:
    return [
        here.user("jo.doe@example.gov"),
        here.agency_of("ann@contractor.example.org"),
        here.groups_of("ann@contractor.example.org"),
        here.groups_of("jo.doe@example.gov"),
        here.agency_of("bob@tax.example.gov"),
    ]


KNOWN = ["jo@doa.example.gov", "TAX", ("contractors", "night"), ("press",), "TAX"]


# -- SQL ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """The URL of a database with a table of people."""
    url = f"sqlite:///{tmp_path}/people.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE people (mail text, person text, part text, grp text)"))
        connection.execute(
            text("INSERT INTO people VALUES (:a, :b, :c, :d)"),
            [dict(zip("abcd", row, strict=True)) for row in ROWS],
        )
    engine.dispose()
    return url


QUERY = 'SELECT mail AS address, person AS "user", part AS agency, grp AS "group" FROM people'


def test_a_database_says_who_is_who(database, tmp_path, clock):
    here = read(tmp_path, f"{{sql: '{database}', query: '{QUERY}'}}", clock)
    assert told(here) == KNOWN
    assert len(here.problems) == 1 and "row 5: address 'not an address'" in here.problems[0]


def test_a_query_cannot_write(database, tmp_path, clock):
    query = "DELETE FROM people RETURNING mail AS address" if "sqlite" not in database else "DELETE FROM people"
    here = read(tmp_path, f"{{sql: '{database}', query: '{query}'}}", clock)
    assert here.expired and any("read" in problem for problem in here.problems)
    assert told(read(tmp_path, f"{{sql: '{database}', query: '{QUERY}'}}", clock)) == KNOWN


def test_a_database_may_have_lists_and_what_is_wrong_in_them_is_told(tmp_path, clock):
    with sqlite3.connect(tmp_path / "people.db") as people:
        people.execute("CREATE TABLE lists (address text, members text)")
        rows = [("all@example.gov", "jo@doa.example.gov it@example.gov x@"), ("it@example.gov", "bob@tax.example.gov")]
        people.executemany("INSERT INTO lists VALUES (?, ?)", [*rows, ("no address", "jo@doa.example.gov")])
    here = read(tmp_path, "{sql: 'sqlite:///people.db', query: 'SELECT address, members FROM lists'}", clock)
    assert here.reach(["all@example.gov"]).users.keys() == {"jo@doa.example.gov", "bob@tax.example.gov"}
    told = "\n".join(here.problems)
    assert "list all@example.gov: members that are no addresses are not counted: 1, such as 'x@'" in told
    assert "list 'no address': expected an address" in told


def test_people_who_consented_may_be_in_a_database(tmp_path, clock):
    with sqlite3.connect(tmp_path / "crm.db") as crm:
        crm.execute("CREATE TABLE people (email text, no int)")
        crm.executemany("INSERT INTO people VALUES (?, ?)", [("a@x.org", 0), ("B@x.org", 1)])
    consent = (
        "consent:\n  given: {sql: 'sqlite:///crm.db', query: SELECT email FROM people}\n"
        "  suppressed: {sql: 'sqlite:///crm.db', query: SELECT email FROM people WHERE no}\n"
    )
    here = load(parse_ruleset(HEAD + consent + "rules: []\n", "rules.yaml", tmp_path), clock.copies)
    assert here.unconsented(["a@x.org", "b@x.org", "c@x.org"]) == {"b@x.org", "c@x.org"}
    gone = consent.replace("crm.db", "gone.db")
    here = load(parse_ruleset(HEAD + gone + "rules: []\n", "rules.yaml", tmp_path), clock.copies)
    assert here.unconsented(["a@x.org"]) is None


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("{sql: 'oracle://x/y', query: SELECT 1}", "expected sqlite:///FILE or postgresql"),
        ("{sql: nonsense, query: SELECT 1}", "expected sqlite:///FILE or postgresql"),
        ("{sql: 'sqlite:///a.db', query: SELECT 1 AS mail}", "no column address"),
        ("{sql: 'sqlite:///a.db', query: SELECT 1, password_file: none.txt}", "none.txt: no such file"),
    ],
)
def test_a_database_that_cannot_be_right_is_an_error(tmp_path, clock, source, wrong):
    sqlite3.connect(tmp_path / "a.db").close()
    with pytest.raises(DirectoryError, match=wrong):
        read(tmp_path, source, clock)


# -- LDAP --------------------------------------------------------------------------------------------------------


def person(uid: str, *mails: str, department: str = "", groups: str = "") -> str:
    lines = [f"dn: uid={uid},{SUFFIX}", "objectClass: inetOrgPerson", f"uid: {uid}", f"cn: {uid}", "sn: x"]
    lines += [f"mail: {mail}" for mail in mails]
    lines += [f"departmentNumber: {department}"] if department else []
    lines += [f"businessCategory: {group}" for group in groups.split()]
    return "\n".join(lines) + "\n\n"


PEOPLE = (
    person("jo", "jo@doa.example.gov", "SMTP:jo.doe@example.gov", "X400:c=us", groups="press")
    + person("E17", "ann@contractor.example.org", department="TAX", groups="contractors night")
    + person("bob", "bob@tax.example.gov", department="UNKNOWN")
    + "".join(person(f"u{number}", f"u{number}@doa.example.gov") for number in range(300))  # more than one page
    + person("nobody")
)


def test_an_ldap_server_says_who_is_who_and_its_copy_stands_while_it_is_down(tmp_path, clock):
    (tmp_path / "password.txt").write_text(PASSWORD + "\n")
    with Slapd(tmp_path, PEOPLE) as ldap:
        source = (
            f"{{ldap: 'ldap://127.0.0.1:{ldap.port}', base: '{SUFFIX}', bind: '{READER}', password_file: password.txt, "
            "agency: departmentNumber, group: businessCategory, complete: true, refresh: 5m, age: 1h}"
        )
        here = read(tmp_path, source, clock)
        assert told(here) == ["jo.doe@example.gov", *KNOWN[1:]]  # the primary address
        assert here.reach(["u299@doa.example.gov", "gone@doa.example.gov"]).unresolved == {"gone@doa.example.gov"}
        assert read(tmp_path, source, clock).digest == here.digest
        ruleset = parse_ruleset(f"{HEAD}directory: [{source}]\nrules: []\n", "rules.yaml", tmp_path)
        assert unchanged(ruleset, here, clock.copies)

        ldap.stop()
        clock.now += 299
        assert read(tmp_path, source, clock).problems == here.problems  # it is not asked yet
        clock.now += 2
        assert not unchanged(ruleset, here, clock.copies)
        down = read(tmp_path, source, clock)
        assert told(down)[1:] == KNOWN[1:] and not down.expired
        assert any("its last copy stands" in problem for problem in down.problems)
        clock.now += 3600
        assert not unchanged(ruleset, down, clock.copies)
        old = read(tmp_path, source, clock)
        assert unchanged(ruleset, old, clock.copies)
        assert old.expired and old.digest != down.digest
        assert any("cannot be told" in problem for problem in old.problems)

        ldap.start()
        clock.now += 31
        assert not read(tmp_path, source, clock).expired


def test_a_wrong_password_is_told_without_it(tmp_path, clock):
    (tmp_path / "password.txt").write_text("guessed")
    with Slapd(tmp_path, PEOPLE) as ldap:
        source = f"ldap: 'ldap://127.0.0.1:{ldap.port}', base: '{SUFFIX}', bind: '{READER}'"
        here = read(tmp_path, f"{{{source}, password_file: password.txt}}", clock)
    assert here.expired and "invalidCredentials" in str(here.problems) and "guessed" not in str(here.problems)


# -- what it means for mail --------------------------------------------------------------------------------------


def verdict(folder: Path, source: str, rules: str, recipients: int, clock: Clock) -> Action:
    ruleset = parse_ruleset(f"{HEAD}directory: [{source}]\nrules:\n{rules}", "rules.yaml", folder)
    policy = Policy(ruleset, load(ruleset, clock.copies))
    to = tuple(Recipient(f"u{number}@doa.example.gov") for number in range(recipients))
    content = b"From: jo@doa.example.gov\r\nSubject: x\r\n\r\nHello\r\n"
    transaction = Transaction("smtp", Client("192.0.2.1"), "jo@doa.example.gov", to, content)
    facts = read_facts(content)
    audience, source_ = audience_of(transaction.addresses, facts, policy), source_of(transaction, facts, policy)
    return judge(ruleset, Evidence(transaction, facts, audience, Counts.of(audience), Standing(), source_), NOW).action


@pytest.mark.parametrize(
    ("rule", "action"),
    [
        ("  - {id: a, when: {users: {over: 2000}}, then: hold}\n", Action.DEFER),
        ("  - {id: a, when: {mass: true, attachments: 0}, then: reject}\n", Action.DEFER),
        ("  - {id: a, when: {mass: true, attachments: {over: 0}}, then: reject}\n", Action.RELAY),
        ("  - {id: a, when: {subject: x}, then: warn}\n", Action.WARN),
    ],
)
def test_what_hangs_on_a_directory_without_a_copy_waits_and_nothing_else(tmp_path, clock, rule, action):
    assert verdict(tmp_path, "{sql: 'sqlite:///gone.db', query: SELECT 1}", rule, 3, clock) is action


# -- copies ------------------------------------------------------------------------------------------------------


def test_a_source_is_asked_when_it_is_time_and_after_a_failure_sooner():
    now, asked, down = [0.0], [], [False]

    def ask() -> ServerAnswer:
        asked.append(now[0])
        if down[0]:
            raise SourceDown("gone")
        return ServerAnswer([{"address": "a@example.gov"}])

    kept = ServerCopies(clock=lambda: now[0])
    for moment in (0, 100, 299, 300, 310, 320, 330, 700):
        now[0] = moment
        down[0] = 300 <= moment < 330
        copy = kept.of("x", ask, timedelta(minutes=5))
        assert copy.rows and not kept.expired(copy, None)
    assert asked == [0, 300, 330, 700]
    assert timedelta(minutes=5) == server_cache.REFRESH
