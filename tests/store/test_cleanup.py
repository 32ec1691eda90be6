"""Mail that was gathered and passed as ordinary leaves no word behind: not in the database, not in its log, not packed.

The gate is real; that time has passed is said to the database after the gate has ended, but for the campaign.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from gatekeeper.store import Database, Store, cleanup
from gatekeeper.store.db.schema import metadata
from tests.faults.scene import Downstream, wait_queue_empty
from tests.peers import free_port, wait_for
from tests.peers.gate import RULES, Gate
from tests.peers.sink import say

GATHER = RULES.replace("within: 24h}", "within: 24h, gather: {from: 20, quiet: 1s, limit: 5s}}")
PEOPLE = [f"zebra{i}@doa.example.gov" for i in range(40)]
WORDS = (b"zebra", b"Quagga", b"okapi", b"lunchbox", b"Gnu.Message")
CONTENT = (
    b"From: Jo <okapi@doa.example.gov>\r\nSubject: Quagga day\r\nMessage-ID: <Gnu.Message@doa.example.gov>\r\n\r\n"
    + b"Bring your lunchbox to the park.\r\n" * 500
)
LATER = 120.0


def traces(home: Path) -> dict[str, set[bytes]]:
    """Which of the words are in which file of the database, plain or in anything that inflates."""
    found: dict[str, set[bytes]] = {}
    for path in home.glob("gate.db*"):
        octets = path.read_bytes()
        packed = b"".join(inflated(octets))
        found[path.name] = {word for word in WORDS if word.lower() in octets.lower() or word.lower() in packed.lower()}
    return {name: words for name, words in found.items() if words}


def inflated(octets: bytes) -> Iterator[bytes]:
    for start in re.finditer(rb"x[\x01\x5e\x9c\xda]", octets):
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj().decompress(octets[start.start() :], 1 << 20)


def forget(home: Path, later: float = LATER) -> int:
    store = Store(Database(f"sqlite:///{home}/gate.db", 5))
    store.open()
    number = store.call(partial(cleanup.forget_passed, now=time.time() + later))
    assert store.database.truncate_log()
    store.close()
    return number


@contextlib.contextmanager
def gathered(rules: str = GATHER, **more: object) -> Iterator[tuple[Gate, Downstream]]:
    """A gate that has let forty people have a gathered message, and has nothing left to do."""
    with Downstream() as downstream, Gate(downstream.address, rules=rules, **more) as gate:
        code, text = gate.send("okapi@doa.example.gov", PEOPLE, CONTENT)
        assert code == 250 and "M-1 not sent yet" in text
        wait_for(lambda: len(downstream.copies(CONTENT)) == 40, gate.log)
        wait_queue_empty(gate)
        yield gate, downstream


def test_nothing_is_left_of_it_and_its_page_says_so():
    """Clause D4: of ordinary mail no addresses, subjects, bodies."""
    with gathered() as (gate, _):
        before = gate.ask("mailing", "show", "M-1")
        assert before["subject"] == "Quagga day" and not before["forgotten"]
        gate.terminate()
        assert traces(gate.home), "the test finds what is there"
        assert forget(gate.home, later=0.0) == 0, "a body may be one that is just being stored again"
        assert forget(gate.home) == 1
        assert traces(gate.home) == {}
        gate.start()
        after = gate.ask("mailing", "show", "M-1")
        assert (after["sender"], after["subject"], after["kept"], after["forgotten"]) == ("", "", [], True)
        assert [after[name] for name in ("state", "users", "sent", "batches")] == ["open", 40, 40, 1]
        assert "passed as ordinary mail; nothing of it is kept" in gate.cli("mailing", "show", "M-1").stdout
        assert "passed as ordinary mail; nothing of it is kept" in gate.cli("mailing", "list").stdout
        code, text = gate.send("okapi@doa.example.gov", PEOPLE, CONTENT)
        assert code == 250 and "M-1" in text, "a resend is known still, and is no second copy"


def test_what_comes_later_has_its_names_again_and_is_counted_with_it():
    with gathered() as (gate, downstream):
        gate.terminate()
        forget(gate.home)
        gate.start()
        more = [f"more{i}@dphhs.example.gov" for i in range(2100)]
        code, text = gate.send("okapi@doa.example.gov", more, CONTENT)
        assert code == 250 and "Held for approval as M-1" in text
        held = gate.ask("mailing", "show", "M-1")
        assert (held["sender"], held["subject"], held["users"]) == ("okapi@doa.example.gov", "Quagga day", 2140)
        assert not held["forgotten"] and held["reached_before_hold"] == 40
        gate.terminate()
        assert forget(gate.home) == 0, "it is mass now, and a record"
        assert len(downstream.copies(CONTENT)) == 40


def test_a_gate_whose_mail_may_come_back_by_its_milter_forgets_as_soon():
    with gathered(flags=["--milter", f"127.0.0.1:{free_port()}"]) as (gate, _):
        gate.terminate()
        assert forget(gate.home) == 1
        assert traces(gate.home) == {}


def test_mass_mail_stays_a_record():
    with gathered(GATHER.replace("over: 200", "over: 10")) as (gate, _):
        gate.terminate()
        assert forget(gate.home) == 0
        assert traces(gate.home)


def test_refused_at_the_end_of_its_gather_it_is_gone_with_its_report():
    slow = GATHER.replace("quiet: 1s", "quiet: 4s")
    with Downstream() as downstream, Gate(downstream.address, rules=slow) as gate:
        assert gate.send("okapi@doa.example.gov", PEOPLE, CONTENT)[0] == 250
        gate.write("rules.yaml", slow.replace("mass: true, subject: {missing: true}", "people: {over: 30}"))
        gate.reload()
        wait_for(lambda: downstream.letters_to("okapi@doa.example.gov"), gate.log)
        wait_queue_empty(gate)
        gate.terminate()
        assert traces(gate.home)
        assert forget(gate.home) == 1
        assert traces(gate.home) == {}
        assert "refused as ordinary mail; nothing of it is kept" in gate.cli("mailing", "show", "M-1").stdout


def test_a_body_that_a_held_mailing_needs_stays():
    with gathered() as (gate, _):
        more = [f"more{i}@dphhs.example.gov" for i in range(2100)] + PEOPLE
        other = CONTENT.replace(b"okapi@", b"ibex@").replace(b"Gnu.Message@", b"Ibex.Message@")
        assert "Held" in gate.send("ibex@doa.example.gov", more, other)[1]
        with contextlib.closing(sqlite3.connect(gate.home / "gate.db")) as connection:
            connection.execute("UPDATE batches SET body = (SELECT body FROM batches WHERE state = 'sent')")
            connection.commit()
        gate.terminate()
        assert forget(gate.home) == 1
        with contextlib.closing(sqlite3.connect(gate.home / "gate.db")) as connection:
            assert connection.execute("SELECT count(*) FROM body_chunks JOIN batches ON body = digest").fetchone() == (
                1,
            )


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2])
def test_an_idle_gate_forgets_within_two_minutes(workers):
    with gathered(flags=["--workers", str(workers)]) as (gate, _):
        end = time.monotonic() + LATER
        while traces(gate.home) and time.monotonic() < end:
            time.sleep(1)
        assert traces(gate.home) == {}
        assert gate.ask("mailing", "show", "M-1")["forgotten"]


def test_on_postgres_no_row_has_a_word_of_it(laid_out_url):
    with gathered(database=laid_out_url) as (gate, _):
        gate.terminate()
        assert words_in_rows(laid_out_url)
        store = Store(Database(laid_out_url, 5))
        store.open()
        assert store.call(partial(cleanup.forget_passed, now=store.now() + LATER)) == 1
        store.close()
        assert words_in_rows(laid_out_url) == set()
        gate.start()
        assert gate.ask("mailing", "show", "M-1")["forgotten"]


def words_in_rows(url: str) -> set[bytes]:
    database = Database(url, 5)
    with database.engine.connect() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(select(table)).all()]
    database.dispose()
    octets = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
    return {word for word in WORDS if word.lower() in (octets + b"".join(inflated(octets))).lower()}


def test_what_was_refused_and_reported_to_nobody_is_kept_for_people_to_find():
    with Downstream() as downstream, Gate(downstream.address, rules=GATHER) as gate:
        downstream.sink.at("DOT", say("554 5.7.1 not here"))
        assert gate.send("okapi@doa.example.gov", PEOPLE, CONTENT)[0] == 250
        wait_for(lambda: gate.metric("gatekeeper_queue_failed_total", kind="release") == 1, gate.log)
        gate.terminate()
        assert forget(gate.home) == 0
        assert forget(gate.home, 31 * 86_400.0) == 1
