"""What a decision costs, by the size of the batch and of the mailing; and what counting costs a whole message.

    python -m bench.decision [--database sqlite:///FILE | postgresql://...]

First a table: microseconds of CPU a decision (find the mailing, count, judge, write) at 1, 50 and 1000 recipients, in
mailings that have 1, 1000 and 100,000 users already. A column must stay much the same down the page: the cost grows
with the batch, not with the mailing. Then the rate of small messages through a gate, with counting against without,
and the CPU time of each: for a few sessions, which now and then all wait for one commit, and for many.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bench.rate import counting_ratio
from gatekeeper.model import Counts, Evidence, Standing, Verdict
from gatekeeper.rules import judge, parse_ruleset
from gatekeeper.service import runtime
from gatekeeper.store import Database, Store
from tests.peers.gate import RULES
from tests.store.arrivals import arrival, people

BATCHES, MAILINGS = (1, 50, 1000), (1, 1000, 100_000)
ROUNDS = 15
SESSIONS = (20, 60)  # a few that each wait for their commit, and enough to keep a gate busy all the time
_RULESET = parse_ruleset(RULES.replace("over: 2000", "over: 2000000"), "rules.yaml", Path("."))


async def decide(store: Store, users: list[str], subject: str) -> None:
    """Decide one batch by real rules, whose limit it does not reach."""
    one = arrival(users, subject=subject, message_id=f"{subject}@x")

    def judged(counts: Counts, standing: Standing) -> Verdict:
        evidence = Evidence(one.transaction, one.facts, one.audience, counts, standing, one.source)
        return judge(_RULESET, evidence, one.now)

    await store.decide(one, judged)


async def fill(store: Store, users: int, subject: str) -> None:
    """Give a mailing that many users."""
    for start in range(0, users, 5000):
        await decide(store, people(min(5000, users - start), start=start), subject)


async def cost(store: Store, size: int, already: int) -> float:
    """Microseconds of CPU a decision of new people takes in a mailing with that many: the median of a few."""
    subject = f"{size} upon {already}"
    await fill(store, already, subject)
    taken = []
    for number in range(ROUNDS):
        users = people(size, start=already + number * size)
        began = time.process_time()
        await decide(store, users, subject)
        taken.append((time.process_time() - began) * 1e6)
    return statistics.median(taken)


async def table(url: str) -> None:
    """Print the table."""
    store = Store(Database(url, timeout=30))
    store.open()
    await cost(store, 1, 2)  # statements are compiled, pages are warm
    print(f"{'users already':>14}" + "".join(f"{f'{size} recipients':>18}" for size in BATCHES))
    for already in MAILINGS:
        row = [await cost(store, size, already) for size in BATCHES]
        print(f"{already:>14}" + "".join(f"{microseconds:>15.0f} us" for microseconds in row))
    store.close()


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--database", help="a database to use; a new SQLite file where not named")
    runtime.prepare()  # as a gate that serves
    with tempfile.TemporaryDirectory() as folder:
        url = parser.parse_args().database or f"sqlite:///{folder}/bench.db"
        asyncio.run(table(url))
        for sessions in SESSIONS:
            with_counting, without = asyncio.run(counting_ratio(Path(folder), sessions))
            ratio = with_counting.rate / without.rate
            print(f"\n{sessions} sessions at once")
            print(f"messages a second: {with_counting.rate:.0f} with, {without.rate:.0f} without: {ratio:.2f}")
            ratio = without.cpu / with_counting.cpu
            print(f"ms of CPU a message: {with_counting.cpu:.2f} with, {without.cpu:.2f} without: {ratio:.2f}")


if __name__ == "__main__":
    main()
