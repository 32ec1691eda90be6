"""Processes of `gatekeeper`, each begun by a fork of one that has imported it already: most of a start is imports.

    process = start(["serve"], folder, environment, log, log)      # as subprocess.Popen: pid, poll, wait, send_signal
    done = run(["mailing", "list"], folder, environment)           # as subprocess.run

Each is a process of its own, in a session of its own, with its own environment, folder, output and end; only the exec
is left out, which tests that are about the program itself keep. Run as a script this file is the process that forks.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_MOST = 1 << 20  # octets of a request: its words and its environment
_nursery: subprocess.Popen[bytes] | None = None
_beginning = threading.Lock()


class Started:
    """A process that was started; what tests use of subprocess.Popen."""

    def __init__(self, words: Sequence[str], line: socket.socket) -> None:
        self.words, self.returncode, self._line = list(words), None, line
        told = line.recv(32)
        assert told, "the nursery is gone"
        self.pid = int(told)

    returncode: int | None

    def poll(self) -> int | None:
        """Its return code once it has ended, negative for a signal; None before."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its return code when it has ended; subprocess.TimeoutExpired after so many seconds."""
        if self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.words, timeout or 0)
            self.returncode = int(self._line.recv(32))
            self._line.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, where it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def start(words: Sequence[str], folder: Path, environment: Mapping[str, str], out: int, err: int) -> Started:
    """Begin `gatekeeper WORDS` in a folder; `out` and `err` are descriptors of files."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.connect(_address(_begun().pid))
    request = {"words": list(words), "folder": str(folder), "environment": dict(environment)}
    socket.send_fds(line, [json.dumps(request).encode()], [out, err])
    return Started(words, line)


def run(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """`gatekeeper WORDS` to its end, with what it printed; subprocess.TimeoutExpired after so many seconds."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = start(words, folder, environment, out.fileno(), err.fileno())
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise
        printed = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode() for file in (out, err)]
        return subprocess.CompletedProcess(list(words), code, *printed)


def _begun() -> subprocess.Popen[bytes]:
    """The process that forks; one for all tests of this process, and it ends with it."""
    global _nursery
    with _beginning:
        if _nursery is None or _nursery.poll() is not None:
            words = [sys.executable, "-P", __file__]
            _nursery = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, cwd="/"
            )
            atexit.register(_end, _nursery)
            assert _nursery.stdout and _nursery.stdout.readline() == b"ready\n"
    return _nursery


def _end(process: subprocess.Popen[bytes]) -> None:
    process.communicate(timeout=30)  # it ends with its input; what it has begun goes on


def _address(pid: int) -> str:
    return f"\0gatekeeper-nursery-{pid}"


# -- the process that forks --------------------------------------------------------------------------------------


def _import_all() -> None:
    import gc

    import alembic.command
    import alembic.config  # noqa: F401
    import psycopg  # noqa: F401
    import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401
    import uvloop  # noqa: F401

    from gatekeeper.cli import main as commands
    from gatekeeper.service import gate, supervisor, worker  # noqa: F401

    assert dict(commands.commands)  # each is imported when it is looked at
    gc.collect()
    gc.freeze()


def _next_request(listener: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork for each request; returns in the process that is to become what was asked for, and nowhere else."""
    while True:
        readable, _, _ = select.select([listener, 0], [], [])
        if 0 in readable:
            os._exit(0)  # who has started us is gone
        line, _ = listener.accept()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if os.fork():
            line.close()
            continue
        listener.close()
        text, descriptors, _, _ = socket.recv_fds(line, _MOST, 2)
        pid = os.fork()
        if not pid:
            line.close()
            return json.loads(text), descriptors
        _wait_for(pid, line, descriptors)


def _wait_for(pid: int, line: socket.socket, descriptors: list[int]) -> None:
    """Say who it is, and how it has ended, if anybody still listens."""
    for each in (0, *descriptors):
        os.close(each)
    with contextlib.suppress(OSError):
        line.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        line.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    from importlib import reload

    from gatekeeper.cli import main
    from gatekeeper.lib import failpoints

    os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    nothing = os.open(os.devnull, os.O_RDWR)
    for number, each in enumerate((nothing, *descriptors)):
        os.dup2(each, number)
        os.close(each)
    reload(failpoints)  # it reads the environment when it is imported
    sys.argv = ["gatekeeper", *request["words"]]
    try:
        main(prog_name="gatekeeper")
    except SystemExit as end:
        _leave(end.code)


def _leave(code: object) -> None:
    """End as Python does, but for clearing all memory: it is the nursery's, and each page would be copied first."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    if isinstance(code, str):
        print(code, file=sys.stderr, flush=True)
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    _import_all()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(_address(os.getpid()))
        door.listen(64)
        print("ready", flush=True)
        asked = _next_request(door)
    _become(*asked)
