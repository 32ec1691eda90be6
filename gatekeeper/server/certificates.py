"""Loads the certificate that a listener shows, and the CAs by which it verifies those of its clients."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from gatekeeper.lib.own_certificate import load_own_certificate
from gatekeeper.lib.renewed import Renewed
from gatekeeper.settings import Listening, SettingsError

log = logging.getLogger("gatekeeper.smtp")


def server_context(certificate: str | PathLike[str], key: str | PathLike[str] | None, flags: str) -> ssl.SSLContext:
    """Return the TLS context of a server. Raises SettingsError, which names the flags, where the files are no such."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        load_own_certificate(context, certificate, key)
    except OSError as error:  # ssl.SSLError is one
        expected = "expected a certificate and its key, PEM files"
        raise SettingsError(f"{flags}: {error.strerror or error}; {expected}") from error
    return context


def names_on(shown: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the dNSNames of a certificate that was verified, as `ssl.getpeercert` gives it; () without one."""
    return tuple(name for kind, name in (shown or {}).get("subjectAltName", ()) if kind == "DNS")


def listener_tls(settings: Listening) -> Renewed[ssl.SSLContext] | None:
    """Return the TLS of the SMTP listener, which follows its files when they are renewed; None without a certificate.

    With --client-cert-ca clients are asked for a certificate, and those that show none, but not those that show one
    that cannot be verified, may go on. Raises SettingsError where a file cannot be used.
    """
    certificate, key, ca = settings.tls_cert, settings.tls_key, settings.client_cert_ca
    if certificate is None:
        return None
    files = (certificate, key, ca)
    make = _Making(certificate, key, ca)
    make.check()
    what = f"--tls-cert {certificate}" + (f" or --client-cert-ca {ca}" if ca else "")
    return Renewed(make, files, log, what)


class _Making:
    """Makes the context of the SMTP listener; called whenever its files have changed."""

    def __init__(self, certificate: Path, key: Path | None, ca: Path | None) -> None:
        self._certificate, self._key, self._ca = certificate, key, ca

    def check(self) -> None:
        """Raise SettingsError, which names the flag, where a file cannot be used."""
        server_context(self._certificate, self._key, "--tls-cert and --tls-key")
        try:
            self()
        except OSError as error:
            expected = "expected PEM certificates of the CAs whose clients are known"
            raise SettingsError(f"--client-cert-ca: {error.strerror or error}; {expected}") from error

    def __call__(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self._ca)
        load_own_certificate(context, self._certificate, self._key)
        if self._ca:
            context.verify_mode = ssl.CERT_OPTIONAL
        return context
