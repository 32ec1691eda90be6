"""A running gate: `gatekeeper serve` as a process of its own (`nursery.py`), on free ports, in a folder of its own.

with Gate(next_hop=f"smtp://127.0.0.1:{sink.port}", rules=RULES) as gate:
    code, text = gate.send("head@doa.example.gov", people, content)
    held = gate.ask("mailing", "list", "--state", "held")
    gate.kill()                                  # SIGKILL
    gate.start()                                 # on the same ports, folder and database
    gate.cli("mailing", "approve", "M-1", "--by", "cio@example.gov")

gate.start(kill_at="sealed:1") makes the process kill itself at a named step (gatekeeper.lib.failpoints).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.peers import free_port, nursery, wait_for
from tests.store.databases import lay_out, memory

PROGRAM = Path(sys.executable).with_name("gatekeeper")
PATIENCE = 90.0  # seconds that a process may take to get ready or to end, on a busy machine
RULES = """\
version: 1
title: Mass electronic mail
contact: servicedesk@example.gov, 406-555-0100
timezone: UTC
agencies:
  DOA: {name: Administration, domains: [doa.example.gov, "*.doa.example.gov"]}
  DPHHS: {name: Health, domains: [dphhs.example.gov]}
people:
  cio@example.gov: {roles: [approver, auditor], final: true}
  head@doa.example.gov: {roles: [requester], of: [DOA]}
mailing: {source: sender, within: 24h}
mass: {people: {over: 200}}
rules:
  - id: approval
    when: {users: {over: 2000}, agencies: {over: 1}}
    then: hold
    say: This mailing reaches {users} users in {agencies} agencies and needs approval.
  - id: subject
    when: {mass: true, subject: {missing: true}}
    then: reject
    say: Add a subject line.
  - id: blind-copy
    when: {mass: true, visible: {over: 20}}
    then: reject
    say: Move the {visible} addresses in To and Cc to Bcc.
  - id: attachments
    when: {mass: true, attachments: {over: 0}}
    then: warn
    say: Link to the file instead.
