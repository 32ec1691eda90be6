"""OpenID Connect: send people to their issuer, and read what it says of them (Core 1.0, RFC 7636, RFC 9207).

Only the issuer of the settings is ever called. Who somebody is comes from its signed tokens; what they may do never
does.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry, Token

from gatekeeper.address import is_valid, normalise
from gatekeeper.console.identities import CALLBACK, Identity, IssuerError, NotVerified
from gatekeeper.settings import SigningIn

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_METADATA_SECONDS, _KEYS_SECONDS = 3_600.0, 60.0  # how long each is kept at least
_TIMEOUT = 10.0  # seconds
_LEEWAY = 60  # seconds by which clocks may differ
_LOGOUT_SECONDS = 600.0  # for which a logout token is good
_LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
_TENANT = "{tenantid}"  # in the issuer's name of Entra ID for many tenants
_TRUE = (True, "true", 1, "1")
_NEEDED: ClaimsOption = {"essential": True}


@dataclass(slots=True)
class Issuer:
    """The issuer of the settings. Args: `url` of the console; `transport` in the place of the network, for tests."""

    settings: SigningIn
    url: str
    clock: Callable[[], float] = time.time
    transport: httpx2.BaseTransport | None = None
    _metadata: dict[str, Any] = field(default_factory=dict)
    _read_at: float = 0.0
    _asked_at: float = 0.0
    _keys: KeySet | None = None
    _keys_at: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    # -- what it says of itself ----------------------------------------------------------------------------------

    def metadata(self) -> Mapping[str, Any]:
        """Return what the issuer says of itself, an hour old at most where it answers. Raises IssuerError."""
        with self._lock:
            if not self._metadata or self.clock() - self._read_at > _METADATA_SECONDS:
                self._renew()
            return self._metadata

    def learn(self) -> None:
        """Ask what the issuer says of itself before a form leads there, once a minute at most; it may be away now."""
        if not self._metadata and self.clock() - self._asked_at > _KEYS_SECONDS:
            self._asked_at = self.clock()
            with suppress(IssuerError):
                self.metadata()

    def _renew(self) -> None:
        place = f"{self.settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            found = self._get(place)
            self._check(found)
        except IssuerError:
            if not self._metadata:
                raise
        else:
            self._metadata, self._read_at = found, self.clock()

    def _check(self, found: Mapping[str, Any]) -> None:
        named = str(found.get("issuer", ""))
        if named.rstrip("/") != self.settings.oidc_issuer.rstrip("/") and _TENANT not in named:
            raise IssuerError(f"{self.settings.oidc_issuer} calls itself {named}: expected the same name")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(found.get(name), str):
                raise IssuerError(f"{self.settings.oidc_issuer} names no {name}")

    def _get(self, place: str, **headers: str) -> dict[str, Any]:
        try:
            with httpx2.Client(timeout=_TIMEOUT, transport=self.transport) as client:
                answer = client.get(place, headers=headers)
                answer.raise_for_status()
                found = answer.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise IssuerError(f"{place}: {error or type(error).__name__}") from error
        if not isinstance(found, dict):
            raise IssuerError(f"{place}: expected a JSON object")
        return found

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins that forms may lead to: the issuer's, and those of its pages, once these are known."""
        pages = (self._metadata.get(name) for name in ("authorization_endpoint", "end_session_endpoint"))
        known = (urlsplit(str(each)) for each in (self.settings.oidc_issuer, *pages) if each)
        return tuple(dict.fromkeys(f"{each.scheme}://{each.netloc}" for each in known))

    # -- the way there and back ----------------------------------------------------------------------------------

    def begin(self, again: bool) -> tuple[str, dict[str, str]]:
        """Return the address to send a browser to, and what is to be remembered until it is back. Raises IssuerError.

        Args: `again` where somebody is to show once more who they are.
        """
        remembered = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        more = {"prompt": "login", "max_age": "0"} if again else {}
        with self._client() as client:
            place, _ = client.create_authorization_url(
                self.metadata()["authorization_endpoint"],
                state=remembered["state"],
                code_verifier=remembered["verifier"],
                nonce=remembered["nonce"],
                **more,
            )
        return place, remembered | {"again": "yes" if again else ""}

    def _client(self) -> OAuth2Client:
        own = self.settings
        secret = own.oidc_client_secret_file.read_text().strip() if own.oidc_client_secret_file else None
        known = self.metadata().get("token_endpoint_auth_methods_supported") or ("client_secret_basic",)
        way = "client_secret_basic" if "client_secret_basic" in known else "client_secret_post"
        return OAuth2Client(
            own.oidc_client_id,
            secret,
            token_endpoint_auth_method=way if secret else "none",
            scope="openid email profile",
            redirect_uri=f"{self.url}{CALLBACK}",
            code_challenge_method="S256",
            timeout=_TIMEOUT,
            transport=self.transport,
        )

    def finish(self, remembered: Mapping[str, str], query: Mapping[str, str]) -> Identity:
        """Return whom the issuer has let in, by the query with which the browser came back. Raises IssuerError."""
        if not hmac.compare_digest(query.get("state", "").encode(), remembered["state"].encode()):
            raise IssuerError("the answer has another state than was sent")
        self._check_sender(query)
        if "code" not in query:
            raise IssuerError(f"the issuer refused: {query.get('error', 'no code')[:100]}")
        tokens = self._tokens(query["code"], remembered["verifier"])
        id_token = str(tokens.get("id_token", ""))
        token = self._read(
            id_token,
            nonce={"essential": True, "value": remembered["nonce"]},
            sub={"essential": True},
            exp={"essential": True},
        )
        claims = {**self._asked(token, tokens), **token.claims}
        shown = _shown_at(token.claims, self.clock(), asked=bool(remembered["again"]))
        sid = str(claims["sid"]) if "sid" in claims else None
        return Identity(self._address(claims), str(claims["iss"]), str(claims["sub"]), sid, id_token, shown)

    def _check_sender(self, query: Mapping[str, str]) -> None:
        """Raise IssuerError for an answer of another issuer (RFC 9207)."""
        metadata = self.metadata()
        wanted = metadata.get("authorization_response_iss_parameter_supported") is True
        if ("iss" in query or wanted) and query.get("iss") != metadata["issuer"] and _TENANT not in metadata["issuer"]:
            raise IssuerError("the answer is of another issuer")

    def _tokens(self, code: str, verifier: str) -> Mapping[str, Any]:
        try:
            with self._client() as client:
                found = client.fetch_token(
                    self.metadata()["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    redirect_uri=f"{self.url}{CALLBACK}",
                    code_verifier=verifier,
                )
        except (OAuthError, httpx2.HTTPError, ValueError) as error:
            raise IssuerError(f"the issuer takes the code back: {error or type(error).__name__}") from error
        return dict(found)

    def _asked(self, token: Token, tokens: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the claims of the userinfo endpoint where the token lacks the address."""
        place = self.metadata().get("userinfo_endpoint")
        if self.settings.oidc_claim in token.claims or not place or "access_token" not in tokens:
            return {}
        found = self._get(str(place), authorization=f"Bearer {tokens['access_token']}")
        if found.get("sub") != token.claims["sub"]:
            raise IssuerError("the userinfo is of somebody else")
        return found

    def _address(self, claims: Mapping[str, Any]) -> str:
        """Return the address of a claim that the issuer vouches for."""
        own = self.settings
        given = claims.get(own.oidc_claim)
        if not isinstance(given, str) or not is_valid(given):
            raise NotVerified(f"the claim {own.oidc_claim} has no address")
        said = (claims.get("email_verified"), claims.get("xms_edov"))
        vouched = own.oidc_claim == "email" and any(each in _TRUE for each in said)
        if not vouched and not own.oidc_trust_claim:
            raise NotVerified(f"the issuer does not say that {given} is verified")
        return normalise(given)

    # -- tokens --------------------------------------------------------------------------------------------------

    def _read(self, text: str, **wanted: Any) -> Token:
        """Return a token that the issuer has signed for us. Raises IssuerError."""
        try:
            token = self._decode(text)
            name = self.metadata()["issuer"].replace(_TENANT, str(token.claims.get("tid", "")))
            registry = JWTClaimsRegistry(
                now=int(self.clock()),
                leeway=_LEEWAY,
                iss={"essential": True, "value": name},
                aud={"essential": True, "value": self.settings.oidc_client_id},
                iat=_NEEDED,
                **wanted,
            )
            registry.validate(token.claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise IssuerError(f"a token that is not good: {error or type(error).__name__}") from error
        azp = token.claims.get("azp", self.settings.oidc_client_id)
        if azp != self.settings.oidc_client_id:
            raise IssuerError("a token that was made for another client")
        return token

    def _decode(self, text: str) -> Token:
        """Verify a token's signature; where its key is not known, ask for the keys again, once a minute at most."""
        try:
            return jwt.decode(text, self._key_set(), algorithms=_ALGORITHMS)
        except InvalidKeyIdError:
            return jwt.decode(text, self._key_set(anew=True), algorithms=_ALGORITHMS)

    def _key_set(self, anew: bool = False) -> KeySet:
        place = str(self.metadata()["jwks_uri"])
        with self._lock:
            late = self.clock() - self._keys_at > _KEYS_SECONDS
            if self._keys is None or (anew and late):
                self._keys_at = self.clock()
                self._keys = KeySet.import_key_set(self._get(place))  # type: ignore[arg-type]
            return self._keys

    # -- the end -------------------------------------------------------------------------------------------------

    def end_address(self, id_token: str | None) -> str | None:
        """Return the address at which somebody signs out of the issuer too; None where it has none."""
        try:
            place = self.metadata().get("end_session_endpoint")
        except IssuerError:
            return None
        if not place:
            return None
        hint = {"id_token_hint": id_token} if id_token else {}
        own = {"client_id": self.settings.oidc_client_id, "post_logout_redirect_uri": f"{self.url}/signin"}
        return f"{place}{'&' if '?' in place else '?'}{urlencode({**own, **hint})}"

    def read_logout(self, text: str) -> tuple[str, str | None, str | None]:
        """Return whom the issuer says to sign out: issuer, subject, session. Raises IssuerError (Back-Channel 1.0)."""
        token = self._read(text, jti=_NEEDED)
        claims, events = token.claims, token.claims.get("events")
        subject, sid = (str(claims[name]) if name in claims else None for name in ("sub", "sid"))
        late = abs(self.clock() - float(claims["iat"])) > _LOGOUT_SECONDS
        if not isinstance(events, dict) or _LOGOUT not in events or "nonce" in claims or late or not (subject or sid):
            raise IssuerError("a token that signs nobody out")
        return str(claims["iss"]), subject, sid


def _shown_at(claims: Mapping[str, Any], now: float, asked: bool) -> float | None:
    """Return when somebody showed the issuer who they are; where it does not say, now if that was asked for."""
    given = claims.get("auth_time")
    if isinstance(given, int | float) and not isinstance(given, bool):
        return min(float(given), now)
    return now if asked else None
