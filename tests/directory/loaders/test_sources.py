"""A source that reaches fewer, or permits more, is not believed: through a real gate, and from another process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from gatekeeper.directory.loaders.sources import SourceHistory, SourceSize
from gatekeeper.policy.active import ActivePolicy
from tests.faults.scene import Downstream, asleep, message, send
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.workers.scene import start

PEOPLE = [f"p{number}@{agency}.example.gov" for number in range(1500) for agency in ("doa", "dphhs")]
LIST, ALIAS = "staff@example.gov", "team@example.gov"
HEAD = RULES.replace(
    "mailing: {source: sender, within: 24h}",
    "mailing: {source: sender, within: 24h, gather: off}\n"
    "directory:\n  - {csv: people.csv}\n  - {aliases: aliases}\n"
    "  - {sql: 'sqlite:///people.db', query: 'SELECT mail AS address FROM people', refresh: 1s}\n"
    "domains: [example.gov]\n"
    f"lists:\n  {LIST}: {{file: staff.txt}}",
)
FILES = {
    "people.csv": "address,user,agency,group\n" + "".join(f"x{n}@doa.example.gov,,,press\n" for n in range(10)),
    "aliases": f"team: {', '.join(PEOPLE)}\n",
    "staff.txt": "\n".join(PEOPLE) + "\n",
}
HELD = "250 2.0.0 Held for approval"


@pytest.fixture(scope="module")
def downstream() -> Iterator[Downstream]:
    with Downstream() as running:
        yield running


def fill(home: Path, rows: int) -> None:
    with sqlite3.connect(home / "people.db") as database:
        database.execute("CREATE TABLE IF NOT EXISTS people (mail TEXT)")
        database.execute("DELETE FROM people")
        database.executemany("INSERT INTO people VALUES (?)", [(f"s{n}@doa.example.gov",) for n in range(rows)])


@pytest.fixture(params=["sqlite", "postgres", "workers"])
def gate(request: pytest.FixtureRequest, downstream: Downstream) -> Iterator[Gate]:
    database = request.getfixturevalue("laid_out_url") if request.param == "postgres" else None
    flags = ["--workers", "2"] if request.param == "workers" else []
    with asleep(downstream.address, rules=HEAD, files=FILES, flags=flags, database=database) as gate:
        fill(gate.home, 10)
        start(gate)
        yield gate


def states(gate: Gate) -> dict[str, str]:
    return {each["source"]: each["state"] for each in gate.ask("directory", "list")}


def wait_state(gate: Gate, source: str, state: str) -> None:
    wait_for(lambda: states(gate).get(source) == state, gate.log)


def shrink(gate: Gate, name: str) -> str:
    """Leave next to nothing of a file or table; the source's name."""
    if name == "people.db":
        fill(gate.home, 4)
        return "sqlite:///people.db"
    gate.write(name, {"people.csv": "address,user\n", "aliases": "team: a@doa.example.gov\n", "staff.txt": ""}[name])
    return name


def test_a_source_that_shrank_stays_as_it_was_until_it_is_accepted(gate: Gate) -> None:
    assert set(states(gate).values()) == {"fresh"}
    for number, name in enumerate(("staff.txt", "aliases", "people.csv", "people.db")):
        source = shrink(gate, name)
        wait_state(gate, source, "shrunk")
        to = {"staff.txt": LIST, "aliases": ALIAS}.get(name)
        if to:
            assert send(gate, [to], message(f"enrolment {number}")).startswith(HELD)
        status, page = gate.page("/readyz")
        assert status == 200 and f"directory source {source} is shrunk: " in page
        assert gate.metric("gatekeeper_directory_state", source=source, state="shrunk") == 1
        assert gate.metric("gatekeeper_directory_entries", source=source) == (3000 if to else 10)
    processes = gate.log().count("is process") or 1
    assert 1 <= gate.log().count("directory: staff.txt has 0 entries, and had 3000") <= processes
    gate.cli("directory", "accept", "staff.txt")
    wait_state(gate, "staff.txt", "fresh")
    assert gate.metric("gatekeeper_directory_state", source="staff.txt", state="shrunk") == 0
    subjects = ("lunch" + "a" * tries for tries in count())  # what was held would hold what is of one mailing with it
    wait_for(lambda: not send(gate, [LIST], message(next(subjects))).startswith(HELD), gate.log)
    gate.write("aliases", FILES["aliases"])
    wait_state(gate, "aliases", "fresh")
    assert "aliases" not in gate.page("/readyz")[1]


