"""A real Prometheus with the shipped alerts, on what gates really export: each alert fires, and ends with its cause.

Minutes are half seconds: each `for:` and each window of the rules is divided by 120, and Prometheus looks as much more
often. The condition of working hours is left out, since a test has none; `promtool test rules` tries it, and what takes
days.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
import yaml

from gatekeeper.ops.http import OpsServer
from gatekeeper.ops.metrics import LedgerSummary, Metrics, Vocabulary
from gatekeeper.settings import Endpoint
from tests.deploy.test_deploy import ALERTS, DEPLOY, tool
from tests.peers import free_port, wait_for

FASTER = 120
RULES = (DEPLOY / "prometheus/gatekeeper.rules.yaml").read_text()
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
VOCABULARY = Vocabulary(("relay", "defer"), ("timeout",), ("mail",), ("address",))
GOOD = {
    "mailings": {"held": 0},
    "queue": {"release": 0},
    "oldest_held_seconds": 0.0,
    "sources": {"people.csv": (5, "fresh")},
    "queue_ages": {"release": 0.0},
    "requests": {},
    "kept": 10,
    "keep_limit": 100,
}
BAD = GOOD | {
    "oldest_held_seconds": 3 * 86_400.0,
    "sources": {"people.csv": (5, "shrunk")},
    "queue_ages": {"release": 5 * 3_600.0},
    "kept": 90,
}


def faster(rules: str) -> str:
    """The alerts, with all times divided."""

    def divided(found: re.Match[str]) -> str:
        return f"{found[1]}{int(found[2]) * SECONDS[found[3]] * 1000 // FASTER}ms"

    made = re.sub(r"(for: |\[)(\d+)([smhd])(?=\]|\n)", divided, rules)
    return re.sub(r"\n +and on \(\) \(day_of_week.*", "", made)


@dataclass
class Gate:
    """What a gate exports, without a gate: metrics that a test sets."""

    port: int = field(default_factory=free_port)
    is_well: bool = True
    has_database: bool = True
    digest: str = "abc"
    queued: float = 0.0

    def __post_init__(self) -> None:
        self.metrics = Metrics()
        self.metrics.begin(VOCABULARY)
        self.metrics.watch_ledger(self._summary)
        self.metrics.reload(True)
        self.server = OpsServer(Endpoint("127.0.0.1", self.port), self.metrics.registry, lambda: (True, ()))
        self.tell()

    def _summary(self) -> LedgerSummary | None:
        if not self.has_database:
            return None
        self.queued += 0 if self.is_well else 5
        return LedgerSummary(**(GOOD if self.is_well else BAD | {"queue": {"release": 200 + self.queued}}))

    def tell(self) -> None:
        """Set what stays, and count what happens all the time."""
        review = date(2999, 1, 1) if self.is_well else date.today()
        self.metrics.ruleset(self.digest, "Mass mail", review)
        self.metrics.processes({"gate": 1}, {"gate": self.digest})
        self.metrics.message("smtp", "relay" if self.is_well else "defer")
        self.metrics.decision(0.001 if self.is_well else 5.0, 1)
        if not self.is_well:
            self.metrics.next_hop_error("timeout")

    def break_once(self) -> None:
        """Do what happens once, and is counted."""
        self.metrics.reload(False)
        self.metrics.queue_failed("release")
        self.metrics.audited(0, 1)
        for _ in range(5):
            self.metrics.restart("worker")

    def mend(self) -> None:
        self.is_well = self.has_database = True
        self.digest = "abc"
        self.metrics.reload(True)


@contextmanager
def prometheus(folder: Path, gates: list[Gate]) -> Iterator[str]:
    """A Prometheus that looks at the gates; its address."""
    program, port = tool("prometheus"), free_port()
    (folder / "rules.yaml").write_text(faster(RULES))
    scraped = {"job_name": "gatekeeper", "static_configs": [{"targets": [f"127.0.0.1:{gate.port}" for gate in gates]}]}
    often = {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"}
    config = {"global": often, "rule_files": ["rules.yaml"], "scrape_configs": [scraped]}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    words = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        words.append(f"--web.listen-address=127.0.0.1:{port}")
        running = subprocess.Popen([program, *words], stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: is_ready(address), lambda: (folder / "log").read_text(), 60)
        yield address
    finally:
        running.terminate()
        running.wait(30)


def is_ready(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{address}/-/ready", timeout=10):
        return True
    return False


def firing(address: str) -> set[str]:
    with urllib.request.urlopen(f"{address}/api/v1/alerts", timeout=10) as answer:
        alerts = json.load(answer)["data"]["alerts"]
    return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


def test_times_are_divided_and_nothing_else():
    groups = yaml.safe_load(faster(RULES))["groups"]
    assert [each["alert"] for each in groups[0]["rules"]] == [each["alert"] for each in ALERTS]
    queries = " ".join(each["expr"] for each in groups[0]["rules"])
    assert "[2500ms]" in queries and "4 * 3600" in queries and "hour()" not in queries


@pytest.mark.soak
def test_each_alert_fires_and_ends_with_its_cause(tmp_path):
    troubled, away, without_database = Gate(), Gate(), Gate()
    gates = [troubled, away, without_database]
    for gate in (troubled, without_database):
        gate.server.start()
    ending = threading.Event()

    def live() -> None:
        while not ending.wait(0.05):
            for gate in gates:
                gate.tell()

    living = threading.Thread(target=live, daemon=True)
    living.start()
    everything = {each["alert"] for each in ALERTS}
    try:
        with prometheus(tmp_path, gates) as address:
            wait_for(lambda: firing(address) == {"GatekeeperDown"}, lambda: f"{firing(address)}", 60)
            troubled.is_well, without_database.has_database, without_database.digest = False, False, "def"
            troubled.break_once()
            seen: set[str] = set()

            def all_have_fired() -> bool:
                seen.update(firing(address))
                return seen == everything

            wait_for(all_have_fired, lambda: f"did not fire: {everything - seen}", 90)
            away.server.start()
            for gate in gates:
                gate.mend()
            wait_for(lambda: not firing(address), lambda: f"did not end: {firing(address)}", 120)
            time.sleep(2)
            assert not firing(address)
    finally:
        ending.set()
        living.join()
        for gate in gates:
            gate.server.stop()
