"""A child process of the supervisor: started, listened to, and replaced when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gatekeeper.lib.failpoints import VARIABLE as KILL_AT
from gatekeeper.service.messages import CONSOLE, END, OFFICE, RELOAD, Report, StartParameters

log = logging.getLogger("gatekeeper.supervisor")
_LONG_LIFE = 10.0  # seconds, after which an end is no sign that the next life will be short
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
# -P: what lies in the working directory is not ours to import.
_PROGRAM = (sys.executable, "-P", "-m")
_MODULES = {CONSOLE: "gatekeeper.service.console"}
_WORKER = "gatekeeper.service.worker"


@dataclass(slots=True)
class Child:
    """One worker, the office, or the console.

    Args: `environment` of the process; `changed` is called whenever `report` has changed, which is None while the
    process is not ready; `replaced` is called when the process has ended without being told to.
    """

    name: str
    orders: StartParameters
    environment: Mapping[str, str]
    changed: Callable[[], None]
    replaced: Callable[[str], None]
    report: Report | None = None
    _process: asyncio.subprocess.Process | None = None
    _line: asyncio.StreamWriter | None = None
    _ending: asyncio.Event = field(default_factory=asyncio.Event)
    _keeping: asyncio.Task[None] | None = None
    _short_lives: int = 0

    @property
    def kind(self) -> str:
        """`worker`, `office` or `console`."""
        return self.name if self.name in (OFFICE, CONSOLE) else "worker"

    def start(self) -> None:
        """Start the process, and another one whenever it ends, until `end`."""
        self._keeping = asyncio.create_task(self._keep())

    def reload(self) -> None:
        """Tell the process to read the rules anew."""
        self._say(RELOAD)

    async def end(self, patience: float) -> None:
        """Tell the process to end, and wait until it has; kill it after `patience` seconds."""
        self._ending.set()
        self._say(END)
        if self._keeping is None:
            return
        _, late = await asyncio.wait([self._keeping], timeout=patience)
        if late and self._process:
            log.error("%s has not ended in %.0f s and is killed", self.name, patience)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._keeping

    def _say(self, word: bytes) -> None:
        if self._line and not self._line.is_closing():
            self._line.write(word)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._ending.is_set():
            began = loop.time()
            end = await self._live()
            if self._ending.is_set():
                return
            pause = self.pause_after(loop.time() - began)
            log.error("%s ended: %s; its replacement starts %s", self.name, end, f"in {pause:g} s" if pause else "now")
            self.replaced(self.kind)
            self.environment = {name: value for name, value in self.environment.items() if name != KILL_AT}
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), pause)

    def pause_after(self, lived: float) -> float:
        """Return the pause before the next start, in seconds: none at first, longer after each short life."""
        self._short_lives = self._short_lives + 1 if lived < _LONG_LIFE else 0
        if self._short_lives < 2:
            return 0.0
        return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._short_lives - 2, 20))

    async def _live(self) -> str:
        """Run the process once; returns how it ended."""
        ours, theirs = socket.socketpair()
        try:
            self._process = await self._spawn(theirs)
        except OSError as error:
            ours.close()
            return f"it could not be started: {error.strerror}"
        finally:
            theirs.close()
        log.info("%s is process %d", self.name, self._process.pid)
        reading = asyncio.create_task(self._converse(ours))
        code = await self._process.wait()
        await reading
        return _ended(code)

    async def _spawn(self, line: socket.socket) -> asyncio.subprocess.Process:
        passed = [line.fileno(), *(door for doors in self.orders.doors.values() for door in doors)]
        return await asyncio.create_subprocess_exec(
            *_PROGRAM,
            _MODULES.get(self.name, _WORKER),
            self.name,
            str(line.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            env=self.environment,
            pass_fds=passed,
        )

    async def _converse(self, line: socket.socket) -> None:
        """Send the start parameters, and take in reports until the process has ended."""
        reader, self._line = await asyncio.open_unix_connection(sock=line)
        self._say(self.orders.encode())
        if self._ending.is_set():
            self._say(END)
        with contextlib.suppress(ConnectionError):
            async for report in reader:
                if report.endswith(b"\n"):  # else it was killed in mid-word
                    self._set(Report.decode(report))
        self._line.close()
        self._set(None)

    def _set(self, report: Report | None) -> None:
        if report and (self.report is None or self.report.digest != report.digest):
            log.info("%s is ready: rules %s, digest %s", self.name, report.title, report.digest[:12])
        self.report = report
        self.changed()


def _ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def environment_of_children(folder: os.PathLike[str]) -> dict[str, str]:
    """Return the environment of a process that keeps its counters in the folder."""
    return {**os.environ, "PROMETHEUS_MULTIPROC_DIR": os.fspath(folder)}