def test_only_a_source_that_is_shrunk_can_be_accepted(gate: Gate) -> None:
    for name, says in (("staff.txt", "staff.txt is fresh"), ("gone.csv", "gone.csv is no source of the directory")):
        refused = gate.cli("directory", "accept", name, check=False)
        assert refused.returncode == 65 and says in refused.stderr


def test_after_a_start_without_a_copy_what_hangs_on_it_cannot_be_told(gate: Gate) -> None:
    gate.terminate()
    gate.write("staff.txt", "a@doa.example.gov\n")
    start_anyhow(gate)
    wait_state(gate, "staff.txt", "shrunk")
    assert send(gate, [LIST], message("enrolment")).startswith("451 ")
    assert "what hangs on it cannot be told" in gate.log()
    gate.write("staff.txt", FILES["staff.txt"])
    wait_state(gate, "staff.txt", "fresh")
    wait_for(lambda: send(gate, [LIST], message("enrolment")).startswith(HELD), gate.log)


def start_anyhow(gate: Gate) -> None:
    """Start it; /readyz says more than ok."""
    gate.start(wait=False)
    wait_for(lambda: ready(gate), lambda: f"{gate.page('/readyz')}{gate.log()}", 90)


def ready(gate: Gate) -> bool:
    status, page = gate.page("/readyz")
    return status == 200 and "not ready" not in page


# -- lists that permit ---------------------------------------------------------------------------------------------

CONSENT = RULES + "consent:\n  given: [{file: given.txt}]\n  suppressed: [{file: never.txt}]\n"


def addresses(number: int) -> str:
    return "".join(f"o{n}@example.org\n" for n in range(number))


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ActivePolicy]:
    monkeypatch.setattr("gatekeeper.policy.active._SETTLED_SECONDS", 0)

    def make(rules: str, **files: str) -> ActivePolicy:
        (tmp_path / "rules.yaml").write_text(rules)
        for name, text in files.items():
            (tmp_path / f"{name}.txt").write_text(text)
        return ActivePolicy(tmp_path / "rules.yaml")

    return make


def unconsented(held: ActivePolicy, number: int) -> int | None:
    found = held.current.directory.unconsented(addresses(number).split())
    return None if found is None else len(found)


def test_of_consent_it_is_the_growing_that_is_questioned(held: Callable[..., ActivePolicy], tmp_path: Path) -> None:
    policy = held(CONSENT, given=addresses(10), never=addresses(4))
    (tmp_path / "given.txt").write_text(addresses(21))
    assert policy.poll() and unconsented(policy, 21) == 15
    (tmp_path / "given.txt").write_text(addresses(20))
    assert policy.poll() and unconsented(policy, 21) == 5
    (tmp_path / "given.txt").write_text(addresses(1))
    assert policy.poll() and unconsented(policy, 21) == 21
    (tmp_path / "given.txt").write_text(addresses(2))
    (tmp_path / "never.txt").write_text("")
    assert policy.poll() and unconsented(policy, 2) == 2
    assert {read.name: read.state for read in policy.sources.readings} == {"given.txt": "fresh", "never.txt": "shrunk"}


def test_of_groups_it_is_the_growing_that_is_questioned(held: Callable[..., ActivePolicy], tmp_path: Path) -> None:
    rules = RULES + "directory: [{csv: people.txt}]\n"
    rows = [f"p{n}@doa.example.gov,{'press' if n < 3 else ''}\n" for n in range(10)]
    policy = held(rules, people="address,group\n" + "".join(rows))
    (tmp_path / "people.txt").write_text("address,group\n" + "".join(row.replace(",\n", ",press\n") for row in rows))
    assert policy.poll()
    assert policy.current.directory.groups_of("p9@doa.example.gov") == ()
    assert [read.state for read in policy.sources.readings] == ["shrunk"]


def test_half_is_believed(held: Callable[..., ActivePolicy], tmp_path: Path) -> None:
    policy = held(RULES + f"lists:\n  {LIST}: {{file: staff.txt}}\n", staff="\n".join(PEOPLE[:100]))
    for number, reached in ((50, 50), (24, 50), (25, 25), (0, 25)):
        (tmp_path / "staff.txt").write_text("\n".join(PEOPLE[:number]) + "\n")
        assert policy.poll()
        assert len(policy.current.directory.reach([LIST]).users) == reached


