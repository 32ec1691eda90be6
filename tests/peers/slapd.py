"""A real OpenLDAP server with a folder and a port of its own, with what it is given to know.

with Slapd(tmp_path, entries) as ldap:
    ... f"ldap://127.0.0.1:{ldap.port}" ...
    ldap.stop()
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.peers import free_port, listens, require, wait_for

SUFFIX = "dc=example,dc=gov"
READER, PASSWORD = f"cn=reader,{SUFFIX}", "not a secret"
_CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {home}/pid
database mdb
maxsize 10485760
suffix "{suffix}"
rootdn "{reader}"
rootpw "{password}"
directory {home}/data
access to * by dn.exact="{reader}" read by anonymous auth by * none
sizelimit size.soft=100 size.hard=100 size.pr=50 size.prtotal=unlimited
"""


class Slapd:
    """One server. Args: `ldif` are the entries below SUFFIX."""

    def __init__(self, folder: Path, ldif: str) -> None:
        self.program = require("slapd")
        self.home, self.port = folder / "slapd", free_port()
        self.home.mkdir()
        (self.home / "data").mkdir()
        config = _CONFIG.format(home=self.home, suffix=SUFFIX, reader=READER, password=PASSWORD)
        (self.home / "slapd.conf").write_text(config)
        base = f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n"
        (self.home / "data.ldif").write_text(base + ldif)
        add = Path(self.program).with_name("slapadd")
        subprocess.run(
            [str(add), "-q", "-f", str(self.home / "slapd.conf"), "-l", str(self.home / "data.ldif")],
            check=True,
            capture_output=True,
        )
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Slapd:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self) -> None:
        """Begin to answer."""
        words = ["-d", "0", "-f", str(self.home / "slapd.conf"), "-h", f"ldap://127.0.0.1:{self.port}"]
        log = (self.home / "log").open("ab")
        self.process = subprocess.Popen([self.program, *words], stdout=log, stderr=log)
        wait_for(lambda: listens(self.port), lambda: (self.home / "log").read_text())

    def stop(self) -> None:
        """Answer no more."""
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None
