"""How long a replay takes: `python -m bench.replay [DECISIONS]` makes up that many, records them, and replays them.

What is made up is a month of a gate: ordinary mail of every size, and now and then a mass mailing, some of them held.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from gatekeeper.audit.record import DecisionContext, Recorder
from gatekeeper.model import Audience, Client, Counts, Evidence, Facts, Mailbox, Source, Standing, Transaction
from gatekeeper.rules import Ruleset, judge, read_ruleset
from gatekeeper.store import Database, Store, audit_chain, rulesets

RULES = Path(__file__).parents[1] / "rules.yaml"
MONTH = 30 * 86_400.0
AGENCIES = ("DOA", "DPHHS", "DEQ", "DOJ", "DOT")


def made_up(dice: random.Random, number: int, at: float) -> Evidence:
    """One transaction; every fiftieth is of a mass mailing."""
    mass = number % 50 == 0
    users = dice.randint(201, 4000) if mass else dice.choice((0, 1, 1, 1, 2, 3, 8, 20))
    sender = f"user{dice.randint(0, 5000)}@doa.example.gov"
    agencies = dict.fromkeys(dice.sample(AGENCIES, dice.randint(1, 5) if mass else 1), 1) if users else {}
    facts = Facts(
        size=dice.randint(800, 4_000_000),
        author=(Mailbox("", sender),),
        subject=f"subject {number}",
        links=frozenset({"www.example.gov"}),
    )
    transaction = Transaction("smtp", Client("192.0.2.7"), sender, (), b"")
    counts = Counts(users, dice.choice((0, 0, 1, 2)), agencies)
    audience = Audience(recipients=max(1, min(users, 50)), visible=dice.randint(0, 15))
    standing = Standing(whole=mass)  # of ordinary mail nobody asks the ledger
    return Evidence(transaction, facts, audience, counts, standing, Source(sender, agency=dice.choice(AGENCIES)))


def fill(store: Store, ruleset: Ruleset, decisions: int) -> None:
    """Record so many, over a month that ends now."""
    dice, recorder, now = random.Random(7), Recorder(ruleset), time.time()
    end = store.call(partial(audit_chain.begin, name="bench", now=now - MONTH))
    frames = {recorder.frame.name: recorder.frame.text}
    lines: list[bytes] = []
    first = now - MONTH
    for number in range(decisions):
        at = now - MONTH + MONTH * number / decisions
        evidence, moment = made_up(dice, number, at), datetime.fromtimestamp(at, UTC)
        verdict = judge(ruleset, evidence, moment)
        name = f"M-{number}" if verdict.mass else None
        about = DecisionContext(f"{number:012x}", verdict.action.value, key=number, mailing=name)
        source = f"{hash(evidence.source.mailbox) & (1 << 64) - 1:016x}"
        lines.append(recorder.record(evidence, verdict, moment, about)._replace(source=source).line())
        if len(lines) == 5000 or number == decisions - 1:
            written = audit_chain.RecordGroup(tuple(lines), first, at)
            end = store.call(
                partial(audit_chain.append, end=end, written=written, payload=audit_chain.pack(lines, 6), frames=frames)
            )
            lines, first = [], at


def cpu_of_children() -> float:
    """Seconds of CPU, user and system, of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print what it took."""
    decisions = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    ruleset = read_ruleset(RULES)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/gate.db"
        store = Store(Database(url, 30))
        store.open(writing=False)
        began = time.perf_counter()
        fill(store, ruleset, decisions)
        stored = rulesets.StoredRuleset(ruleset.digest, str(RULES), ruleset.text)
        store.call(partial(rulesets.put_in_force, ruleset=stored, now=time.time()))
        store.close()
        size = Path(folder, "gate.db").stat().st_size
        print(f"recorded {decisions} in {time.perf_counter() - began:.1f} s, {size / decisions:.0f} octets each")
        for name, text in (
            ("the same rules", ruleset.text),
            ("a draft", ruleset.text.replace("over: 2000", "over: 1000")),
        ):
            draft = Path(folder, "draft.yaml")
            draft.write_text(text)
            began, used = time.perf_counter(), cpu_of_children()
            words = (
                str(Path(sys.executable).with_name("gatekeeper")),
                "rules",
                "replay",
                str(draft),
                "--database",
                url,
                "--since",
                "31d",
                "--json",
            )
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
            print(
                f"{name}: {found['judged']} of {found['decisions']} judged in {time.perf_counter() - began:.1f} s, "
                f"{cpu_of_children() - used:.1f} s of CPU, {found['differences']} differences"
            )


if __name__ == "__main__":
    main()
