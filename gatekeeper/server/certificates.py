"""Loads the certificate that a listener shows."""

from __future__ import annotations

import ssl
from os import PathLike

from gatekeeper.lib.own_certificate import load_own_certificate
from gatekeeper.settings import SettingsError


def server_context(certificate: str | PathLike[str], key: str | PathLike[str] | None, flags: str) -> ssl.SSLContext:
    """Return the TLS context of a server. Raises SettingsError, which names the flags, where the files are no such."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        load_own_certificate(context, certificate, key)
    except OSError as error:  # ssl.SSLError is one
        expected = "expected a certificate and its key, PEM files"
        raise SettingsError(f"{flags}: {error.strerror or error}; {expected}") from error
    return context
