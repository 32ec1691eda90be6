"""How late mail is for what happens on the console: `python -m bench.beside_console [--rounds 5]`.

A gate that starts its console, and one message after the other through it: while nobody looks, while twenty people
click, while one opens a held message of 45 MB that was made to be slow, and while the console is stopped. The figure is
the middling time of a message, each beside the quiet one of the same round.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from statistics import median

from tests.peers import free_port, wait_for
from tests.peers.gate import RULES, Gate
from tests.store.arrivals import people

APPROVER, CLICKERS, MESSAGES = "cio@example.gov", 20, 100
SMALL = RULES.replace("over: 2000", "over: 20").replace("over: 200}", "over: 10}")
ORDINARY = b"From: clerk@doa.example.gov\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"
HEAD = (
    b"From: clerk@doa.example.gov\r\nSubject: A bomb\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n"
)
BOMB = HEAD + base64.encodebytes(b"<div><table><b>" * 2_200_000).replace(b"\n", b"\r\n")
PLACES = ("/waiting", "/mailings", "/mailings/M-1", "/requests")
OF_BOMB = ("/mailings/M-1", "/mailings/M-1/messages/1", "/mailings/M-1?view=text")


class Visitor:
    """Somebody who is signed in at the console."""

    def __init__(self, gate: Gate, url: str) -> None:
        """Sign in by a link."""
        self._url = url
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        link = gate.cli("account", "link", APPROVER, "--console", url.partition("//")[2]).stdout.strip()
        self._opener.open(urllib.request.Request(link, data=b"")).read()

    def open(self, place: str) -> None:
        """Open a page."""
        try:
            self._opener.open(self._url + place, timeout=120).read()
        except OSError:
            time.sleep(0.2)  # it was killed, or has no memory left: mail is what is measured


def middling(gate: Gate) -> float:
    """Milliseconds that a message takes, of the middling one of many."""
    found = []
    for number in range(MESSAGES):
        began = time.perf_counter()
        code, text = gate.send(f"a{number}-{time.time_ns()}@doa.example.gov", ["one@doa.example.gov"], ORDINARY)
        found.append((time.perf_counter() - began) * 1000)
        assert code == 250, text
    return median(found)


@contextmanager
def meanwhile(*works: Callable[[], None]) -> Iterator[None]:
    """Repeat each work in a thread of its own, until the end."""
    ended = threading.Event()

    def repeat(work: Callable[[], None]) -> None:
        while not ended.is_set():
            work()

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def clicks(visitor: Visitor) -> Callable[[], None]:
    """A person who opens a page a second."""

    def click() -> None:
        for place in PLACES:
            visitor.open(place)
            time.sleep(1.0)

    return click


@contextmanager
def stopped(gate: Gate) -> Iterator[None]:
    """The console is stopped (SIGSTOP)."""
    process = int(re.findall(r"console is process (\d+)", gate.log())[-1])
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def measure(rounds: int) -> dict[str, list[float]]:
    """Middling times by what happens on the console, a figure a round."""
    port = free_port()
    url, found = f"http://127.0.0.1:{port}", {}
    with Gate("maildir:out", rules=SMALL, environment={"GATEKEEPER_CONSOLE": f"127.0.0.1:{port}"}) as gate:
        wait_for(lambda: _serves(url), lambda: gate.log())
        assert gate.send("clerk@doa.example.gov", people(30), BOMB)[0] == 250
        visitors = [Visitor(gate, url) for _ in range(CLICKERS)]
        bomb = [lambda place=place: visitors[0].open(place) for place in OF_BOMB]  # type: ignore[misc]
        middling(gate)  # warm
        for _ in range(rounds):
            found.setdefault("quiet", []).append(middling(gate))
            with meanwhile(*map(clicks, visitors)):
                found.setdefault("twenty people click", []).append(middling(gate))
            with meanwhile(*bomb):
                found.setdefault("a bomb is opened, thrice at once", []).append(middling(gate))
            with stopped(gate):
                found.setdefault("the console is stopped", []).append(middling(gate))
    return found


def _serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/livez", timeout=1) as page:
            return bool(page.status == 200)
    except OSError:
        return False


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    found = measure(parser.parse_args().rounds)
    quiet = median(found["quiet"])
    for name, times in found.items():
        print(f"{name:36} {median(times):6.2f} ms  {100 * (median(times) / quiet - 1):+5.1f} %")


if __name__ == "__main__":
    main()
