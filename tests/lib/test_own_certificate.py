"""A certificate whose key has a password is an error; nobody is asked for it at a terminal."""

from __future__ import annotations

import os
import pty
import signal
import sys

import pytest
from cryptography.hazmat.primitives import serialization

from tests.peers import wait_for
from tests.peers.certificates import make_certificate

SCRIPT = """
import sys
from gatekeeper.settings import SettingsError
try:
    {}
except SettingsError:
    sys.exit(7)
"""
AS_SERVER = "from gatekeeper.server.certificates import server_context as load; load(*sys.argv[1:], '--tls-cert')"
AS_CLIENT = "from gatekeeper.delivery.client_tls import ClientTls as load; load(None, *sys.argv[1:])"


@pytest.mark.parametrize("load", [AS_SERVER, AS_CLIENT], ids=["server", "client"])
def test_a_key_with_a_password_is_refused_at_once(tmp_path, load):
    files = make_certificate(tmp_path)
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    files.key.write_bytes(key.private_bytes(pem, form, locked))
    script = SCRIPT.format(load)
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, [sys.executable, "-c", script, str(files.certificate), str(files.key)])
    ended = []
    try:
        wait_for(lambda: ended or ended.extend(filter(any, [os.waitpid(child, os.WNOHANG)])), str, 20)
        assert os.waitstatus_to_exitcode(ended[0][1]) == 7
    finally:
        os.close(terminal)
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
