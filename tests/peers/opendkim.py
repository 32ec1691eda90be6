"""A real OpenDKIM that signs the mail of a domain, with a key made for it.

with OpenDkim("doa.example.gov") as signer:
    ...                                  # a mail server with smtpd_milters=signer.milter
    assert signer.verifies(content)      # by another program's reading of the signature
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.peers import free_port, listens, require, wait_for

SELECTOR = "gate"
CONFIGURATION = """\
Socket inet:{port}@127.0.0.1
Domain {domain}
Selector {selector}
KeyFile {home}/key
RequireSafeKeys no
Canonicalization relaxed/simple
InternalHosts 127.0.0.1
Mode s
Background no
Syslog no
"""


class OpenDkim:
    """One signer. Args: it signs what is From that `domain`."""

    def __init__(self, domain: str) -> None:
        self._program = require("opendkim")
        self._domain, self.port = domain, free_port()
        self._home = Path(tempfile.mkdtemp(prefix="dkim-"))
        key = rsa.generate_private_key(65537, 2048)
        (self._home / "key").write_bytes(_private(key))
        self._record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(_public(key))
        values = {"port": self.port, "domain": domain, "selector": SELECTOR, "home": self._home}
        (self._home / "conf").write_text(CONFIGURATION.format_map(values))

    @property
    def milter(self) -> str:
        """Its address, in Postfix's notation."""
        return f"inet:127.0.0.1:{self.port}"

    def __enter__(self) -> OpenDkim:
        with (self._home / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [self._program, "-f", "-x", str(self._home / "conf")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            wait_for(lambda: listens(self.port), lambda: (self._home / "output").read_text())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        shutil.rmtree(self._home)

    def verifies(self, content: bytes) -> bool:
        """True where the message has one signature, which is of this domain and key and fits the message."""
        signed = re.findall(rb"^DKIM-Signature: .*(?:\r\n[ \t].*)*", content, re.MULTILINE)
        name = f"{SELECTOR}._domainkey.{self._domain}.".encode()

        def look_up(asked: bytes, timeout: int = 5) -> bytes | None:
            return self._record if asked == name else None

        return len(signed) == 1 and bool(dkim.verify(content, dnsfunc=look_up))


def _private(key: rsa.RSAPrivateKey) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _public(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
