"""Whether mail is a peer's: by its connection, by its header, and what of its names is vouched for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.directory.loaders.load import load
from gatekeeper.message import read_facts
from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.policy.active import Policy
from gatekeeper.policy.evidence import source_of
from gatekeeper.policy.peer_settings import peer_warnings
from gatekeeper.policy.peers import Connection, PeerChecks, header_problem, is_named, vouched
from gatekeeper.rules import Peer, parse_peers, parse_ruleset
from gatekeeper.settings import read_settings
from gatekeeper.smtp.refusals import reason_of
from gatekeeper.smtp.replies import Reply

GUID = "11112222-3333-4444-5555-66667777888a"
OTHER = "99992222-3333-4444-5555-666677778888"
PEERS = f"""\
peers:
  tenant:
    networks: 192.0.2.0/28
    certificate: mail.protection.outlook.com
    require: {{X-MS-Exchange-CrossTenant-Id: {GUID}, X-OriginatorOrg: [example.gov, example.onmicrosoft.com]}}
    from: true
  relay: {{networks: 198.51.100.1, tls: true}}
"""
RULES = """\
version: 1
contact: servicedesk@example.gov
agencies:
  DOA: {name: Administration, domains: [doa.example.gov], senders: [news@doa.example.gov]}
senders: {head@doa.example.gov: {used_by: [jo@doa.example.gov]}}
rules: [{id: named, when: {from_allowed: false}, then: hold, say: No}]
"""
HEADER = f"X-MS-Exchange-CrossTenant-Id: {GUID}\r\nX-OriginatorOrg: example.gov\r\n"
MAIL = f"{HEADER}From: jo@doa.example.gov\r\nSubject: x\r\n\r\nHello\r\n".encode()
TENANT = parse_peers(PEERS, "").peers[0]
HERE = Connection("192.0.2.1", "192.0.2.1", True, ("*.protection.outlook.com", "other.example"))


def policy(peers: str = PEERS, rules: str = RULES) -> Policy:
    ruleset = parse_ruleset(rules, "rules.yaml", Path())
    return Policy(ruleset, load(ruleset), peers=parse_peers(peers, "peers.yaml"))


@pytest.fixture(scope="module")
def checks() -> PeerChecks:
    in_force = policy()
    return PeerChecks(lambda: in_force)


# -- names of a certificate ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("presented", "fits"),
    [
        ("mail.example.gov", True),
        ("MAIL.Example.GOV", True),
        ("mail.example.gov.", True),
        ("*.example.gov", True),
        ("*.gov", False),
        ("*", False),
        ("m*.example.gov", False),
        ("*.mail.example.gov", False),
        ("example.gov", False),
        ("mail.example.gov.evil.example", False),
        ("mail.example.gov\0.evil.example", False),
        ("", False),
    ],
)
def test_a_name_on_a_certificate(presented: str, fits: bool) -> None:
    assert is_named("mail.example.gov", (presented,)) is fits
    assert is_named("mail.example.gov", ("other.example", presented)) is fits


def test_a_wildcard_stands_before_at_least_two_labels() -> None:
    assert not is_named("example.gov", ("*.gov",)) and is_named("a.example.gov", ("*.example.gov",))
    assert not is_named("gov", ("*",))


# -- the header ----------------------------------------------------------------------------------------------------


def header(text: str) -> bytes:
    return (text + "From: jo@doa.example.gov\r\n\r\nHello\r\n").encode()


@pytest.mark.parametrize(
    "text",
    [
        HEADER,
        HEADER.lower(),
        HEADER.replace(": ", ":"),
        HEADER.replace(": ", ": \t ").replace("\r\n", " \r\n"),
        HEADER.replace("example.gov", "EXAMPLE.onmicrosoft.com"),
        "Subject: long\r\n and folded\r\n" + HEADER,
    ],
)
def test_fields_as_they_should_be(text: str) -> None:
    assert header_problem(TENANT, header(text)) == ""


ID = "X-MS-Exchange-CrossTenant-Id"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", f"the field {ID} is missing"),
        ("X-OriginatorOrg: example.gov\r\n", f"the field {ID} is missing"),
        (HEADER + HEADER, f"the field {ID} is in the header 2 times"),
        (HEADER + f"{ID.lower()}: {GUID}\r\n", "2 times"),
        (HEADER + f"{ID} : {GUID}\r\n", "2 times"),
        (HEADER + f"Subject: x\r\n \r\n{ID}: {OTHER}\r\n", "2 times"),
        (HEADER.replace(ID, ID + " "), "folded, or has a blank before its colon"),
        (HEADER.replace(f"{ID}: ", f"{ID}:\r\n "), "folded"),
        (HEADER.replace(f"{GUID}\r\n", f"{GUID}\r\n\t\r\n"), "folded"),
        (HEADER.replace(f"{GUID}\r\n", f"{GUID}\r\n ,{OTHER}\r\n"), "folded"),
        ("Subject: x\r\n \t\r\n" + HEADER, "stands behind a blank line"),
        (HEADER.replace(GUID, OTHER), f"the field {ID} has another value"),
        (HEADER.replace(GUID, ""), "another value"),
        (HEADER.replace(GUID, f"{GUID}, {OTHER}"), "another value"),
        (HEADER.replace(GUID, f"=?utf-8?q?{GUID}?="), "another value"),
        (HEADER.replace(GUID, f'"{GUID}"'), "another value"),
        (HEADER.replace(": example.gov", ": example.gov.evil.example"), "the field X-OriginatorOrg has another value"),
        (HEADER.replace("X-Orig", "X-Orıg"), "the field X-OriginatorOrg is missing"),
        ("\r\n" + HEADER, "is missing"),
        (f"Subject: x\r\n\r\n{HEADER}", "is missing"),
    ],
)
def test_fields_that_are_not_as_they_should_be(text: str, why: str) -> None:
    assert why in header_problem(TENANT, header(text))


def test_fields_of_a_message_within_do_not_count() -> None:
    within = f"Content-Type: message/rfc822\r\n\r\n{HEADER}From: x@example.org\r\n\r\nHello\r\n"
    assert "is missing" in header_problem(TENANT, within.encode())
    assert header_problem(TENANT, (HEADER + within).encode()) == ""


def test_a_secret_is_compared_as_it_is_written() -> None:
    peer = Peer("a", require={"X-Secret": frozenset({"aB3-x", "older"})})
    assert header_problem(peer, b"x-secret: aB3-x\r\n\r\n") == header_problem(peer, b"X-Secret: older\r\n\r\n") == ""
    assert "another value" in header_problem(peer, b"X-Secret: ab3-x\r\n\r\n")
    assert "aB3" not in header_problem(peer, b"X-Secret: no\r\n\r\n"), "a reply must not tell it"


_LINES = [
    *(
        f"{name}{colon}{value}"
        for name in (ID, ID.lower())
        for colon in (":", " :", ": ")
        for value in (GUID, OTHER, "")
    ),
    " folded",
    "\t",
    "Subject: x",
    "X-OriginatorOrg: example.gov",
    "",
]


@given(st.lists(st.sampled_from(_LINES), max_size=8))
def test_what_any_reader_may_take_for_another_value_is_refused(lines: list[str]) -> None:
    """Whoever unfolds, splits at blank lines or trims names otherwise: nobody sees another tenant in what passes."""
    content = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\nHello\r\n"
    if header_problem(Peer("a", require={ID: frozenset({GUID})}), content):
        return
    top = content.split(b"\r\n\r\n")[0].decode().splitlines()
    named = [line for line in top if line.strip().lower().startswith(ID.lower())]
    assert len(named) == 1 and named[0].partition(":")[2].strip().lower() == GUID
    assert not top[top.index(named[0]) + 1 :][:1] or not top[top.index(named[0]) + 1].startswith((" ", "\t"))


# -- connections ---------------------------------------------------------------------------------------------------


def test_a_message_of_a_peer(checks: PeerChecks) -> None:
    assert checks.obstacle(HERE) is None
    assert checks.peer_of(HERE, MAIL) == "tenant"


@pytest.mark.parametrize(
    ("changes", "code", "text", "reason"),
    [
        ({"encrypted": False, "names": ()}, "530 5.7.0", "Must issue a STARTTLS command first", "tls"),
        ({"names": ()}, "550 5.7.1", "none of yours was shown; expected a certificate that names mail.prot", "peer"),
        ({"names": ("mail.other.example",)}, "550 5.7.1", "yours names mail.other.example; expected a cert", "peer"),
    ],
)
def test_a_connection_that_is_not_the_peers(
    checks: PeerChecks, changes: dict[str, object], code: str, text: str, reason: str
) -> None:
    connection = replace(HERE, **changes)
    for answer in (checks.obstacle(connection), checks.peer_of(connection, MAIL)):
        assert isinstance(answer, Reply)
        assert str(answer).startswith(code) and text in answer.text and reason_of(answer) == reason


def test_another_tenant_is_told_what_to_do(checks: PeerChecks) -> None:
    answer = checks.peer_of(HERE, MAIL.replace(GUID.encode(), OTHER.encode()))
    assert isinstance(answer, Reply) and reason_of(answer) == "peer"
    assert str(answer).startswith(
        f"550 5.7.1 Not taken: the field {ID} has another value than that of the organisation"
    )
    assert str(answer).endswith("Help: servicedesk@example.gov") and GUID not in str(answer)


def test_who_is_no_peer_is_asked_for_nothing(checks: PeerChecks) -> None:
    stranger = Connection("203.0.113.5", "203.0.113.5")
    assert checks.obstacle(stranger) is None and checks.peer_of(stranger, b"\r\nx") == ""
    assert PeerChecks().peer_of(HERE, b"\r\n") == ""


def test_a_service_that_no_peer_names_is_refused() -> None:
    answer = PeerChecks(policy).obstacle(Connection("40.107.1.1", "40.107.1.1", True))
    assert answer is not None and "Exchange Online sends the mail of many organisations from 40.107.1.1" in answer.text
    assert PeerChecks().obstacle(Connection("40.107.1.1", "40.107.1.1", True)) is not None


def test_a_mail_server_that_takes_mail_of_everybody_may_pass_it_on() -> None:
    """Of Exchange Online or Google, by XFORWARD or by milter: the peers of the file alone are asked about there."""
    for connection in (
        Connection("127.0.0.1", "40.107.1.1", True),
        Connection("40.107.1.1", "40.107.1.1", True, direct=False),
    ):
        assert PeerChecks().obstacle(connection) is None
        assert PeerChecks(policy).peer_of(connection, b"\r\n") == ""


def test_behind_another_server_the_header_is_all_that_can_be_seen(checks: PeerChecks) -> None:
    """XFORWARD tells the address; TLS and certificate were the other server's."""
    relayed = replace(HERE, host="127.0.0.1")
    assert str(checks.obstacle(relayed)).startswith("530 ")
    by_header = PeerChecks(lambda: policy(PEERS.replace("    certificate: mail.protection.outlook.com\n", "")))
    assert by_header.peer_of(relayed, MAIL) == "tenant"
    assert isinstance(by_header.peer_of(relayed, MAIL.replace(b"X-Orig", b"X-")), Reply)


