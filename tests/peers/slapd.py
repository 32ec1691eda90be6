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
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/msuser.schema
{head}
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {home}/pid
database mdb
maxsize 1073741824
suffix "{suffix}"
directory {home}/data
access to * by dn.exact="{reader}" read by anonymous auth by * none
sizelimit size.soft=100 size.hard=100 size.pr=unlimited size.prtotal={most}
"""


class Slapd:
    """One server.

    Args: `ldif` are the entries below SUFFIX; `head` are global lines of slapd.conf; `most` is how many entries a paged
    search gives at most.
    """

    def __init__(self, folder: Path, ldif: str, *, head: str = "", most: int | str = "unlimited") -> None:
        self.program = require("slapd")
        self.home, self.port = folder / "slapd", free_port()
        self.home.mkdir()
        (self.home / "data").mkdir()
        given = {"suffix": SUFFIX, "reader": READER, "password": PASSWORD}
        config = _CONFIG.format(home=self.home, head=head, most=most, **given)
        (self.home / "slapd.conf").write_text(config)
        base = f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n"
        reader = f"dn: {READER}\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: {PASSWORD}\n\n"
        (self.home / "data.ldif").write_text(base + reader + ldif)
        add = Path(self.program).with_name("slapadd")
        words = [str(add), "-q", "-f", str(self.home / "slapd.conf"), "-l", str(self.home / "data.ldif")]
        added = subprocess.run(words, capture_output=True, text=True, check=False)
        assert added.returncode == 0, added.stderr
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
