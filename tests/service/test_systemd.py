"""What a service manager passes to the gate, and is told: systemd's own tool, and a parent like it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys

import pytest

from gatekeeper.service.systemd import passed_sockets, signs_of_life, tell
from gatekeeper.settings import SettingsError
from tests.faults.scene import Downstream, asleep, message, people, send
from tests.peers import require, wait_for
from tests.peers.gate import PROGRAM, Gate
from tests.workers.scene import acknowledged, streams

# What systemd does before exec: descriptors from 3 on, and its process id in the environment.
_PASS = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="smtp")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """Holds the listening socket of a gate, and starts the gate with it, again and again."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.socket = socket.create_server(("127.0.0.1", gate.port), backlog=512)
        gate.within = [sys.executable, "-c", _PASS, str(self.socket.fileno())]
        gate.pass_fds = [self.socket.fileno()]

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@pytest.mark.parametrize("workers", ["1", pytest.param("3", marks=pytest.mark.soak)])
def test_a_restart_under_load_refuses_no_connection_and_loses_nothing(workers):
    with Downstream() as downstream, asleep(downstream.address, flags=["--workers", workers]) as gate, Manager(gate):
        gate.environment["TMPDIR"] = str(gate.home)
        gate.start()
        with streams(gate, 20) as (running, contents):
            for _ in range(2):
                before = acknowledged(running)
                wait_for(lambda before=before: acknowledged(running) > before + 20, gate.log, 60)
                gate.terminate()
                gate.start()
            before = acknowledged(running)
            wait_for(lambda before=before: acknowledged(running) > before + 20, gate.log, 60)
        # a stream that was refused, or sent away before its message, has ended with an error
        assert [stream.error for stream in running] == [None] * 20
        taken = [name for stream in running for name in stream.acknowledged]
        assert len(taken) == len(set(taken)) > 60
        for name in taken:
            assert downstream.copies(contents[name]).total() == 1


def test_workers_share_a_socket_that_was_passed():
    with Downstream() as downstream, asleep(downstream.address, flags=["--workers", "2"]) as gate, Manager(gate):
        gate.environment["TMPDIR"] = str(gate.home)
        gate.start()
        assert send(gate, people(1), message("hello")).startswith("250")


def test_systemds_own_tool_starts_a_gate_with_a_socket_and_hears_that_it_is_ready(tmp_path):
    activate = require("systemd-socket-activate")
    with Downstream() as downstream, asleep(downstream.address) as gate:
        where = str(tmp_path / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.bind(where)
            line.settimeout(60)
            environment = gate.environment | {"NOTIFY_SOCKET": where, "GATEKEEPER_LISTEN": "192.0.2.1:25"}
            passed = [f"--setenv={name}" for name in environment if name.startswith(("GATEKEEPER_", "NOTIFY_"))]
            words = [activate, f"--listen=127.0.0.1:{gate.port}", "--fdname=smtp", *passed, str(PROGRAM), "serve"]
            process = subprocess.Popen(words, env=environment, cwd=gate.home, stderr=subprocess.DEVNULL)
            try:
                wait_for(lambda: _connects(gate.port), str)
                assert line.recv(100) == b"READY=1"
                assert send(gate, people(1), message("hello")).startswith("250")
                process.send_signal(signal.SIGTERM)
                assert line.recv(100) == b"STOPPING=1"
                assert process.wait(60) == 0
            finally:
                process.kill()
                process.wait()


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


# -- by itself -----------------------------------------------------------------------------------------------------


def test_sockets_meant_for_another_process_are_left_alone():
    assert passed_sockets({"LISTEN_FDS": "2", "LISTEN_PID": "1"}) == {}
    assert passed_sockets({}) == {}


def test_a_socket_of_an_unknown_name_is_said():
    code = (
        "import os; from gatekeeper.service.systemd import passed_sockets\n"
        "passed_sockets({'LISTEN_FDS': '1', 'LISTEN_PID': str(os.getpid()), 'LISTEN_FDNAMES': 'http'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import os; os.dup2(0, 3)\n{code}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert SettingsError.__name__ in done.stderr


def test_nobody_is_told_where_nobody_listens(tmp_path):
    tell("READY=1", environment={})
    tell("READY=1", environment={"NOTIFY_SOCKET": str(tmp_path / "none")})


@pytest.mark.parametrize("abstract", [False, True])
async def test_the_watchdog_is_told_again_and_again(tmp_path, abstract):
    name = f"gatekeeper-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{name}" if abstract else str(tmp_path / name))
        environment = {"NOTIFY_SOCKET": f"@{name}" if abstract else str(tmp_path / name), "WATCHDOG_USEC": "30000"}
        signs = signs_of_life(environment)
        signs.start()
        for _ in range(3):
            assert await asyncio.to_thread(line.recv, 100) == b"WATCHDOG=1"
        await signs.stop()


async def test_a_watchdog_that_watches_nobody_or_another_is_not_told():
    assert signs_of_life({}) is None
    assert signs_of_life({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}) is None