"""


class Gate:
    """One gate and what its commands need to work on the same ledger.

    Args: `next_hop` as `--next-hop` has it; `rules` the text of rules.yaml; `flags` of `serve`; `database` an address,
    else an SQLite file in the folder, with its tables; `environment` adds to or overrides GATEKEEPER_*; `files` are
    further files of the folder, such as lists/all-staff.txt; `host` is where it listens; `within` is what
    `gatekeeper serve` is run by.
    """

    def __init__(
        self,
        next_hop: str,
        *,
        rules: str = RULES,
        flags: Sequence[str] = (),
        database: str | None = None,
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        within: Sequence[str] = (),
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="gate-", dir=memory()))
        self.host, self.within = host, list(within)
        self.pass_fds: list[int] = []
        self.port, self.ops = free_port(), free_port()
        self.flags = list(flags)
        self.environment = self._environment(next_hop, database) | dict(environment or {})
        self.process: subprocess.Popen[bytes] | nursery.Started | None = None
        self._output: IO[bytes] | None = None
        for name, text in {"rules.yaml": rules, **(files or {})}.items():
            self.write(name, text)
        if database is None:
            lay_out(self.home / "gate.db")  # its first start would go through all migrations

    def _environment(self, next_hop: str, database: str | None) -> dict[str, str]:
        outside = {name: value for name, value in os.environ.items() if not name.startswith("GATEKEEPER_")}
        return outside | {
            "GATEKEEPER_LISTEN": f"{self.host}:{self.port}",
            "GATEKEEPER_OPS": f"{self.host}:{self.ops}",
            "GATEKEEPER_CONSOLE": "off",
            "GATEKEEPER_RULES": str(self.home / "rules.yaml"),
            "GATEKEEPER_DATABASE": database or f"sqlite:///{self.home / 'gate.db'}",
            "GATEKEEPER_NEXT_HOP": next_hop,
        }

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder; SIGHUP (`reload`) makes the gate read rules.yaml again."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    # -- life --

    def __enter__(self) -> Gate:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    async def __aenter__(self) -> Gate:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.__exit__)

    def start(self, *, kill_at: str = "", wait: bool = True) -> None:
        """Start `gatekeeper serve`, and wait until it is ready unless told not to.

        Args: `kill_at` is `STEP:N`: the process ends by SIGKILL when it passes that step for the Nth time.
        """
        assert not self.running, "the gate runs already"
        environment = self.environment | ({"GATEKEEPER_KILL_AT": kill_at} if kill_at else {})
        self._output = (self.home / "log").open("ab")
        words = ["serve", *self.flags]
        self.process = self._run_within(words, environment) if self.within else self._fork(words, environment)
        if wait:
            self.wait_ready()

    def _fork(self, words: list[str], environment: dict[str, str]) -> nursery.Started:
        assert self._output is not None
        return nursery.start(words, self.home, environment, self._output.fileno(), self._output.fileno())

    def _run_within(self, words: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self.within, str(PROGRAM), *words],
            cwd=self.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
            pass_fds=self.pass_fds,
        )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_ready(self) -> None:
        """Wait until /readyz says so; AssertionError with the log where the process ends before."""

        def ready() -> bool:
            assert self.running, f"serve ended with {self.process and self.process.returncode}: {self.log()[-3000:]}"
            return self.page("/readyz")[0] == 200

        wait_for(ready, lambda: f"not ready: {self.page('/readyz')}: {self.log()[-3000:]}", PATIENCE)

    def wait_dead(self) -> int:
        """Wait until the process has ended by itself; its return code (-9: by SIGKILL)."""
        assert self.process is not None, "the gate was never started"
        code = self.process.wait(PATIENCE)
        self._close()
        return code

    def kill(self) -> None:
        """End it by SIGKILL, as a crash does. Fine where it has ended."""
        self._signal(signal.SIGKILL)

    def terminate(self) -> int:
        """End it by SIGTERM, which drains; the return code."""
        return self._signal(signal.SIGTERM)

    def reload(self) -> None:
        """Send SIGHUP."""
        assert self.process is not None and self.running, "the gate does not run"
        self.process.send_signal(signal.SIGHUP)

    def _signal(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        if self.running:
            os.killpg(self.process.pid, how)  # a session of its own: nobody else is in that group
        try:
            return self.wait_dead()
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.wait_dead()
            raise AssertionError(f"{how.name}: still there after {PATIENCE:.0f} s: {self.log()[-3000:]}") from None

    def _close(self) -> None:
        if self._output is not None:
            self._output.close()
            self._output = None

    # -- talking to it --

    def cli(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run another `gatekeeper` command on the same settings; with `check`, AssertionError where it fails."""
        done = nursery.run(words, self.home, self.environment, 120)
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def ask(self, *words: str) -> Any:
        """What a command says with --json, read."""
        return json.loads(self.cli(*words, "--json").stdout)

    def mailings(self, state: str | None = None) -> list[dict[str, Any]]:
        """The mailings, of one state where it is named."""
        listed = self.ask("mailing", "list", *(["--state", state] if state else []))
        assert isinstance(listed, list), listed
        return listed

    def send(self, sender: str, recipients: Sequence[str], content: bytes, client_address: str = "") -> tuple[int, str]:
        """One transaction; code and text of its end, or of the step that was refused."""
        bound = (client_address, 0) if client_address else None
        with smtplib.SMTP(self.host, self.port, "client.example.gov", 60, bound) as client:
            client.ehlo()
            code, text = client.mail(sender)
            for recipient in recipients if code == 250 else ():
                code, text = client.rcpt(recipient)
                if code >= 400:
                    break
            if code >= 400:
                return code, text.decode()
            try:
                code, text = client.data(content)
            except smtplib.SMTPDataError as error:
                code, text = error.smtp_code, error.smtp_error if isinstance(error.smtp_error, bytes) else b""
            return code, text.decode()

    # -- looking at it --

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of a page of the ops port; (0, why) where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.ops}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metric(self, name: str, **labels: str) -> float:
        """A sample of /metrics; 0 where it is not there."""
        for line in self.page("/metrics")[1].splitlines():
            found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if found and found[1] == name and dict(re.findall(r'(\w+)="([^"]*)"', found[2] or "")) == labels:
                return float(found[3])
        return 0.0

    def log(self) -> str:
        """All that the gate has written so far, over its lives."""
        path = self.home / "log"
        return path.read_text(errors="replace") if path.exists() else ""
