"""TLS towards a next hop: by which CAs it is verified, and which certificate of ours it is shown."""

from __future__ import annotations

import logging
import ssl
from functools import partial

from gatekeeper.lib.own_certificate import load_own_certificate
from gatekeeper.lib.renewed import Renewed
from gatekeeper.settings import SettingsError

log = logging.getLogger("gatekeeper.delivery")


class ClientTls:
    """What a connection to one next hop is encrypted with (RFC 8446, and RFC 5246 where the other side has no more)."""

    def __init__(self, ca: str | None = None, certificate: str = "", key: str = "", *, verifies: bool = True) -> None:
        """Verify against the system's CAs, or those of the file `ca` alone, and show a certificate where one is named.

        Raises SettingsError where a file cannot be used. Args: PEM files; `key` is not needed where `certificate` holds
        the key too.
        """
        if ca:
            _check(ca)  # so that all other errors are those of the certificate
        make, what = partial(_make, ca, certificate, key or None, verifies), f"CA file {ca}"
        if certificate:
            what = f"our certificate {certificate}"
        try:
            self._tls = Renewed(make, (ca, certificate, key), log, f"next hop: {what}")
        except OSError as error:  # ssl.SSLError is one
            expected = "expected a certificate and its key, PEM files"
            raise SettingsError(f"--next-hop: cert {certificate}: {error.strerror or error}; {expected}") from error

    @classmethod
    def unverified(cls) -> ClientTls:
        """Return opportunistic TLS: better than none, but it proves nothing (RFC 7435)."""
        return cls(verifies=False)

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection, with our certificate and their CAs as the files are now."""
        return self._tls.now()


def _make(ca: str | None, certificate: str, key: str | None, verifies: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    if certificate:
        load_own_certificate(context, certificate, key)
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _check(ca: str) -> None:
    try:
        ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise SettingsError(
            f"--next-hop: CA file cannot be read: {error}; expected a file of PEM certificates"
        ) from error
