"""A real Sendmail of our own: its configuration, queue and process in a folder of its own.

with Sendmail(next_hop=sink.port, lines="INPUT_MAIL_FILTER(...)dnl") as sendmail:
    smtplib.SMTP("127.0.0.1", sendmail.port).sendmail(...)
    sendmail.wait_empty()

Debian's package of it cannot be installed beside Postfix's: tests/sendmail/fetch.sh unpacks it into a folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.peers import free_port, listens, missing, require, wait_for

UNPACKED = Path(__file__).resolve().parents[2] / ".peers/sendmail"
GROUP = "nogroup"  # of the user that it runs as, once it has its ports
# Machines that run tests are busy: a Sendmail that looked at the load would send nothing, or take no mail in.
CONFIGURATION = """\
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `mx.example.gov')dnl
define(`QUEUE_DIR', `{home}/queue')dnl
define(`STATUS_FILE', `{home}/status')dnl
define(`confPID_FILE', `{home}/pid')dnl
define(`confSERVICE_SWITCH_FILE', `{home}/switch')dnl
define(`confCW_FILE', `-o {home}/none')dnl
define(`ALIAS_FILE', `')dnl
define(`HELP_FILE', `')dnl
define(`confRUN_AS_USER', `nobody:nogroup')dnl
define(`confTO_IDENT', `0')dnl
define(`confQUEUE_LA', `10000')dnl
define(`confREFUSE_LA', `10000')dnl
define(`SMART_HOST', `esmtp:[127.0.0.1]')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h {next_hop}')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`promiscuous_relay')dnl
DAEMON_OPTIONS(`Port={port}, Addr=127.0.0.1, Name=MTA')dnl
{lines}
MAILER(`smtp')dnl
"""


class Sendmail:
    """One instance. Args: all its mail goes to the port `next_hop`; `lines` are further ones of sendmail.mc."""

    def __init__(self, next_hop: int, lines: str = "") -> None:
        self._program = UNPACKED / "usr/libexec/sendmail/sendmail"
        if not (UNPACKED / "ready").exists():
            missing("Sendmail, which tests/sendmail/fetch.sh unpacks")
        if os.geteuid() != 0:
            missing("root, which Sendmail's daemon begins as")
        self._compiler = require("m4")
        self.port, self._next_hop, self._lines = free_port(), next_hop, lines
        self.home = Path(tempfile.mkdtemp(prefix="sm-", dir="/tmp"))  # sockets in it need a short path
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Sendmail:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Write the configuration, start the daemon and wait until it answers."""
        self._write()
        with (self.home / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [*_with_a_domain(), str(self._program), "-C", str(self.home / "cf"), "-bD", "-q1s"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_for(lambda: listens(self.port), lambda: f"no Sendmail on {self.port}: {self.output()}")

    def _write(self) -> None:
        self.home.chmod(0o755)
        (self.home / "queue").mkdir()
        shutil.chown(self.home / "queue", "nobody", GROUP)
        (self.home / "switch").write_text("hosts files\n")  # no DNS
        values = {"home": self.home, "next_hop": self._next_hop, "port": self.port, "lines": self._lines}
        source = UNPACKED / "usr/share/sendmail/cf"
        made = subprocess.run(
            [self._compiler, f"-D_CF_DIR_={source}/", str(source / "m4/cf.m4"), "-"],
            input=CONFIGURATION.format_map(values),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        (self.home / "cf").write_text(made.stdout)

    def stop(self) -> None:
        """End this instance and nothing else, and remove its folder. Fine to call twice."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            for process in self._others():  # it delivers in processes that it does not wait for
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)

    def _others(self) -> list[int]:
        """Processes that work in our queue."""
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (each / "cwd").resolve().is_relative_to(self.home):
                    found.append(int(each.name))
        return found

    def output(self) -> str:
        """What it has said on its standard output."""
        return (self.home / "output").read_text(errors="replace")

    def queue(self) -> list[str]:
        """Control files of what waits in its queue."""
        return [path.read_text(errors="replace") for path in (self.home / "queue").glob("[hq]f*") if path.exists()]

    def wait_empty(self, seconds: float = 60.0) -> None:
        """Wait until all that it took has left it."""
        wait_for(lambda: not self.queue(), lambda: f"still queued: {self.queue()[:2]}", seconds, 0.1)


def _with_a_domain() -> list[str]:
    """A command before its own. It wants the machine's name to have a domain, else it waits for one for a minute."""
    if "." in socket.gethostname():
        return []
    command = [require("unshare"), "--uts", "sh", "-c", 'hostname mx.example.gov && exec "$@"', "sh"]
    if subprocess.run([*command, "true"], capture_output=True, timeout=60).returncode:
        missing("a host name with a domain, or leave to have one of our own (unshare --uts)")
    return command
