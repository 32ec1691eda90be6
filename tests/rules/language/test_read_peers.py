"""The file of --peers: what is read from it, and how its mistakes are told."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.rules import RulesetError, parse_peers, peers_schema, read_peers
from gatekeeper.rules.language.yaml_nodes import YamlError
from gatekeeper.rules.peers import Peers, is_public, service_at, service_of

GUID = "11112222-3333-4444-5555-666677778888"
TENANT = f"""\
version: 1
peers:
  tenant:
    networks: [40.92.0.0/15, 104.47.0.0/17]
    certificate: Mail.Protection.Outlook.com
    require:
      X-MS-Exchange-CrossTenant-Id: {GUID}
      X-OriginatorOrg: [example.gov, example.onmicrosoft.com]
    from: true
  relay:
    networks: 192.0.2.8
    tls: true
"""


def problems(text: str) -> list[str]:
    with pytest.raises(RulesetError) as raised:
        parse_peers(text, "peers.yaml")
    return [str(problem) for problem in raised.value.problems]


def one(lines: str) -> str:
    """A file of one peer. Args: `lines` of it, without their indent."""
    return "peers:\n  a:\n" + "".join(f"    {line}\n" for line in lines.splitlines())


def test_what_is_read() -> None:
    peers = parse_peers(TENANT, "peers.yaml")
    tenant, relay = peers.peers
    assert (tenant.name, tenant.certificate, tenant.vouches) == ("tenant", ("mail.protection.outlook.com",), True)
    assert tenant.require["X-OriginatorOrg"] == {"example.gov", "example.onmicrosoft.com"}
    assert tenant.require["X-MS-Exchange-CrossTenant-Id"] == {GUID}
    assert (relay.networks, relay.tls) == ((ipaddress.ip_network("192.0.2.8/32"),), True)
    assert (relay.certificate, relay.require, relay.vouches) == ((), {}, False)
    assert [peer.name for peer in peers.at("104.47.1.2")] == ["tenant"]
    assert peers.at("192.0.2.9") == () and peers.named("relay") == relay and peers.named("") is None


def test_a_digest_tells_files_apart(tmp_path: Path) -> None:
    path = tmp_path / "peers.yaml"
    path.write_text("\ufeff" + TENANT, encoding="utf-8")
    assert read_peers(path).digest == parse_peers(TENANT, "").digest
    assert parse_peers(TENANT + "\n", "").digest != parse_peers(TENANT, "").digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "peers.yaml:1:1: the file is empty: expected peers"),
        ("version: 1\n", "peers.yaml:1:1: peers missing: expected a file of peers, with peers:"),
        (one("network: 192.0.2.8"), "peers.yaml:3:5: unknown key 'network' (did you mean networks?)"),
        (one("networks: [192.0.2.8]\ncertficate: a.example"), "unknown key 'certficate' (did you mean certificate?)"),
        (one("networks: [here]"), "peers.yaml:3:16: 'here': expected a network, such as 192.0.2.0/24"),
        (one("networks: []"), "an empty list: expected at least one"),
        (one("networks: 192.0.2.8\nfrom: maybe"), "peers.yaml:4:11: 'maybe': expected true or false"),
        (one("networks: 192.0.2.8\ncertificate: '*.a.example'"), "expected a name on its certificate"),
        (one("networks: 192.0.2.8\nrequire: {X Y: a}"), "peers.yaml:4:15: 'X Y': expected the name of a header field"),
        (one("networks: 192.0.2.8\nrequire: {X-A: 'é'}"), "expected the value of a header field, on one line of ASCII"),
        (one("networks: 192.0.2.8\nrequire: {X-A: 1, x-a: 2}"), "one field in two spellings"),
        (one("networks: 192.0.2.8\ntls: true\ntls: false"), "key 'tls' again: it stands in line 4 already"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, expected: str) -> None:
    assert expected in problems(text)[0]


def test_all_mistakes_are_told_at_once() -> None:
    found = problems("peers:\n  a: {networks: here, tls: 7}\n  b: {}\n")
    assert [text.split(": ")[0] for text in found] == ["peers.yaml:2:17", "peers.yaml:2:28", "peers.yaml:3:6"]


# -- where others send from too ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("networks: 40.107.3.0/24\ntls: true", "Exchange Online sends the mail of many tenants from there"),
        ("networks: 10.0.0.0/8\ncertificate: mail.protection.outlook.com", "Exchange Online"),
        ("networks: 0.0.0.0/0", "Exchange Online"),
        ("networks: 209.85.128.0/17\nfrom: true", "Google Workspace"),
        ("networks: 192.0.2.8\nshared: true", "shared: true says that others send from there too"),
        ("networks: 8.8.8.0/24", "8.8.8.0/24 is of the internet"),
        ("networks: 192.0.2.8\nshared: true\nrequire: {}", "shared: true"),
    ],
)
def test_a_peer_where_others_send_from_too_must_have_a_required_field(lines: str, why: str) -> None:
    (problem,) = problems(one(lines))
    assert "require missing: " in problem and why in problem
    assert "require: {X-MS-Exchange-CrossTenant-Id: GUID}" in problem
    more = lines.replace("\nrequire: {}", "") + "\nrequire: {X-A: b}"
    assert parse_peers(one(more), "").peers[0].require == {"X-A": {"b"}}


def test_networks_of_ones_own_are_said_to_be() -> None:
    assert parse_peers(one("networks: 8.8.8.0/24\nshared: false"), "").peers
    (problem,) = problems(one("networks: 104.47.0.0/24\nshared: false"))
    assert "shared: false for Exchange Online" in problem


def test_known_services_and_networks_of_ones_own() -> None:
    network = ipaddress.ip_network
    assert service_at("40.107.1.1") == "Exchange Online" and service_at("2607:f8b0:4000::1") == "Google Workspace"
    published = ("172.217.42.1", "172.217.197.27", "172.253.115.26", "108.177.97.27", "209.85.146.26", "74.125.28.27")
    assert {service_at(address) for address in published} == {"Google Workspace"}
    assert service_at("192.0.2.1") == service_at("") == service_at("nowhere") == ""
    assert service_of([], ["mail.protection.office365.us"]) == "Exchange Online"
    assert service_of([], ["notoutlook.com"]) == ""
    assert is_public(network("0.0.0.0/0")) and is_public(network("8.8.8.8/32")) and is_public(network("2a00::/16"))
    assert not any(map(is_public, map(network, ("10.1.0.0/16", "127.0.0.1/32", "fd00::/16", "2001:db8::/32"))))


def test_from_a_service_that_no_peer_names_nothing_is_taken() -> None:
    assert [peer.foreign for peer in Peers().at("40.107.1.1")] == ["Exchange Online"]
    assert [peer.foreign for peer in parse_peers(TENANT, "").at("40.107.1.1")] == ["Exchange Online"]
    assert [peer.foreign for peer in parse_peers(TENANT, "").at("40.93.1.1")] == [""]


# -- the schema ----------------------------------------------------------------------------------------------------


def test_the_schema_takes_what_the_reader_takes() -> None:
    schema = peers_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(yaml.safe_load(TENANT))), schema)
    for text in (one("network: 192.0.2.8"), one("networks: 192.0.2.8\nfrom: maybe"), "peers: []\n"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(text), schema)


@given(st.text(alphabet="abn:{}[],- \n'\"#&*!|>%0./", max_size=80))
def test_any_text_is_peers_or_a_problem_with_a_place(text: str) -> None:
    try:
        parse_peers(text, "p")
    except RulesetError as error:
        assert all(problem.line >= 1 and problem.column >= 1 for problem in error.problems)
    except YamlError as error:
        assert error.line >= 1