def test_no_forwarded_address_lets_a_peer_out_of_what_it_must_show(checks: PeerChecks) -> None:
    assert isinstance(checks.peer_of(replace(HERE, client="203.0.113.5"), b"From: x\r\n\r\n"), Reply)
    assert checks.peer_of(replace(HERE, client="203.0.113.5"), MAIL) == "tenant"


def test_of_two_peers_in_one_network_mail_is_of_either() -> None:
    two = PEERS + f"  test: {{networks: 192.0.2.1, require: {{{ID}: {OTHER}}}}}\n"
    checks = PeerChecks(lambda: policy(two))
    assert checks.peer_of(HERE, MAIL) == "tenant"
    assert checks.peer_of(replace(HERE, names=()), MAIL.replace(GUID.encode(), OTHER.encode())) == "test"
    assert isinstance(checks.peer_of(replace(HERE, names=()), MAIL), Reply)
    assert checks.obstacle(replace(HERE, names=())) is None


# -- what is vouched for ---------------------------------------------------------------------------------------------


def transaction(content: bytes, peer: str = "tenant", **changes: object) -> Transaction:
    client = Client("192.0.2.1")
    return replace(
        Transaction("smtp", client, "bounce@doa.example.gov", (Recipient("a@example.org"),), content, peer=peer),
        **changes,
    )


