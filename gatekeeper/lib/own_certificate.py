"""Loads a certificate that we show, as a server or as a client."""

from __future__ import annotations

import ssl
from os import PathLike


def load_own_certificate(
    context: ssl.SSLContext, certificate: str | PathLike[str], key: str | PathLike[str] | None
) -> None:
    """Load a certificate and its key, PEM files, into a context.

    Raises OSError (ssl.SSLError is one) where they cannot be used, as a key with a password: OpenSSL would ask at the
    terminal for it, and the gate would wait there.
    """
    context.load_cert_chain(certificate, key, lambda: "")
