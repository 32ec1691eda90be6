"""A real Postfix of our own: its configuration, queue and log in a folder of its own, apart from the system's.

with Postfix(relayhost=f"[127.0.0.1]:{gate.port}", main={"default_destination_recipient_limit": "5000"}) as postfix:
    smtplib.SMTP("127.0.0.1", postfix.port).sendmail(...)
    postfix.wait_empty()

`async with` does the same beside an event loop that has a Sink to run. A Postfix can also keep all that it gets:

with Postfix(receives=True) as postfix:      # ... postfix.mails()
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.peers import free_port, listens, missing, require, wait_for

SERVICES = """\
pickup     unix n - n 60    1 pickup
cleanup    unix n - n -     0 cleanup
qmgr       unix n - n 300   1 qmgr
rewrite    unix - - n -     - trivial-rewrite
bounce     unix - - n -     0 bounce
defer      unix - - n -     0 bounce
trace      unix - - n -     0 bounce
verify     unix - - n -     1 verify
flush      unix n - n 1000? 0 flush
proxymap   unix - - n -     - proxymap
proxywrite unix - - n -     1 proxymap
smtp       unix - - n -     - smtp
relay      unix - - n -     - smtp
showq      unix n - n -     - showq
error      unix - - n -     - error
retry      unix - - n -     - error
discard    unix - - n -     - discard
local      unix - n n -     - local
virtual    unix - n n -     - virtual
anvil      unix - - n -     1 anvil
scache     unix - - n -     1 scache
tlsmgr     unix - - n 1000? 1 tlsmgr
postlog    unix-dgram n - n - 1 postlogd
"""
SETTINGS = {
    "compatibility_level": "3.6",
    "myhostname": "mx.example.gov",
    "mydomain": "example.gov",
    "mydestination": "",
    "mynetworks": "127.0.0.0/8",
    "inet_interfaces": "loopback-only",
    "inet_protocols": "ipv4",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "local_header_rewrite_clients": "",  # else it adds Date and Message-ID to what loopback sends
    "smtp_dns_support_level": "disabled",
    "smtpd_peername_lookup": "no",
    "smtpd_recipient_restrictions": "permit_mynetworks,reject",
    "smtpd_recipient_limit": "20000",
    "smtpd_client_connection_count_limit": "0",
    "message_size_limit": "104857600",
    "notify_classes": "",
    "in_flow_delay": "0",
    "queue_run_delay": "5s",
    "minimal_backoff_time": "2s",
    "maximal_backoff_time": "5s",
    "maillog_file_prefixes": "/tmp",
}


@dataclass(frozen=True)
class Delivered:
    """One copy that a receiving Postfix put into its maildir."""

    sender: str
    recipient: str
    content: bytes = field(repr=False)  # with CRLF line ends and without what delivery put in front


class Postfix:
    """One instance.

    Args: `relayhost` is where all mail goes, in Postfix's own notation; `main` are further lines of main.cf; `services`
    further lines of master.cf; `smtpd` options (`-o name=value`) of the smtpd on `port`; `receives` keeps all mail in a
    maildir instead of sending it on; with `chroot` smtpd and cleanup see the queue folder alone, as Debian has it.
    """

    def __init__(
        self,
        *,
        relayhost: str = "",
        main: Mapping[str, str] | None = None,
        services: Sequence[str] = (),
        smtpd: Mapping[str, str] | None = None,
        receives: bool = False,
        chroot: bool = False,
    ) -> None:
        self.postfix = require("postfix")
        if os.geteuid() != 0:
            missing("root, which Postfix's master needs")
        self.port = free_port()
        self.home = Path(tempfile.mkdtemp(prefix="pf-", dir="/tmp"))  # sockets in it need a short path
        self.settings = {**SETTINGS, **self._folders(), "relayhost": relayhost}
        if receives:
            self.settings |= self._receiving()
        self.settings |= main or {}
        self.services, self.smtpd, self.chroot = services, smtpd or {}, chroot

    def _folders(self) -> dict[str, str]:
        return {
            "queue_directory": str(self.home / "queue"),
            "data_directory": str(self.home / "data"),
            "maillog_file": str(self.home / "log"),
        }

    def _receiving(self) -> dict[str, str]:
        """Every recipient's copy goes into one maildir; Delivered-To says whose it is."""
        return {
            "default_transport": "virtual:",
            "virtual_mailbox_base": str(self.home / "mail"),
            "virtual_mailbox_maps": "static:inbox/",
            "virtual_mailbox_limit": "0",
            "virtual_uid_maps": "static:65534",
            "virtual_gid_maps": "static:65534",
        }

    # -- life --

    def __enter__(self) -> Postfix:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Postfix:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def start(self) -> None:
        """Write the configuration, start the master and wait until its smtpd answers."""
        self._write()
        self.run("postfix", "start")
        wait_for(lambda: listens(self.port), lambda: f"no smtpd on {self.port}: {self.log()[-2000:]}")

    def _write(self) -> None:
        self.home.chmod(0o755)
        for name, owner in (("config", "root"), ("queue", "root"), ("data", "postfix"), ("mail", "nobody")):
            (self.home / name).mkdir(exist_ok=True)
            shutil.chown(self.home / name, owner)
        options = "".join(f"\n  -o {name}={value}" for name, value in self.smtpd.items())
        confined = "y" if self.chroot else "n"
        listener = f"127.0.0.1:{self.port} inet n - {confined} - - smtpd{options}\n"
        own = SERVICES.replace("cleanup    unix n - n", f"cleanup    unix n - {confined}")
        services = own + listener + "".join(f"{line}\n" for line in self.services)
        (self.home / "config/master.cf").write_text(services)
        (self.home / "config/main.cf").write_text("".join(f"{k} = {v}\n" for k, v in self.settings.items()))

    def stop(self) -> None:
        """End this instance and nothing else, and remove its folder. Fine to call twice."""
        if not self.home.exists():
            return
        pid = self.pid
        if pid is not None:
            self.run("postfix", "stop", check=False)
            self._kill(pid)
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def pid(self) -> int | None:
        """Of the master that runs in our folder; None where none does."""
        try:
            pid = int((self.home / "queue/pid/master.pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if runs(pid) and _works_in(pid, self.home / "queue") else None

    def _kill(self, pid: int) -> None:
        """End the master's process group where `postfix stop` did not."""
        with suppress(AssertionError):
            wait_for(lambda: self.pid is None, lambda: "master is still there", 10)
        if self.pid == pid:
            os.killpg(pid, signal.SIGKILL)

    # -- questions --

    def run(self, program: str, *words: str, check: bool = True) -> str:
        """Run one of Postfix's programs on this instance; its output."""
        command = [require(program), "-c", str(self.home / "config"), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, f"{program} {words}: {done.stdout}{done.stderr}{self.log()[-2000:]}"
        return done.stdout

    def log(self) -> str:
        """All of its log so far."""
        path = self.home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def queue(self) -> list[dict[str, Any]]:
        """What is in its queue, as `postqueue -j` tells: queue_name, sender, recipients with delay_reason."""
        return [json.loads(line) for line in self.run("postqueue", "-j").splitlines()]

    def flush(self) -> None:
        """Try all that is deferred now."""
        self.run("postqueue", "-f")

    def wait_empty(self, seconds: float = 60.0) -> None:
        """Wait until all that it took has left it."""
        wait_for(lambda: not self.queue(), lambda: f"still queued: {self.queue()[:3]}", seconds, 0.1)

    def mails(self) -> list[Delivered]:
        """What a receiving instance was given, a copy a recipient."""
        return [_read(path) for path in sorted((self.home / "mail/inbox/new").glob("*"))]


def runs(pid: int) -> bool:
    """True where that process does anything; one that has ended and waits to be collected does not."""
    with suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


def _works_in(pid: int, folder: Path) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cwd").resolve() == folder
    return False


def _read(path: Path) -> Delivered:
    """Take off what virtual(8) put in front: Return-Path, X-Original-To, Delivered-To."""
    octets = path.read_bytes()
    sender = re.match(rb"Return-Path: <(.*)>\n", octets)
    rest = octets[sender.end() :] if sender else octets
    while found := re.match(rb"(X-Original-To|Delivered-To): (.*)\n", rest):
        recipient, rest = found[2], rest[found.end() :]
        if found[1] == b"Delivered-To":
            break
    assert sender and found, octets[:200]
    return Delivered(sender[1].decode(), recipient.decode(), rest.replace(b"\n", b"\r\n"))
