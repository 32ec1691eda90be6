"""The gate against what people would pick instead, in one interleaved run.

    python -m bench                                 all, five rounds: about a quarter of an hour
    python -m bench --only W1 W2p --rounds 3        some loads
    python -m bench --haraka node_modules/.bin/haraka
    python -m bench --json found.json --plot docs/performance.svg

Each round sends each load through each contender, one after the other, so that what else the machine does meets all of
them alike. Printed are medians and, in brackets, the least and the most: CPU ms a message of the contender's processes
(not of who sends and takes), and messages a second. docs/performance.md says what they showed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sysconfig
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench import contenders, plot
from bench.contenders import Contender
from bench.measure import Results, measure
from bench.workloads import WORKLOADS, Workload

_WITH_MILTERS = ("W1", "W2")
_GATHERED, _TRUSTING = "gate, gathered", "gate, --rcpt trust"
_ONLY = {_GATHERED: ("W4",), _TRUSTING: ("W2", "W4")}  # contender -> the loads that it is measured with


def run(given: argparse.Namespace, folder: Path) -> Results:
    """Start all contenders, and measure them."""
    chosen = [WORKLOADS[name] for name in given.only]
    with ExitStack() as stack:
        direct = stack.enter_context(contenders.sink())
        proxies = [direct, stack.enter_context(contenders.plain_proxy(direct.port))]
        proxies.append(stack.enter_context(contenders.floor(direct.port)))
        proxies.append(stack.enter_context(contenders.gate(direct.port)))
        if any(each.name in _ONLY[_TRUSTING] for each in chosen):
            proxies.append(stack.enter_context(contenders.gate(direct.port, "--rcpt", "trust", name=_TRUSTING)))
        if any(each.name in _ONLY[_GATHERED] for each in chosen):
            proxies.append(stack.enter_context(contenders.gate(direct.port, name=_GATHERED, gathered=True)))
        haraka = contenders.haraka_program(given.haraka)
        if haraka:
            proxies.append(stack.enter_context(contenders.haraka(direct.port, haraka)))
        milters = any(each.name in _WITH_MILTERS for each in chosen) and not given.no_postfix
        servers = stack.enter_context(contenders.postfixes(folder)) if milters else ()
        return measure(chosen, lambda load: _who(load, proxies, servers), given.rounds, given.seconds, folder)


def _loop() -> str:
    """Return the event loop that the gate's processes run on."""
    try:
        return f"uvloop {version('uvloop')}"
    except PackageNotFoundError:
        return "asyncio's own, uvloop is not installed"


def _python() -> str:
    """Return this Python's version and build: one that was built with a profile is faster."""
    asked = str(sysconfig.get_config_var("CONFIG_ARGS"))
    profile = "with profile" if "--enable-optimizations" in asked else "without profile"
    linking = "with LTO" if "--with-lto" in asked else "without LTO"
    return f"Python {platform.python_version()}, {platform.python_compiler()}, {profile}, {linking}"


def _who(load: Workload, proxies: Sequence[Contender], servers: Sequence[Contender]) -> list[Contender]:
    """Who is measured with a load: gathering and trust are of many recipients, milters of few and of very many."""
    chosen = [each for each in proxies if load.name in _ONLY.get(each.name, (load.name,))]
    return chosen + (list(servers) if load.name in _WITH_MILTERS else [])


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS), help="loads")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="that a round of a load should take a contender")
    parser.add_argument("--haraka", default="", help="bin/haraka; the one on the PATH where not named")
    parser.add_argument("--no-postfix", action="store_true", help="without the milters")
    parser.add_argument("--json", type=Path, help="write all that was measured there")
    parser.add_argument("--plot", type=Path, help="write an SVG there")
    given = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        results = run(given, Path(folder))
    print(f"\nload of this machine before: {before:.2f} on {os.cpu_count()} cores; the gate's loop: {_loop()}")
    print(f"{_python()}\n")
    print(results.table())
    if given.json:
        given.json.write_text(json.dumps(results.document(), indent=1))
    if given.plot:
        given.plot.write_text(plot.svg(results))


if __name__ == "__main__":
    main()
