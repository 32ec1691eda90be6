"""Whom an OpenID Connect issuer has let in, and what may be wrong with its answers.

Without an issuer nothing of the protocol is loaded: `oidc.py` takes 15 MB and a tenth of a second.
"""

from __future__ import annotations

from dataclasses import field

from gatekeeper.lib.immutable import immutable

CALLBACK = "/signin/oidc/callback"


class IssuerError(Exception):
    """An issuer that cannot be asked, or whose answer cannot be used; the text is for the log."""


class NotVerified(IssuerError):
    """An address that the issuer does not vouch for."""


@immutable
class Identity:
    """Whom an issuer has let in, and when they last showed it who they are."""

    address: str
    issuer: str
    subject: str
    sid: str | None
    id_token: str = field(repr=False)
    shown_at: float | None = None
