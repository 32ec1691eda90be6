"""Entra ID and Google Workspace as sources: who is who, whole or not at all, and never a secret in what is said."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import RSAKey

from gatekeeper.directory.loaders.entra import ask_entra
from gatekeeper.directory.loaders.google import ask_google
from gatekeeper.directory.loaders.https_service import Link
from gatekeeper.directory.loaders.load import load
from gatekeeper.directory.loaders.server_cache import ServerCopies, SourceDown
from gatekeeper.directory.loaders.sources import SourceHistory
from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.directory.snapshot import Directory
from gatekeeper.rules import parse_ruleset
from tests.peers.certificates import Certificate, make_certificate
from tests.peers.graph import ELSEWHERE, Cloud, Fault

HEAD = """\
version: 1
agencies:
  DOA: {name: Administration, domains: [doa.example.gov]}
  TAX: {name: Taxes, domains: [tax.example.gov]}
domains: [example.gov, agency.onmicrosoft.com]
"""
ENTRA = {"url": "entra:agency.onmicrosoft.com", "client": "app", "secret_file": "secret"}
USER, DEVICE, GROUP = (f"#microsoft.graph.{kind}" for kind in ("user", "device", "group"))


def person(key: str, mail: str | None, *others: str, **more: object) -> dict[str, object]:
    proxies = [f"SMTP:{mail}", *(f"smtp:{each}" for each in others), "SIP:x@example.gov", "X500:/o=x"] if mail else []
    return {"id": key, "mail": mail, "proxyAddresses": proxies, "userType": "Member", "accountEnabled": True} | more


def tenant() -> Cloud:
    return Cloud(
        users=[
            person("1", "jo@doa.example.gov", "jo.doe@example.gov", department="Department of  Taxes"),
            person("2", "bob@example.gov", department="TAX"),
            person("3", "info@example.gov", accountEnabled=False, department="Nowhere"),
            person("4", "guest@example.org", userType="Guest"),
            person("5", None),
        ],
        groups=[
            {"id": "g1", "mail": "all@example.gov", "proxyAddresses": ["SMTP:all@example.gov", "smtp:a@example.gov"]},
            {"id": "g2", "mail": "rule@example.gov", "proxyAddresses": [], "visibility": "HiddenMembership"},
            {"id": "g3", "mail": "gone@example.gov", "proxyAddresses": []},
        ],
        members={
            "g1": [
                {"@odata.type": USER, "id": "1", "mail": None},
                {"@odata.type": USER, "id": "2", "mail": "bob@example.gov"},
                {"@odata.type": USER, "id": "4"},
                {"@odata.type": GROUP, "id": "g9", "mail": "inner@example.gov"},
                {"@odata.type": DEVICE, "id": "d"},
                {"@odata.type": USER, "id": "5", "mail": None},
                {"@odata.type": "#microsoft.graph.orgContact", "id": "c", "mail": "pat@example.org"},
            ],
            "g2": [],
        },
    )


def link(cloud: Cloud, waits: list[float] | None = None) -> Link:
    return Link(None, cloud.transport(), wait=(waits if waits is not None else []).append)


def asked(cloud: Cloud, waits: list[float] | None = None, **more: str):
    options = {**ENTRA, "server": cloud.origin, "login": cloud.origin, **more}
    return ask_entra(options, cloud.secret, link(cloud, waits))


# -- Graph -------------------------------------------------------------------------------------------------------


def test_people_have_their_addresses_and_groups_the_members_that_graph_derives():
    answer = asked(tenant(), agency="department")
    people = {row["address"]: (row["user"], row["agency"]) for row in answer.rows if "members" not in row}
    assert people == {
        "jo@doa.example.gov": ("jo@doa.example.gov", "Department of  Taxes"),
        "jo.doe@example.gov": ("jo@doa.example.gov", "Department of  Taxes"),
        "bob@example.gov": ("bob@example.gov", "TAX"),
        "info@example.gov": ("info@example.gov", "Nowhere"),
    }
    lists = {row["address"]: row["members"].split() for row in answer.rows if "members" in row}
    assert lists == {
        "all@example.gov": ["bob@example.gov", "guest@example.org", "jo@doa.example.gov", "pat@example.org"],
        "a@example.gov": ["all@example.gov"],
        "rule@example.gov": [],
        "gone@example.gov": [],
    }
    told = "\n".join(answer.notes)
    assert (
        "members without an address are not counted: 1 in 1 groups, such as all@example.gov" in told
        and "rule@example.gov hides its members" in told
    )


def test_accounts_that_are_off_may_be_left_out_and_groups_too():
    cloud = tenant()
    answer = asked(cloud, enabled="true", groups="none")
    assert "info@example.gov" not in {row["address"] for row in answer.rows}
    assert all("/users" in path for path in cloud.gets)


def test_only_groups_that_are_named_are_read():
    cloud = tenant()
    answer = asked(cloud, groups="A@example.gov nobody@example.gov")
    assert {row["address"] for row in answer.rows if "members" in row} == {"all@example.gov", "a@example.gov"}
    assert {"rule@example.gov", "gone@example.gov"} < {row["address"] for row in answer.rows}  # known, not counted out
    assert (
        not any("g2" in path for path in cloud.gets) and "no group has the address nobody@example.gov" in answer.notes
    )


def test_who_asks_too_often_waits_as_long_as_the_service_says():
    cloud, waits = tenant(), list[float]()
    cloud.faults = {2: Fault(status=429, headers={"Retry-After": "17"}), 4: Fault(status=503), 5: Fault(status=503)}
    assert asked(cloud, waits) == asked(tenant()) and waits == [17.0, 5.0, 5.0]


@pytest.mark.parametrize("headers", [{"Retry-After": "100000"}, {"Retry-After": "9" * 40}])
def test_who_shall_wait_too_long_comes_again_later(headers):
    cloud, waits = tenant(), list[float]()
    cloud.faults = {2: Fault(status=429, headers=headers)}
    with pytest.raises(SourceDown, match="come again later"):
        asked(cloud, waits)
    assert not waits


def test_a_token_that_expires_is_renewed_once():
    cloud = tenant()
    cloud.lifetime = 3
    assert asked(cloud) == asked(tenant()) and len(cloud.forms) > 1
    refused = tenant()
    refused.faults = {number: Fault(status=401) for number in range(2, 100)}
    with pytest.raises(SourceDown, match="answered 401"):
        asked(refused)
    assert len(refused.forms) == 2


def test_a_wrong_secret_is_told_without_the_secret():
    cloud = tenant()
    with pytest.raises(SourceDown, match="AADSTS7000215") as told:
        ask_entra({**ENTRA, "server": cloud.origin, "login": cloud.origin}, "n0t-it", link(cloud))
    assert "n0t-it" not in str(told.value)


@pytest.mark.parametrize("kind", ["cut", "elsewhere", "again"])
@pytest.mark.parametrize("number", [1, 4])
def test_half_a_directory_is_none(kind, number):
    cloud = tenant()
    cloud.faults = {number: Fault(kind)}
    with pytest.raises(SourceDown):
        asked(cloud)
    assert ELSEWHERE not in str(cloud.gets)


def test_a_certificate_signs_for_the_application(tmp_path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    certificate = make_certificate(tmp_path).certificate.read_text()  # of another key: only its digest is sent
    cloud = tenant()
    options = {"url": "entra:t", "client": "app", "certificate_file": "c.pem"}
    options |= {"server": cloud.origin, "login": cloud.origin, "groups": "none"}
    ask_entra(options, certificate + pem, link(cloud))
    (form,) = cloud.forms
    token = jwt.decode(form["client_assertion"], RSAKey.import_key(pem), algorithms=["PS256"])
    assert token.claims["iss"] == token.claims["sub"] == "app" and token.claims["aud"].endswith("/t/oauth2/v2.0/token")
    assert "x5t#S256" in token.header and form["scope"] == f"{cloud.origin}/.default"
    with pytest.raises(DirectoryError, match=r"c\.pem: expected a certificate and its RSA key"):
        ask_entra(options, certificate, link(cloud))


@given(
    st.integers(0, 12),
    st.integers(1, 5),
    st.dictionaries(st.integers(1, 12), st.sampled_from(["cut", "elsewhere", "again", "429", "401", "500", "404"])),
)
def test_a_load_is_whole_or_none(number, page, faults):
    """Whatever goes wrong on the way: all people, or SourceDown."""
    cloud = Cloud(users=[person(str(each), f"u{each}@example.gov") for each in range(number)], page=page)
    cloud.faults = {at: Fault(status=int(kind)) if kind.isdigit() else Fault(kind) for at, kind in faults.items()}
    try:
        answer = asked(cloud, groups="none")
    except SourceDown:
        assert faults
        return
    assert [row["address"] for row in answer.rows] == [f"u{each}@example.gov" for each in range(number)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("jo@example.gov"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "value",
                    "users",
                    "groups",
                    "members",
                    "id",
                    "mail",
                    "proxyAddresses",
                    "primaryEmail",
                    "email",
                    "kind",
                    "error",
                    "type",
                    "aliases",
                    "department",
                    "@odata.nextLink",
                    "nextPageToken",
                    "@odata.type",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=40)
@given(JSON, st.sampled_from([200, 200, 200, 403, 404]))
def test_whatever_a_service_answers_a_load_ends_with_rows_or_a_reason(page, status):
    answers = iter([httpx2.Response(200, json={"access_token": "t"})])
    told = httpx2.MockTransport(lambda request: next(answers, None) or httpx2.Response(status, json=page))
    options = {"agency": "department", "subject": "a@example.gov", "key_file": "k", "server": "https://h"}
    for ask, secret in ((ask_entra, "s"), (ask_google, key_file(Cloud()))):
        answers = iter([httpx2.Response(200, json={"access_token": "t"})])
        with suppress(SourceDown):
            for row in ask({**ENTRA, **options, "login": "https://h"}, secret, Link(transport=told)).rows:
                assert all(isinstance(value, str) for value in row.values())


# -- Google ------------------------------------------------------------------------------------------------------

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


def key_file(cloud: Cloud) -> str:
    key = {"type": "service_account", "client_email": "gate@project.example.net", "private_key_id": "k1"}
    return json.dumps(key | {"private_key": _KEY.decode(), "token_uri": f"{cloud.origin}/token"})


def account() -> Cloud:
    return Cloud(
        users=[
            {
                "primaryEmail": "jo@doa.example.gov",
                "aliases": ["jo.doe@example.gov"],
                "nonEditableAliases": ["jo@doa.example.gov.test-google-a.com"],
                "orgUnitPath": "/State/DOA/Helpdesk",
                "organizations": [{"department": "old"}, {"department": "new", "primary": True}],
            },
            {"primaryEmail": "bob@example.gov", "orgUnitPath": "/", "suspended": True},
            {
                "primaryEmail": "ann@example.gov",
                "orgUnitPath": "/Schools",
                "customSchemas": {"Gate": {"agency": "TAX"}},
            },
        ],
        groups=[
            {"id": "a", "email": "all@example.gov", "aliases": ["everybody@example.gov"]},
            {"id": "b", "email": "some@example.gov"},
            {"id": "c", "email": "empty@example.gov"},
        ],
        members={
            "all@example.gov": [{"type": "CUSTOMER", "id": "C01"}],
            "some@example.gov": [
                {"type": "USER", "email": "jo@doa.example.gov"},
                {"type": "GROUP", "email": "everybody@example.gov"},
                {"type": "USER", "email": "pat@example.org"},
            ],
            "empty@example.gov": [],
        },
    )


def asked_google(cloud: Cloud, waits: list[float] | None = None, **more: str):
    options = {"url": "google:example.gov", "subject": "admin@example.gov", "key_file": "key.json", **more}
    return ask_google({**options, "server": cloud.origin}, key_file(cloud), link(cloud, waits))


def test_google_says_who_is_who_and_who_is_in_which_group():
    cloud = account()
    answer = asked_google(cloud, agency="orgUnitPath", group="organizations.department")
    people = [row for row in answer.rows if "members" not in row]
    assert [row["address"] for row in people] == [
        "jo@doa.example.gov",
        "jo.doe@example.gov",
        "jo@doa.example.gov.test-google-a.com",
        "bob@example.gov",
        "ann@example.gov",
    ]
    assert people[0] == {
        "address": "jo@doa.example.gov",
        "user": "jo@doa.example.gov",
        "agency": "/State/DOA/Helpdesk",
        "group": "new old",
    }
    lists = {row["address"]: row["members"].split() for row in answer.rows if "members" in row}
    assert lists == {
        "all@example.gov": ["ann@example.gov", "bob@example.gov", "jo@doa.example.gov"],
        "everybody@example.gov": ["all@example.gov"],
        "some@example.gov": ["jo@doa.example.gov", "pat@example.org"],
        "empty@example.gov": [],
    }
    (form,) = cloud.forms
    claims = jwt.decode(form["assertion"], RSAKey.import_key(_KEY), algorithms=["RS256"]).claims
    assert (claims["iss"], claims["sub"]) == ("gate@project.example.net", "admin@example.gov")
    assert claims["scope"].count("readonly") == 3


def test_google_leaves_out_who_is_suspended_and_reads_a_schema_of_ones_own():
    answer = asked_google(account(), enabled="true", groups="none", agency="customSchemas.Gate.agency")
    assert {row["address"]: row["agency"] for row in answer.rows if "test-google" not in row["address"]} == {
        "jo@doa.example.gov": "",
        "jo.doe@example.gov": "",
        "ann@example.gov": "TAX",
    }


def test_google_refuses_by_403_who_asks_too_often():
    cloud, waits = account(), list[float]()
    reason = {"error": {"code": 403, "errors": [{"reason": "userRateLimitExceeded"}]}}
    cloud.faults = {2: Fault(status=403, body=reason)}
    assert asked_google(cloud, waits) == asked_google(account()) and waits == [5.0]
    denied = account()
    denied.faults = {1: Fault(status=403, body={"error": {"code": 403, "message": "Not Authorized"}})}
    with pytest.raises(SourceDown, match=r"answered 403 \(Not Authorized"):
        asked_google(denied)


@pytest.mark.parametrize("kind", ["cut", "again"])
def test_half_of_googles_directory_is_none(kind):
    cloud = account()
    cloud.faults = {2: Fault(kind)}
    with pytest.raises(SourceDown):
        asked_google(cloud)


@pytest.mark.parametrize("secret", ["", "{}", '{"token_uri": "http://x/"}', "[]"])
def test_a_key_that_is_none_is_an_error(secret):
    options = {"url": "google:x", "subject": "a@example.gov", "key_file": "key.json"}
    with pytest.raises(DirectoryError, match=r"key\.json: expected the key of a service account"):
        ask_google(options, secret, link(account()))


# -- by HTTPS, as a source of rules.yaml -------------------------------------------------------------------------


class Clock:
    now = 1000.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("ca"))


def source_of(folder: Path, cloud: Cloud, certificate: Certificate, more: str = "") -> str:
    (folder / "secret").write_text(f"{cloud.secret}\n")
    return (
        f"{{entra: agency.onmicrosoft.com, client: app, secret_file: secret, agency: department, "
        f"server: '{cloud.origin}', login: '{cloud.origin}', ca: '{certificate.certificate}'{more}}}"
    )


def read(folder: Path, source: str, copies: ServerCopies, history: SourceHistory | None = None) -> Directory:
    ruleset = parse_ruleset(f"{HEAD}directory: [{source}]\nrules: []\n", "rules.yaml", folder)
    return load(ruleset, copies, history)


def test_a_tenant_is_a_source_like_any_other(tmp_path, certificate):
    cloud, clock = tenant(), Clock()
    copies = ServerCopies(clock=lambda: clock.now)
    with cloud.by_https(certificate):
        source = source_of(tmp_path, cloud, certificate, ", agencies: {Department of Taxes: DOA}, age: 3h")
        here = read(tmp_path, source, copies)
        assert here.user("jo.doe@example.gov") == "jo@doa.example.gov"
        assert (here.agency_of("jo.doe@example.gov"), here.agency_of("bob@example.gov")) == ("DOA", "TAX")
        assert here.reach(["a@example.gov"]).users.keys() == {"jo@doa.example.gov", "bob@example.gov"}
        assert not here.is_inside("guest@example.org")
        told = "\n".join(here.problems)
        assert (
            "directory entra agency.onmicrosoft.com: agencies that the rules do not know, with their addresses" in told
        )
        asked_before = len(cloud.gets)
        clock.now += 3000
        assert read(tmp_path, source, copies).digest == here.digest and len(cloud.gets) == asked_before  # an hour
        clock.now += 1000
        cloud.faults = {len(cloud.gets) + 2: Fault("cut")}
        stands = read(tmp_path, source, copies)
        assert stands.user("jo.doe@example.gov") == "jo@doa.example.gov" and "its last copy stands" in str(
            stands.problems
        )
        assert cloud.secret not in str(stands.problems)
    clock.now += timedelta(hours=4).total_seconds()
    assert read(tmp_path, source, copies).expired


def test_a_tenant_that_shrinks_is_questioned(tmp_path, certificate):
    cloud, clock, history = tenant(), Clock(), SourceHistory()
    copies = ServerCopies(clock=lambda: clock.now)
    cloud.users += [person(f"x{number}", f"x{number}@example.gov") for number in range(20)]
    cloud.page = 100
    with cloud.by_https(certificate):
        source = source_of(tmp_path, cloud, certificate)
        read(tmp_path, source, copies, history)
        del cloud.users[3:]
        clock.now += 4000
        here = read(tmp_path, source, copies, history)
    assert here.user("x1@example.gov") == "x1@example.gov"
    assert "gatekeeper directory accept entra:agency.onmicrosoft.com" in "\n".join(here.problems)


def test_only_a_server_with_the_right_certificate_is_asked(tmp_path, certificate):
    (tmp_path / "other").mkdir()
    cloud, other = tenant(), make_certificate(tmp_path / "other")
    with cloud.by_https(certificate):
        here = read(tmp_path, source_of(tmp_path, cloud, other), ServerCopies())
    assert here.expired and "certificate" in "\n".join(here.problems).lower() and not cloud.forms


def test_a_missing_authority_file_is_an_error(tmp_path, certificate):
    source = source_of(tmp_path, tenant(), Certificate(tmp_path / "none.pem", tmp_path / "none"))
    with pytest.raises(DirectoryError, match=r"none\.pem: expected a file with certificates"):
        read(tmp_path, source, ServerCopies())


def test_nothing_of_a_token_is_in_what_is_raised():
    cloud = tenant()
    leaky = httpx2.MockTransport(lambda request: httpx2.Response(200, json={"access_token": "bad token\r\nX: y"}))
    with pytest.raises(SourceDown, match="no token that can be used") as told:
        ask_entra({**ENTRA, "server": cloud.origin, "login": cloud.origin}, "s3cr3t", Link(transport=leaky))
    assert "bad" not in str(told.value) and "s3cr3t" not in str(told.value)


def test_a_gate_does_not_wait_for_a_slow_tenant(tmp_path, certificate):
    cloud, may_go_on = tenant(), threading.Event()
    copies = ServerCopies(patience=0.05)
    answer, cloud.answer = cloud.answer, lambda *given: may_go_on.wait(10) and answer(*given)  # type: ignore[method-assign]
    with cloud.by_https(certificate):
        source = source_of(tmp_path, cloud, certificate)
        first = read(tmp_path, source, copies)
        assert first.expired and "it is being read for the first time" in "\n".join(first.problems)
        may_go_on.set()
        deadline = time.monotonic() + 10
        while (here := read(tmp_path, source, copies)).expired and time.monotonic() < deadline:
            time.sleep(0.01)
    assert here.user("jo.doe@example.gov") == "jo@doa.example.gov" and here.digest != first.digest
    assert len(cloud.forms) == 1


def test_what_cannot_be_right_is_an_error_beside_as_well(tmp_path, certificate):
    source = source_of(tmp_path, tenant(), certificate).replace("secret_file: secret", "certificate_file: secret")
    copies = ServerCopies(patience=10.0)
    for _ in range(2):
        with pytest.raises(DirectoryError, match="expected a certificate and its RSA key"):
            read(tmp_path, source, copies)
