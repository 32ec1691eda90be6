"""OpenID Connect against an issuer of ours that says what it likes: what is believed, and what is not."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from starlette.testclient import TestClient

from gatekeeper.console.app import make_app
from gatekeeper.console.desk import Desk
from gatekeeper.console.oidc import Issuer
from gatekeeper.ledger.signins import Signins, login_of
from gatekeeper.settings import SigningIn
from tests.console.test_pages import CIO, SMALL, URL, form_of
from tests.ledger.scene import DEPUTY, Scene

NAME = "https://login.example.gov"
EVENT = {"http://schemas.openid.net/event/backchannel-logout": {}}
OLD, NEW = (RSAKey.generate_key(2048, {"kid": kid}) for kid in ("old", "new"))
FORGED = RSAKey.generate_key(2048, {"kid": "old"})


class Place:
    """An issuer that answers as a test wants it to."""

    def __init__(self, clock):
        self.clock, self.key, self.keys, self.asked = clock, OLD, [OLD], []
        self.claims = {"email": CIO, "email_verified": True, "sub": "u-1", "sid": "s-1"}
        self.userinfo, self.metadata, self.header, self.down = {}, {}, {}, False
        self.nonce = ""

    def __call__(self, request):
        path = request.url.path
        self.asked.append(path)
        if self.down:
            raise httpx2.ConnectError("no way there")
        if path.endswith("openid-configuration"):
            return httpx2.Response(200, json=self.configuration())
        if path == "/keys":
            return httpx2.Response(200, json=KeySet(self.keys).as_dict())
        if path == "/me":
            return httpx2.Response(200, json=self.userinfo)
        self.taken = dict(parse_qsl(request.content.decode())), request.headers.get("authorization", "")
        if self.taken[0]["code"] != "good":
            return httpx2.Response(400, json={"error": "invalid_grant"})
        tokens = {"access_token": "a", "token_type": "Bearer", "id_token": self.token(nonce=self.nonce)}
        return httpx2.Response(200, json=tokens)

    def configuration(self):
        return {
            "issuer": NAME,
            "authorization_endpoint": "https://pages.example.gov/authorize",
            "end_session_endpoint": "https://pages.example.gov/logout",
            "token_endpoint": f"{NAME}/token",
            "userinfo_endpoint": f"{NAME}/me",
            "jwks_uri": f"{NAME}/keys",
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def token(self, **more):
        now = int(self.clock())
        claims = {"iss": NAME, "aud": "gate", "iat": now, "exp": now + 300, **self.claims, **more}
        kept = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": self.key.kid, **self.header}
        return jwt.encode(header, kept, self.key, algorithms=["RS256", "HS256", "none"])


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, SMALL)


@pytest.fixture
def place(scene):
    return Place(scene.clock)


@pytest.fixture
def own(tmp_path):
    (tmp_path / "secret").write_text("s3cret&\n")
    return SigningIn(
        signin=("oidc", "local"),
        oidc_issuer=NAME,
        oidc_client_id="gate",
        oidc_client_secret_file=tmp_path / "secret",
    )


def desk_of(scene, place, own):
    issuer = Issuer(own, URL, scene.clock, httpx2.MockTransport(place))
    return Desk(lambda: scene.service, Signins(scene.store, clock=scene.clock), URL, own, oidc=issuer)


@pytest.fixture
def desk(scene, place, own):
    return desk_of(scene, place, own)


def at(desk):
    return TestClient(make_app(desk), base_url=URL, follow_redirects=False, client=("192.0.2.7", 50_000))


def begin(place, client, wanted="/account"):
    """What the issuer is asked."""
    sent = client.post("/signin/oidc", data={"next": wanted})
    assert sent.status_code == 303, sent.text
    asked = dict(parse_qsl(urlsplit(sent.headers["location"]).query))
    place.nonce = asked["nonce"]
    return asked


def come_back(client, asked, **changes):
    query = {"code": "good", "state": asked["state"], "iss": NAME, **changes}
    return client.get("/signin/oidc/callback", params={name: value for name, value in query.items() if value})


def sign_in(place, client, **changes):
    return come_back(client, begin(place, client), **changes)


def test_the_way_there_and_back(desk, place):
    client = at(desk)
    assert "Sign in with login.example.gov" in client.get("/signin").text
    asked = begin(place, client)
    assert (
        asked["response_type"] == "code" and asked["code_challenge_method"] == "S256" and asked["client_id"] == "gate"
    )
    assert asked["redirect_uri"] == f"{URL}/signin/oidc/callback" and "openid" in asked["scope"].split()
    back = come_back(client, asked)
    assert back.status_code == 303 and back.headers["location"] == "/account"
    assert CIO in client.get("/account").text
    taken, authorization = place.taken
    assert len(taken["code_verifier"]) >= 43 and taken["redirect_uri"] == asked["redirect_uri"]
    assert b64decode(authorization.removeprefix("Basic ")) in (b"gate:s3cret&", b"gate:s3cret%26")
    assert come_back(client, asked).status_code == 403  # each answer once
    (session,) = desk.signins.sessions(CIO)
    assert session.proof.subject == "u-1" and session.proof.method == "oidc"


def test_forms_may_lead_to_the_issuer_and_nowhere_else(desk, place):
    client = at(desk)
    policy = client.get("/signin").headers["content-security-policy"]
    assert f"form-action 'self' {NAME} https://pages.example.gov;" in policy


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "x"},
        {"state": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"code": "bad"},
        {"code": None},
        {"code": None, "error": "access_denied"},
    ],
    ids=str,
)
def test_an_answer_that_is_not_good_signs_nobody_in(desk, place, changes):
    client = at(desk)
    assert sign_in(place, client, **changes).status_code == 403
    assert client.get("/account").status_code == 303


def test_an_answer_in_another_browser_signs_nobody_in(desk, place):
    asked = begin(place, at(desk))
    other = at(desk)
    assert come_back(other, asked).status_code == 403
    begin(place, other)
    assert come_back(other, asked).status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["gate", "another"], "azp": "another"},
        {"exp": 0},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"nonce": "another"},
        {"nonce": None},
        {"email": None},
        {"email": "no address"},
        {"email": ["cio@example.gov"]},
        {"email_verified": None},
        {"email_verified": False},
        {"email_verified": "false"},
        {"email": "cio@evil.example"},
    ],
    ids=str,
)
def test_a_token_that_is_not_good_signs_nobody_in(desk, place, claims, monkeypatch):
    token = place.token
    monkeypatch.setattr(place, "token", lambda **more: token(**{**more, **claims}))
    client = at(desk)
    assert sign_in(place, client).status_code == 403
    assert client.get("/account").status_code == 303


@pytest.mark.filterwarnings("ignore:JWS algorithm")
@pytest.mark.parametrize("forged", ["key", "hmac", "none"])
def test_a_token_that_the_issuer_has_not_signed_is_none(desk, place, forged):
    if forged == "key":
        place.key = FORGED
    elif forged == "hmac":
        place.key, place.header = OctKey.generate_key(256, {"kid": "old"}), {"alg": "HS256"}
    else:
        place.header = {"alg": "none"}
    client = at(desk)
    assert sign_in(place, client).status_code == 403


def test_entra_says_that_the_domain_of_an_address_is_its_owners(desk, place):
    place.claims |= {"email_verified": None, "xms_edov": True}
    assert sign_in(place, at(desk)).status_code == 303


def test_another_claim_counts_only_where_it_is_trusted(scene, place, own):
    place.claims |= {"upn": CIO, "email": None}
    other = replace(own, oidc_claim="upn")
    assert sign_in(place, at(desk_of(scene, place, other))).status_code == 403
    assert sign_in(place, at(desk_of(scene, place, replace(other, oidc_trust_claim=True)))).status_code == 303


def test_an_issuer_of_many_tenants_signs_in_the_name_of_one(scene, place, own):
    tenants = "https://login.example.gov/{tenantid}/v2.0"
    place.metadata = {"issuer": tenants, "authorization_response_iss_parameter_supported": False}
    place.claims |= {"iss": "https://login.example.gov/t-1/v2.0", "tid": "t-1"}
    assert sign_in(place, at(desk_of(scene, place, own)), iss=None).status_code == 303
    place.claims |= {"tid": "t-2"}
    assert sign_in(place, at(desk_of(scene, place, own)), iss=None).status_code == 403


def test_an_address_that_the_token_lacks_is_asked_for(desk, place):
    place.claims |= {"email": None, "email_verified": None}
    place.userinfo = {"sub": "u-1", "email": CIO, "email_verified": True}
    assert sign_in(place, at(desk)).status_code == 303
    place.userinfo |= {"sub": "u-2"}
    assert sign_in(place, at(desk)).status_code == 403


def test_the_first_name_is_pinned_and_another_that_claims_the_address_is_refused_and_noted(desk, place, scene):
    assert sign_in(place, at(desk)).status_code == 303
    place.claims |= {"sub": "u-2"}
    refused = sign_in(place, at(desk))
    assert refused.status_code == 403 and "known here as somebody else" in refused.text
    (pin,) = desk.signins.pins()
    assert (pin.address, pin.subject) == (CIO, "u-1") and pin.claim == f"{CIO}, as u-2 at {NAME}"
    place.claims |= {"sub": "u-1", "email": DEPUTY}
    assert sign_in(place, at(desk)).status_code == 403  # one name for two addresses
    desk.signins.unpin(CIO)
    place.claims |= {"sub": "u-2", "email": CIO}
    assert sign_in(place, at(desk)).status_code == 303


def test_keys_that_are_exchanged_are_asked_for_once_a_minute_at_most(desk, place, scene):
    assert sign_in(place, at(desk)).status_code == 303
    place.key = NEW
    for _ in range(3):
        assert sign_in(place, at(desk)).status_code == 403
    assert place.asked.count("/keys") == 1
    scene.now += 61
    place.keys = [OLD, NEW]
    assert sign_in(place, at(desk)).status_code == 303
    assert place.asked.count("/keys") == 2 and place.asked.count("/.well-known/openid-configuration") == 1


def test_an_issuer_that_is_away_is_said_to_be(desk, place, scene):
    place.down = True
    away = at(desk).post("/signin/oidc")
    assert away.status_code == 503 and away.headers["retry-after"] == "60"
    assert [at(desk).get("/signin").status_code for _ in range(3)] == [200] * 3
    assert place.asked.count("/.well-known/openid-configuration") == 2  # of a page that is shown, once a minute
    place.down, place.metadata = False, {"issuer": "https://evil.example"}
    assert at(desk).post("/signin/oidc").status_code == 503
    place.metadata = {"jwks_uri": None}
    assert at(desk).post("/signin/oidc").status_code == 503


def test_signing_out_leads_to_the_issuer(desk, place):
    client = at(desk)
    sign_in(place, client)
    out = client.post("/signout", data=form_of(client.get("/account"))).headers["location"]
    assert out.startswith("https://pages.example.gov/logout?")
    query = parse_qs(urlsplit(out).query)
    assert query["post_logout_redirect_uri"] == [f"{URL}/signin"] and query["client_id"] == ["gate"]
    assert json.dumps(query["id_token_hint"]).count(".") == 2


# -- the issuer signs somebody out -------------------------------------------------------------------------------


def test_the_issuer_ends_sessions(desk, place):
    first, second = at(desk), at(desk)
    sign_in(place, first)
    place.claims["sid"] = "s-2"
    sign_in(place, second)
    one = place.token(events=EVENT, jti="1", sid="s-2", email=None)
    assert at(desk).post("/signin/oidc/logout", data={"logout_token": one}).status_code == 200
    assert first.get("/account").status_code == 200 and second.get("/account").status_code == 303
    all_of = place.token(events=EVENT, jti="2", sid=None)
    assert at(desk).post("/signin/oidc/logout", data={"logout_token": all_of}).status_code == 200
    assert first.get("/account").status_code == 303


@pytest.mark.parametrize(
    "claims",
    [
        {"events": None},
        {"events": {"another": {}}},
        {"nonce": "n"},
        {"jti": None},
        {"sub": None, "sid": None},
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"iat": 1_000},
    ],
    ids=str,
)
def test_a_logout_that_is_not_good_ends_nothing(desk, place, claims):
    client = at(desk)
    sign_in(place, client)
    text = place.token(**{"events": EVENT, "jti": "1", **claims})
    for each in (text, "", "x.y.z"):
        assert at(desk).post("/signin/oidc/logout", data={"logout_token": each}).status_code == 400
    assert client.get("/account").status_code == 200


# -- showing again who one is ------------------------------------------------------------------------------------


def test_a_session_that_the_issuer_began_by_itself_is_not_fresh(desk, place, scene):
    client = at(desk)
    sign_in(place, client)
    assert client.get("/account/passkeys").headers["location"] == "/signin/again?next=/account/passkeys"
    asked = begin(place, client, "/account/passkeys")
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")
    place.claims["auth_time"] = scene.now - 3_600  # it let them pass all the same
    come_back(client, asked)
    assert client.get("/account/passkeys").status_code == 303
    asked = begin(place, client, "/account/passkeys")
    place.claims["auth_time"] = scene.now - 5
    assert come_back(client, asked).headers["location"] == "/account/passkeys"
    assert client.get("/account/passkeys").status_code == 200


def test_an_act_says_by_which_name_its_author_signed_in(desk, place, scene):
    client = at(desk)
    sign_in(place, client)
    assert login_of(desk.signins.sessions(CIO)[0].proof) == "console:oidc:u-1"
