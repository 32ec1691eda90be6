"""How long searching and handing over records takes: `python -m bench.records [--mailings 100000] [--database URL]`.

It makes up a ledger of that many mailings, each with a message of a hundred words, has all of it searched, and prints
how long searches take (95 of 100), how fast texts are read, and how fast an export is written and verified.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from contextlib import nullcontext
from functools import partial
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from statistics import quantiles

from sqlalchemy import insert

from bench.large_ledger import RULES, Size, fill
from gatekeeper.api.bag.write import BagWanted, write_bag
from gatekeeper.archive import bag_check
from gatekeeper.archive.texts import catch_up
from gatekeeper.archive.words import subject_words
from gatekeeper.ledger.cases import CaseWanted
from gatekeeper.ledger.searching import SearchWanted
from gatekeeper.ledger.service import LedgerService
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.rules import read_ruleset
from gatekeeper.store import Connection, Database, Store, texts
from gatekeeper.store.db import schema
from gatekeeper.store.texts import CONTENT, Made

_OFFICER = "records@example.gov"
_VOCABULARY = 30_000
_WORDS = 100  # of a message
_TIMES = 20
_EXPORTED = 1_000  # messages
_OCTETS = 30_000  # of each of these
_YEAR = 365 * 86_400.0
_FIRST = 10_000_000  # from which on batches of ours are numbered
SEARCHES = {
    "a rare word": SearchWanted("word29999"),
    "two words": SearchWanted("word120 word77"),
    "two frequent words": SearchWanted("word1 word2"),
    "a phrase": SearchWanted('"enrolment flood"'),
    "a prefix": SearchWanted("word999*"),
    "one or the other, not a third": SearchWanted("word500 OR word501 -word3"),
    "words of the subject": SearchWanted(subject="parking flood"),
    "a sender": SearchWanted(sender="clerk8@doj.example.gov"),
    "a person and a word": SearchWanted("word9", person="clerk8@doj.example.gov"),
    "a recipient": SearchWanted(recipient="somebody@doa.example.gov"),
}


def fill_texts(connection: Connection, mailings: int, now: float) -> None:
    """Write a message of each mailing, and its words as they are searched."""
    dice = random.Random(22)
    weights = list(accumulate(1 / (place + 1) for place in range(_VOCABULARY)))
    words = [f"word{place}" for place in range(_VOCABULARY)]
    made, contents, kept = [], [], []
    for number in range(2, mailings + 1):
        text = dice.choices(words, cum_weights=weights, k=_WORDS)
        digest = sha256(str(number).encode()).digest()
        at = now - _YEAR * (mailings - number) / mailings
        contents.append({"digest": digest, "size": 1, "complete": True, "stored_at": at})
        kept.append(batch_row(_FIRST + number, number, digest, now))
        made.append(Made(CONTENT, None, digest, (*subject_words("notice"), *text)))
        if len(made) == 2_000 or number == mailings:
            connection.execute(insert(schema.bodies), contents)
            connection.execute(insert(schema.batches), kept)
            texts.write(connection, made, now)
            made, contents, kept = [], [], []


def batch_row(id: int, mailing: int, digest: bytes, now: float) -> dict[str, object]:
    """Return a row of `batches`."""
    return {
        "id": id,
        "mailing_id": mailing,
        "state": "sent",
        "gathered": False,
        "identity": digest[:16],
        "listener": "smtp",
        "client": {"address": "192.0.2.7", "name": "mx", "helo": "mx", "port": 25, "protocol": "ESMTP"},
        "authenticated": True,
        "sender": "news@doa.example.gov",
        "parameters": [],
        "content_digest": digest.hex(),
        "body": digest,
        "trace": b"",
        "reasons": [],
        "received_at": now,
        "notify": True,
        "place": 1,
        "owners": [],
        **dict.fromkeys(("recipients", "sent", "refused", "expired"), 0),
    }


def keep_messages(connection: Connection, now: float) -> None:
    """Store the messages of one more mailing, which is exported."""
    mailing = max(row.id for row in connection.execute(schema.mailings.select()))
    dice = random.Random(3)
    for number in range(_EXPORTED):
        line = " ".join(dice.choices(["plan", "compare", "benefits", "zanzibar"], k=12))
        body = f"Subject: zanzibar {number}\r\n\r\n".encode() + (line + "\r\n").encode() * (_OCTETS // (len(line) + 2))
        digest = sha256(body).digest()
        connection.execute(
            insert(schema.bodies), {"digest": digest, "size": len(body), "complete": True, "stored_at": now}
        )
        connection.execute(insert(schema.body_chunks), {"digest": digest, "position": 0, "data": body})
        connection.execute(insert(schema.batches), batch_row(2 * _FIRST + number, mailing, digest, now))


def search_times(service: LedgerService, case: int) -> None:
    """Print how long each kind of search takes, its note in the audit included."""
    for name, wanted in SEARCHES.items():
        times, spent = [], time.process_time()
        for _ in range(_TIMES):
            began = time.perf_counter()
            found = service.search(case, wanted, _OFFICER)
            times.append(time.perf_counter() - began)
        middle, most = quantiles(times, n=20)[9], quantiles(times, n=20)[18]
        cpu = (time.process_time() - spent) / _TIMES
        took = f"{1e3 * middle:7.1f} ms, 95 of 100 within {1e3 * most:7.1f} ms; CPU {1e3 * cpu:7.1f} ms"
        print(f"{name:<32} {found.total:>8,} found  {took}", flush=True)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mailings", type=int, default=100_000)
    parser.add_argument("--database", help="an empty one; default: SQLite")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        _measure(Path(name), given)


def _measure(folder: Path, given: argparse.Namespace) -> None:
    rules = folder / "rules.yaml"
    rules.write_text(RULES.replace("people:\n", f"people:\n  {_OFFICER}: {{roles: [records]}}\n", 1))
    store = Store(Database(given.database or f"sqlite:///{folder}/gate.db", timeout=60))
    store.open()
    now = store.now()
    store.call(lambda connection: fill(connection, Size(mailings=given.mailings), now))
    store.call(lambda connection: fill_texts(connection, given.mailings, now))
    began, spent = time.perf_counter(), time.process_time()
    number = catch_up(store)
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    print(f"read {number:,} entries of the ledger: {number / seconds:,.0f} a second, CPU {cpu:.0f} s", flush=True)
    service = LedgerService(store, Letterhead(read_ruleset(rules), "gate.example.gov"), store.now)
    case = int(service.open_case(CaseWanted("A measure", "audit"), _OFFICER).case.id[2:])
    search_times(service, case)
    store.call(lambda connection: keep_messages(connection, now))
    began, spent = time.perf_counter(), time.process_time()
    catch_up(store)
    rate, cpu = _EXPORTED / (time.perf_counter() - began), time.process_time() - spent
    print(f"read {_EXPORTED:,} messages of {_OCTETS:,} octets: {rate:,.0f} a second, CPU {cpu:.0f} s", flush=True)
    _export(service, folder / "bag", case)
    store.close()


def _export(service: LedgerService, folder: Path, case: int) -> None:
    began, spent = time.perf_counter(), time.process_time()
    progress = partial(nullcontext, lambda steps: None)
    wanted = SearchWanted("zanzibar", places=("held", "mass"))
    written = write_bag(service, folder, BagWanted(case, wanted, _OFFICER), lambda length: progress())
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    rate = f"CPU {cpu:.1f} s, {written.octets / seconds / 1e6:,.1f} MB/s, {_EXPORTED / seconds:,.0f} messages a second"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"exported {written.files:,} files, {written.octets:,} octets: {rate}; at most {memory:,.0f} MB of memory")
    began = time.perf_counter()
    assert not list(bag_check.problems_of(folder))
    print(f"verified in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
