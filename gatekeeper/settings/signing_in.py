"""Settings of the console: how people sign in, and for how long."""

from __future__ import annotations

from pathlib import Path

from gatekeeper.lib.immutable import immutable
from gatekeeper.settings.readers import Endpoint, Network, SettingsError

_MANY_TENANTS = ("common", "organizations", "consumers")  # of Entra ID: anybody can be anybody there


@immutable
class SigningIn:
    """How people sign in to the console."""

    console_tls_cert: Path | None = None
    console_tls_key: Path | None = None
    signin: tuple[str, ...] = ("local",)
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret_file: Path | None = None
    oidc_claim: str = "email"
    oidc_trust_claim: bool = False
    proxy_header: str = ""
    proxy_networks: tuple[Network, ...] = ()
    session_idle: float = 1_800.0
    session_limit: float = 43_200.0

    def check(self, place: Endpoint) -> None:
        """Raise SettingsError for a missing file, or a method without what it needs. Args: `place` to listen."""
        for path in filter(None, (self.console_tls_cert, self.console_tls_key, self.oidc_client_secret_file)):
            if not path.is_file():
                raise SettingsError(f"{path}: no such file, which the console is to read")
        if "oidc" in self.signin and not (self.oidc_issuer and self.oidc_client_id):
            raise SettingsError("--signin oidc: expected --oidc-issuer and --oidc-client-id too")
        if "proxy" in self.signin and not (self.proxy_header and (self.proxy_networks or place.path)):
            raise SettingsError("--signin proxy: expected --proxy-header, and --proxy-networks or a unix socket, too")
        if self.oidc_trust_claim and not set(self.oidc_issuer.split("/")).isdisjoint(_MANY_TENANTS):
            raise SettingsError(
                f"--oidc-trust-claim with {self.oidc_issuer}: expected the issuer of one tenant, since whoever has a "
                "tenant of their own writes any address into that claim"
            )