def mail(*fields: str) -> bytes:
    return ("\r\n".join(fields) + "\r\nSubject: x\r\n\r\nHello\r\n").encode()


@pytest.mark.parametrize(
    ("fields", "login"),
    [
        (("From: jo@doa.example.gov",), "jo@doa.example.gov"),
        (("From: Jo <Jo@DOA.example.gov>",), "jo@doa.example.gov"),
        (("From: head@doa.example.gov", "Sender: jo@doa.example.gov"), "jo@doa.example.gov"),
        (("From: a@doa.example.gov, b@doa.example.gov", "Sender: jo@doa.example.gov"), None),
        (("From: jo@doa.example.gov", "Sender: head@doa.example.gov"), None),
        (("From: head@doa.example.gov, jo@doa.example.gov", "Sender: jo@doa.example.gov"), "jo@doa.example.gov"),
        (("From: head@doa.example.gov, b@doa.example.gov", "Sender: jo@doa.example.gov"), None),
        (("From: a@doa.example.gov, b@doa.example.gov",), None),
        (("From: jo@elsewhere.example",), None),
        (("From: jo@doa.example.gov", "From: head@doa.example.gov"), None),
        (("From: jo@doa.example.gov", "Sender: jo@doa.example.gov", "Sender: head@doa.example.gov"), None),
        (("To: x@example.org",), None),
        (("From: <>",), None),
        (("From: team: jo@doa.example.gov;",), None),
    ],
)
def test_from_or_sender_is_as_good_as_a_login(fields: tuple[str, ...], login: str | None) -> None:
    content = mail(*fields)
    done = vouched(transaction(content), read_facts(content), policy())
    assert done.login == login and done.authenticated is bool(login)


