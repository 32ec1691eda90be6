"""What is measured: each listens on a port of this machine, and sends on to one smtp-sink."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers import free_port, listens, require, wait_for
from tests.peers.gate import Gate
from tests.peers.postfix import Postfix

FLOOR = "floor"
_HERE = Path(__file__).parent
_WAITING = re.compile(r'^gatekeeper_(?:mailings\{state="gathering"\}|queue\{.*?\}) (\S+)', re.MULTILINE)


@dataclass(frozen=True)
class Contender:
    """One of those that are compared. `process` is the one whose CPU is counted, with its children."""

    name: str
    port: int
    process: int
    is_idle: Callable[[], bool] = lambda: True  # nothing of what was sent is still on its way


@contextmanager
def sink() -> Iterator[Contender]:
    """Postfix's own next hop that throws all away."""
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
    # without -C and -F it offers XCLIENT and XFORWARD, and answers the first wrongly
    running = subprocess.Popen([require("smtp-sink"), *user, "-C", "-F", "-m", "2048", f"127.0.0.1:{port}", "1024"])
    with _running(running, port):
        yield Contender("direct", port, running.pid)


@contextmanager
def _running(process: subprocess.Popen[bytes], port: int) -> Iterator[None]:
    try:
        wait_for(lambda: listens(port), lambda: f"{process.args!r} does not listen")
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def plain_proxy(next_hop: int) -> Iterator[Contender]:
    """The usual aiosmtpd and aiosmtplib."""
    port = free_port()
    running = subprocess.Popen([sys.executable, "-m", "bench.plain_proxy", str(port), str(next_hop)])
    with _running(running, port):
        yield Contender("aiosmtpd+aiosmtplib", port, running.pid)


@contextmanager
def floor(next_hop: int) -> Iterator[Contender]:
    """The cheapest gate that can be written in Python."""
    port = free_port()
    with _folder("floor-") as home:
        running = subprocess.Popen([sys.executable, "-m", "bench.floor", str(port), str(next_hop), home])
        with _running(running, port):
            yield Contender(FLOOR, port, running.pid)


def shipped_rules(*, gathered: bool) -> str:
    """The rules that the project ships; not gathered, 100 recipients are no batch of somebody's cut-up mail."""
    rules = (_HERE.parent / "rules.yaml").read_text()
    if gathered:
        return re.sub(r"quiet: \w+", "quiet: 2s", rules)
    return re.sub(r"gather: \{at: .*?\]", "gather: {at: [50, 500, 1000]", rules)


def gate_on(next_hop: str, *flags: str, gathered: bool = False) -> Gate:
    """A gate with the shipped rules."""
    words = ["--log-level", "info", "--max-connections-per-client", "2000", *flags]
    return Gate(next_hop, rules=shipped_rules(gathered=gathered), flags=words)


@contextmanager
def gate(next_hop: int, *flags: str, name: str = "gate", gathered: bool = False) -> Iterator[Contender]:
    """The gate's SMTP listener, one worker, SQLite."""
    with gate_on(f"smtp://127.0.0.1:{next_hop}", *flags, gathered=gathered) as running:
        assert running.process is not None

        def is_idle() -> bool:
            page = running.page("/metrics")[1]
            waiting = re.findall(
                r'^gatekeeper_(?:mailings\{state="gathering"\}|queue\{.*?\}) (\S+)', page, re.MULTILINE
            )
            return not any(float(number) for number in waiting)

        yield Contender(name, running.port, running.process.pid, is_idle)


@contextmanager
def haraka(next_hop: int, program: Path) -> Iterator[Contender]:
    """Haraka with its smtp_proxy, as `npm install Haraka` gives it. Args: `program` is its bin/haraka."""
    port = free_port()
    with ExitStack() as stack:
        home = Path(stack.enter_context(_folder("haraka-")))
        subprocess.run([str(program), "-i", str(home)], check=True, capture_output=True)
        _configure_haraka(home, port, next_hop)
        output = stack.enter_context((home / "log").open("wb"))
        running = subprocess.Popen([str(program), "-c", str(home)], stdout=output, stderr=output)
        stack.enter_context(_running(running, port))
        yield Contender("Haraka", port, running.pid)


def _configure_haraka(home: Path, port: int, next_hop: int) -> None:
    files = {
        "smtp.ini": f"listen=127.0.0.1:{port}\nnodes=0\n",
        "smtp_proxy.ini": f"host=127.0.0.1\nport={next_hop}\n",
        "plugins": "relay\nqueue/smtp_proxy\n",
        "databytes": "104857600\n",
        "relay.ini": "[relay]\nacl=true\n",
        "relay_acl_allow": "127.0.0.0/8\n",
        "loglevel": "ERROR\n",
        "log.ini": "[main]\nlevel=error\n",
    }
    for name, text in files.items():
        (home / "config" / name).write_text(text)


@contextmanager
def _folder(prefix: str) -> Iterator[str]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix=prefix) as made:
        yield made


# -- Postfix -----------------------------------------------------------------------------------------------------


@contextmanager
def postfix(name: str, milter: str = "") -> Iterator[Contender]:
    """A Postfix that throws away what it took in. Args: `milter` as `smtpd_milters` has it."""
    settings = {"default_transport": "discard:", "smtpd_milters": milter, "milter_default_action": "tempfail"}
    with Postfix(main={**settings, "milter_protocol": "6", "default_process_limit": "100"}) as running:
        assert running.pid is not None
        yield Contender(name, running.port, running.pid, lambda: not running.queue())


@contextmanager
def noop_milter(folder: Path) -> Iterator[str]:
    """A C milter that does nothing, compiled here; its address as Postfix wants it."""
    program, path = folder / "noop_milter", folder / "noop.socket"
    source = str(_HERE / "noop_milter.c")
    subprocess.run([require("cc"), "-O2", "-o", str(program), source, "-lmilter", "-lpthread"], check=True)
    running = subprocess.Popen([str(program), f"unix:{path}"])
    try:
        wait_for(path.exists, lambda: "the milter does not listen")
        path.chmod(0o666)
        yield f"unix:{path}"
    finally:
        running.kill()
        running.wait()


@contextmanager
def our_milter(folder: Path) -> Iterator[tuple[str, int]]:
    """The gate as a milter on a unix socket: its address as Postfix wants it, and its process."""
    path = folder / "gate.socket"
    with gate_on("smtp://127.0.0.1:9", "--milter", f"unix:{path}") as running:
        assert running.process is not None
        path.chmod(0o666)
        yield f"unix:{path}", running.process.pid


@contextmanager
def postfixes(folder: Path) -> Iterator[Sequence[Contender]]:
    """Postfix alone, with the C milter, and with ours."""
    folder.chmod(0o755)
    with ExitStack() as stack:
        noop = stack.enter_context(noop_milter(folder))
        ours, _ = stack.enter_context(our_milter(folder))
        names = (("Postfix", ""), ("Postfix, C no-op milter", noop), ("Postfix, our milter", ours))
        yield [stack.enter_context(postfix(name, milter)) for name, milter in names]


def haraka_program(path: str) -> Path | None:
    """Where Haraka is: as named, else on the PATH; None where it is not installed."""
    found = path or shutil.which("haraka")
    return Path(found) if found else None