# -- what makes one person of many -----------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["#N/A", "#REF!", "NULL", "null", "-", "0", "n/a", "None", "a\x07b", "E\u200b17"])
def test_a_user_that_stands_for_nothing_is_an_error(held: Callable[..., ActivePolicy], user: str) -> None:
    with pytest.raises(Exception, match=r"people.txt:3: user .* would make one person of many") as raised:
        rows = f"address,user\na@doa.example.gov,E1\nb@doa.example.gov,{user}\n"
        held(RULES + "directory: [{csv: people.txt}]\n", people=rows)
    assert ":2:" not in str(raised.value)


def test_a_user_with_many_addresses_is_told_at_the_start_and_at_a_reload(
    held: Callable[..., ActivePolicy], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def rows(number: int) -> str:
        return "address,user\n" + "".join(f"b{n}@doa.example.gov,E1\n" for n in range(number))

    policy = held(RULES + "directory: [{csv: people.txt}]\n", people=rows(21))
    assert "directory: user e1 has 21 addresses: if these are not one person" in caplog.text
    (tmp_path / "people.txt").write_text(rows(22))
    assert policy.poll() and "user e1 has 22 addresses" in caplog.text
    caplog.clear()
    (tmp_path / "people.txt").write_text(rows(22) + "\n")
    assert policy.poll() and "addresses" not in caplog.text, "it was said already"
    (tmp_path / "people.txt").write_text(rows(20))
    assert policy.poll() and not policy.current.directory.problems


# -- what is not said against a source -------------------------------------------------------------------------------


def said(sources: SourceHistory, entries: int, granted: int = 0) -> str:
    read = sources.read("s", SourceSize(entries, granted), [entries])
    sources.keep([read])
    return read.state


def test_a_server_that_was_away_is_compared_with_what_it_said_last() -> None:
    sources = SourceHistory()
    assert said(sources, 10, 4) == "fresh"
    sources.keep([sources.expired("s")])
    assert said(sources, 9, 5) == "fresh"
    sources.keep([sources.expired("s")])
    assert said(sources, 2) == "shrunk"
    assert said(sources, 5) == "fresh"


def test_one_that_never_answered_is_believed_the_first_time() -> None:
    sources = SourceHistory()
    sources.keep([sources.expired("s")])
    assert said(sources, 10, 4) == "fresh"


def test_what_the_store_knows_counts_from_the_first_time_that_it_is_read() -> None:
    sources = SourceHistory()
    assert said(sources, 3) == "fresh" and sources.unproven
    mark = sources.mark
    sources.learn({"s": SourceSize(10)})
    assert sources.mark != mark and not sources.unproven
    assert sources.read("s", SourceSize(3), [3]).content is None
    sources.keep([sources.read("s", SourceSize(3), [3])])
    sources.learn({"s": SourceSize(3)})  # accepted
    assert sources.mark == mark and said(sources, 3) == "fresh"


def test_another_nodes_larger_file_says_nothing_against_ours() -> None:
    sources = SourceHistory()
    sources.learn({})
    assert said(sources, 10) == "fresh"
    sources.learn({"s": SourceSize(40)})
    assert sources.mark == "" and said(sources, 10) == "fresh"


@pytest.mark.parametrize("user", ["everyone", "unknown@example.gov"])
def test_a_table_in_which_all_are_one_person_reaches_one(
    held: Callable[..., ActivePolicy], tmp_path: Path, user: str
) -> None:
    """It has as many lines as before, and mail to all of them would count as mail to one."""
    rules = RULES + "directory: [{csv: people.txt}]\n"
    own = "".join(f"{each},{each}\n" for each in PEOPLE[:400])
    policy = held(rules, people=f"address,user\n{own}")
    (tmp_path / "people.txt").write_text("address,user\n" + "".join(f"{each},{user}\n" for each in PEOPLE[:400]))
    assert policy.poll()
    assert [(read.state, read.found.entries) for read in policy.sources.readings] == [("shrunk", 1)]


def test_a_list_of_many_lines_about_one_address_reaches_one(held: Callable[..., ActivePolicy], tmp_path: Path) -> None:
    policy = held(RULES + f"lists:\n  {LIST}: {{file: staff.txt}}\n", staff="\n".join(PEOPLE[:100]))
    (tmp_path / "staff.txt").write_text(f"{PEOPLE[0]}\n" * 100)
    assert policy.poll()
    assert len(policy.current.directory.reach([LIST]).users) == 100
