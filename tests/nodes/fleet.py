"""Several gates on one Postgres, senders that send a mailing over all of them, and what is done to them meanwhile."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gatekeeper.ledger.service import LedgerService, Sought
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.rules import parse_ruleset
from gatekeeper.store import Database, Store, StoreError
from tests.faults.scene import Downstream, message, send
from tests.nodes.network import HUB, NETWORK, Network, address
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.peers.postgres import Postgres
from tests.peers.sink import Sink

PATIENCE = 300.0  # seconds for what is lost to be found again, on a busy machine
QUIET = 20  # seconds; what comes closer together leaves whole or not at all
FLAGS = ("--database-timeout", "2s", "--lease", "3s", "--clients", f"127.0.0.0/8,{NETWORK}")


class Fleet:
    """Gates that share a Postgres and a next hop; people decide at the hub."""

    def __init__(
        self, net: Network, postgres: Postgres, downstream: Downstream, gates: Sequence[Gate], rules: str
    ) -> None:
        self.net, self.postgres, self.downstream, self.gates = net, postgres, downstream, list(gates)
        self.store = Store(Database(postgres.url, timeout=10))
        self.taken: list[float] = []  # when a batch was
        self.service = LedgerService(
            self.store, Letterhead(parse_ruleset(rules, "rules.yaml", Path()), "hub"), self.store.now
        )

    def open(self) -> None:
        self.store.open(writing=False)

    def state(self, subject: str) -> tuple[str, int, int]:
        """State, users and batches of the one mailing of that subject; waits out an outage."""
        while True:
            try:
                found = [each for each in self.service.mailings().rows if each.subject == subject]
            except StoreError:
                time.sleep(0.2)
                continue
            if not found:
                return "none", 0, 0
            (mailing,) = found
            return mailing.state.value, mailing.counts.users, mailing.batches

    def wait_state(self, subject: str, *states: str) -> tuple[str, int, int]:
        wait_for(
            lambda: self.state(subject)[0] in states, lambda: f"{self.state(subject)}: {self.logs()}", PATIENCE, 0.2
        )
        return self.state(subject)

    def approve(self, subject: str) -> None:
        (mailing,) = (each for each in self.service.mailings(Sought(("held",))).rows if each.subject == subject)
        self.service.approve(int(mailing.id[2:]), "cio@example.gov")

    def logs(self) -> str:
        return "\n".join(f"-- {gate.host}\n{gate.log()[-1500:]}" for gate in self.gates)

    # -- senders --

    def insist(self, gates: Sequence[Gate], recipients: Sequence[str], content: bytes) -> str:
        """Send as an MTA with several relays does: again, by the next of them, until it is taken."""
        until, number, answer = time.monotonic() + PATIENCE, 0, ""
        while time.monotonic() < until:
            try:
                answer = send(gates[number % len(gates)], recipients, content)
            except OSError:
                answer = ""
            if answer.startswith("250"):
                self.taken.append(time.monotonic())
                return answer
            number += 1
            time.sleep(0.2)
        raise AssertionError(f"never taken: {answer}: {self.logs()}")

    def send_cut(
        self, pool: ThreadPoolExecutor, everyone: Sequence[str], content: bytes, chance: random.Random
    ) -> list[Future[str]]:
        """In batches of fifty, each by a relay of its own choice first."""
        coming = []
        for start in range(0, len(everyone), 50):
            order = chance.sample(self.gates, len(self.gates))
            coming.append(pool.submit(self.insist, order, everyone[start : start + 50], content))
        return coming

    def copies(self, subject: str) -> Counter[str]:
        return self.downstream.copies(message(subject))

    # -- what is done to it --

    def faults(self, chance: random.Random) -> dict[str, Callable[[], None]]:
        gate = chance.choice(self.gates)
        node = self.gates.index(gate) + 1
        pause = chance.uniform(0.5, 6.0)
        return {
            "kill": lambda: (gate.kill(), gate.start(wait=False))[0],
            "cut": lambda: (self.net.cut(node), time.sleep(pause), self.net.mend(node))[0],
            "restart": lambda: self.postgres.restart("fast"),
            "crash": lambda: self.postgres.restart("immediate"),
        }


@contextmanager
def fleet(net: Network, nodes: int = 3, quiet: int = QUIET, flags: Sequence[str] = FLAGS) -> Iterator[Fleet]:
    """To be called in the hub; all of it is gone at the end."""
    rules = RULES.replace("within: 24h}", f"within: 24h, gather: {{at: [50], quiet: {quiet}s, limit: 30s}}}}")
    with ExitStack() as stack:
        postgres = stack.enter_context(Postgres(HUB, fsync="on"))
        downstream = stack.enter_context(Downstream(Sink(host=HUB)))
        Database(postgres.url, timeout=30).prepare()
        gates = [
            Gate(
                downstream.address,
                rules=rules,
                flags=flags,
                database=postgres.url,
                host=address(node),
                within=net.within(node),
            )
            for node in range(1, nodes + 1)
        ]
        for gate in gates:
            stack.callback(gate.__exit__)
            gate.start(wait=False)
        for gate in gates:
            gate.wait_ready()
        made = Fleet(net, postgres, downstream, gates, rules)
        made.open()
        stack.callback(made.store.close)
        yield made
