"""TLS towards a next hop: by which CAs it is verified, and which certificate of ours it is shown."""

from __future__ import annotations

import logging
import os
import ssl
from contextlib import suppress

from gatekeeper.lib.own_certificate import load_own_certificate
from gatekeeper.settings import SettingsError

log = logging.getLogger("gatekeeper.delivery")
_Files = tuple[tuple[int, int, int], ...]  # of each file its inode, size and time of change


class ClientTls:
    """What a connection to one next hop is encrypted with (RFC 8446, and RFC 5246 where the other side has no more)."""

    def __init__(self, ca: str | None = None, certificate: str = "", key: str = "") -> None:
        """Verify against the system's CAs, or those of the file `ca` alone, and show a certificate where one is named.

        Raises SettingsError where a file cannot be used. Args: PEM files; `key` is not needed where `certificate` holds
        the key too.
        """
        self._context = _verifying(ca)
        self._certificate, self._key = certificate, key or None
        self._files: _Files = ()
        if certificate:
            try:
                self._load()
            except OSError as error:  # ssl.SSLError is one
                expected = "expected a certificate and its key, PEM files"
                raise SettingsError(f"--next-hop: cert {certificate}: {_say(error)}; {expected}") from error

    @classmethod
    def unverified(cls) -> ClientTls:
        """Return opportunistic TLS: better than none, but it proves nothing (RFC 7435)."""
        made = cls()
        made._context.check_hostname = False
        made._context.verify_mode = ssl.CERT_NONE
        return made

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection, with our certificate as its files are now.

        Where they cannot be used, as in the middle of a renewal, the certificate before is shown still, and it is
        logged once.
        """
        if self._certificate and (files := self._look()) != self._files:
            try:
                self._load()
                log.info("next hop: our certificate was read again from %s", self._certificate)
            except OSError as error:
                self._files = files
                log.warning(
                    "next hop: our certificate %s cannot be read: %s; the one before is shown until it can",
                    self._certificate,
                    _say(error),
                )
        return self._context

    def _load(self) -> None:
        """Read the files, into a context apart at first: one that fails halfway has lost what it had."""
        files = self._look()
        for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self._context):
            load_own_certificate(context, self._certificate, self._key)
        self._files = files

    def _look(self) -> _Files:
        found = []
        for path in filter(None, (self._certificate, self._key)):
            with suppress(OSError):
                status = os.stat(path)
                found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(found)


def _say(error: OSError) -> str:
    return str(error.strerror or error)


def _verifying(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise SettingsError(
            f"--next-hop: CA file cannot be read: {error}; expected a file of PEM certificates"
        ) from error
