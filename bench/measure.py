"""Rounds that take turns, and what came of them."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import cpu
from bench.contenders import FLOOR, Contender
from bench.workloads import Workload, send
from tests.peers import wait_for

_MOST = 20_000  # messages a round


@dataclass(frozen=True)
class Round:
    """One round of one load through one contender."""

    load: str
    contender: str
    messages: int
    seconds: float
    cpu: float  # seconds

    @property
    def rate(self) -> float:
        return self.messages / self.seconds

    @property
    def cost(self) -> float:
        """CPU milliseconds a message."""
        return 1000 * self.cpu / self.messages


@dataclass
class Results:
    """All rounds."""

    loads: Sequence[Workload]
    rounds: list[Round] = field(default_factory=list)

    def of(self, load: str, contender: str) -> list[Round]:
        return [each for each in self.rounds if each.load == load and each.contender == contender]

    def contenders(self, load: str) -> list[str]:
        """Who was measured with a load, in their order."""
        return list(dict.fromkeys(each.contender for each in self.rounds if each.load == load))

    def cost(self, load: str, contender: str) -> float:
        """The median of CPU milliseconds a message."""
        return statistics.median(each.cost for each in self.of(load, contender))

    def rate(self, load: str, contender: str) -> float:
        """The median of messages a second."""
        return statistics.median(each.rate for each in self.of(load, contender))

    def table(self) -> str:
        """As Markdown: how many times less CPU than the first contender that relays, and times as much as the floor."""
        lines = [
            "| load | | CPU ms a message | messages a second | times less CPU | times the floor |",
            "| --- | --- | ---: | ---: | ---: | ---: |",
        ]
        for load in self.loads:
            names = self.contenders(load.name)
            lines += [self._line(load.name, name, names[1]) for name in names]
        return "\n".join(lines)

    def _line(self, load: str, name: str, baseline: str) -> str:
        rounds = self.of(load, name)
        cost = max(self.cost(load, name), 1e-9)
        times = f"{self.cost(load, baseline) / cost:.1f} | {cost / self.cost(load, FLOOR):.1f}"
        relays = name != "direct" and "Postfix" not in name
        costs, rates = _spread([each.cost for each in rounds], 3), _spread([each.rate for each in rounds], 3)
        return f"| {load} | {name} | {costs if name != 'direct' else ''} | {rates} | {times if relays else ' | '} |"

    def document(self) -> list[dict[str, object]]:
        return [asdict(each) for each in self.rounds]


def _spread(found: list[float], digits: int) -> str:
    middle, least, most = statistics.median(found), min(found), max(found)
    return f"{_short(middle, digits)} ({_short(least, digits)} to {_short(most, digits)})"


def _short(number: float, digits: int) -> str:
    return f"{number:,.0f}" if number >= 10 ** (digits - 1) else f"{number:.{digits}g}"


def measure(
    loads: Sequence[Workload], who: Callable[[Workload], list[Contender]], rounds: int, seconds: float, folder: Path
) -> Results:
    """Send each load through each contender that `who` names, in turns, after a round that is not counted."""
    results = Results(loads)
    counts = {(load.name, each.name): _enough(load, each, seconds, folder) for load in loads for each in who(load)}
    for number in range(rounds):
        for load in loads:
            for each in who(load):
                found = _round(load, each, counts[load.name, each.name], folder, f"{number}")
                results.rounds.append(found)
                print(f"{number} {load.name} {each.name}: {found.cost:.3f} ms, {found.rate:.1f}/s", file=sys.stderr)
    return results


def _enough(load: Workload, contender: Contender, seconds: float, folder: Path) -> int:
    """How many messages take it about so long."""
    found = _round(load, contender, load.least, folder, "first")
    most = _MOST // load.recipients + 20
    return max(load.least, min(most, round(found.rate * seconds)))


def _round(load: Workload, contender: Contender, messages: int, folder: Path, name: str) -> Round:
    before, began = cpu.seconds(contender.process), time.perf_counter()
    send(load, contender.port, messages, folder, f"{contender.name} {name}")
    taken = time.perf_counter() - began
    wait_for(contender.is_idle, lambda: f"{contender.name} is not done", 300, 0.2)
    return Round(load.name, contender.name, messages, taken, cpu.seconds(contender.process) - before)
