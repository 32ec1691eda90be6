"""A network of the test's own: a hub and nodes, each in a network namespace, each cable can be cut.

The hub is where Postgres, the next hop and the senders are: `run` calls a function in a thread that lives there, and
what that thread starts, threads and processes alike, lives there too.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.peers import wait_for

HUB, NETWORK = "10.77.0.1", "10.77.0.0/24"
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_libc = ctypes.CDLL(None, use_errno=True)


def address(node: int) -> str:
    return f"10.77.0.{10 + node}"


class Network:
    """The hub and so many nodes, from 1; `possible` says whether this machine lets us have namespaces."""

    def __init__(self, nodes: int) -> None:
        self._keepers = [_keep_namespace() for _ in range(nodes + 1)]
        self._ip(0, "link add hub type bridge")
        self._ip(0, f"addr add {HUB}/24 dev hub")
        for each in range(nodes + 1):
            self._ip(each, "link set lo up")
        self._ip(0, "link set hub up")
        for node in range(1, nodes + 1):
            self._ip(0, f"link add node{node} type veth peer name cable netns {self._keepers[node].pid}")
            self._ip(0, f"link set node{node} master hub up")
            self._ip(node, f"addr add {address(node)}/24 dev cable")
            self._ip(node, "link set cable up")

    def within(self, node: int) -> list[str]:
        """What runs a program in that node."""
        return ["nsenter", f"--net=/proc/{self._keepers[node].pid}/ns/net"]

    def cut(self, node: int) -> None:
        """Pull the cable: what is sent is lost, and nobody is told."""
        self._ip(0, f"link set node{node} nomaster")

    def mend(self, node: int) -> None:
        self._ip(0, f"link set node{node} master hub")

    def run(self, scenario: Callable[..., Any], *given: Any) -> Any:
        """Call the function in the hub, and return what it returns or raise what it raises."""
        outcome: list[Any] = []

        def in_the_hub() -> None:
            try:
                _enter(self._keepers[0].pid)
                outcome.extend((None, scenario(*given)))
            except BaseException as error:
                outcome.append(error)

        thread = threading.Thread(target=in_the_hub, name="hub")
        thread.start()
        thread.join()
        if outcome[0] is not None:
            raise outcome[0]
        return outcome[1]

    def close(self) -> None:
        """End the namespaces; their cables go with them."""
        for keeper in self._keepers:
            keeper.kill()
            keeper.wait()

    def _ip(self, node: int, words: str) -> None:
        subprocess.run([*self.within(node), "ip", *words.split()], check=True)


def possible() -> bool:
    """Whether we may make network namespaces here."""
    trial = ["unshare", "--net", "ip", "link", "add", "x", "type", "veth", "peer", "name", "y"]
    return subprocess.run(trial, capture_output=True).returncode == 0


@contextmanager
def network(nodes: int) -> Iterator[Network]:
    """A network, gone afterwards; the test is skipped where namespaces are not allowed."""
    if not possible():
        pytest.skip("network namespaces are not allowed here")
    made = Network(nodes)
    try:
        yield made
    finally:
        made.close()


def _keep_namespace() -> subprocess.Popen[bytes]:
    holding = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"]
    keeper = subprocess.Popen(holding, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    ours = os.readlink("/proc/self/ns/net")
    wait_for(lambda: Path(f"/proc/{keeper.pid}/comm").read_text() == "sleep\n", lambda: "no namespace")
    assert os.readlink(f"/proc/{keeper.pid}/ns/net") != ours
    return keeper


def _enter(process: int) -> None:
    descriptor = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
    try:
        if _libc.setns(descriptor, _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)