@pytest.mark.parametrize(
    ("mail_from", "login"), [("jo@doa.example.gov", "jo@doa.example.gov"), ("a@doa.example.gov", None), ("", None)]
)
def test_a_sender_is_borne_out_by_mail_from(mail_from: str, login: str | None) -> None:
    content = mail("From: a@doa.example.gov, b@doa.example.gov", "Sender: jo@doa.example.gov")
    assert vouched(transaction(content, sender=mail_from), read_facts(content), policy()).login == login


@pytest.mark.parametrize("peer", ["", "relay", "gone"])
def test_who_does_not_vouch_makes_no_login(peer: str) -> None:
    content = mail("From: jo@doa.example.gov")
    given = transaction(content, peer)
    assert vouched(given, read_facts(content), policy()) is given


def test_a_login_that_there_is_stays() -> None:
    content = mail("From: jo@doa.example.gov")
    assert vouched(transaction(content, login="head@doa.example.gov"), read_facts(content), policy()).login == (
        "head@doa.example.gov"
    )


def test_what_follows_of_it_is_what_follows_of_a_login() -> None:
    content, in_force = mail("From: head@doa.example.gov", "Sender: jo@doa.example.gov"), policy()
    facts = read_facts(content)
    by_peer = vouched(transaction(content), facts, in_force)
    by_login = transaction(content, "", login="jo@doa.example.gov", authenticated=True)
    assert source_of(by_peer, facts, in_force) == source_of(by_login, facts, in_force)
    assert source_of(by_peer, facts, in_force).mailbox == "jo@doa.example.gov"


# -- settings that do not go with it ---------------------------------------------------------------------------------


def warnings(peers: str, **given: str) -> list[str]:
    return list(peer_warnings(parse_peers(peers, ""), read_settings(given, {}).listening))


def test_settings_that_do_not_go_with_the_peers() -> None:
    found = warnings(PEERS, clients="192.0.2.0/28,198.51.100.0/24", authenticated="192.0.2.4", xforward="198.51.100.1")
    assert found == [
        "peer tenant is known by its certificate, and without --client-cert-ca none is asked for",
        "--authenticated covers 192.0.2.0/28 of peer tenant: any MAIL FROM of its mail is believed, vouched for or not",
        "peer relay needs TLS, and without --tls-cert none is offered",
        "--xforward covers 198.51.100.1/32 of peer relay: it may say that it is another client",
    ]
    (far,) = warnings("peers: {a: {networks: [192.0.2.1, 10.0.0.0/8, 10.1.0.0/16, 10.2.0.0/16]}}", clients="192.0.2.1")
    assert far == "peer a may not connect from 10.0.0.0/8, 10.1.0.0/16, 10.2.0.0/16: expected these in --clients"
    assert warnings("peers: {a: {networks: 127.0.0.1}}", authenticated="none", xforward="none") == []
    two = "peers: {a: {networks: 192.0.2.1, require: {X-A: b}}, b: {networks: [192.0.2.0/24, 10.0.0.0/8]}}"
    (around,) = warnings(two, clients="192.0.2.0/24,10.0.0.0/8")
    assert around == (
        "peer b requires nothing, and has addresses of 192.0.2.1/32 too: what peer a requires is not asked for there"
    )
