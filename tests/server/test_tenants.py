"""Whole stories through a gate in front of a service that serves many tenants."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.scene import Downstream
from tests.peers import wait_for
from tests.peers.certificates import Certificate, make_certificate
from tests.peers.gate import Gate
from tests.peers.tenant_client import SERVICE, THEIRS, TenantClient, peers_file, settings_for

RULES = """\
version: 1
title: Mass electronic mail
contact: servicedesk@example.gov
timezone: UTC
agencies:
  DOA: {name: Administration, domains: [doa.example.gov]}
  DPHHS: {name: Health, domains: [dphhs.example.gov]}
domains: [example.gov]
lists:
  all@example.gov: {file: all.txt, senders: [news@doa.example.gov]}
people:
  cio@example.gov: {roles: [approver], final: true}
mailing: {source: sender, within: 24h, gather: {from: 900, quiet: 20s}}
mass: {people: {over: 200}}
rules:
  - id: names
    when: {from_allowed: false}
    then: reject
    say: "{from_problem}"
  - id: approval
    when: {users: {over: 2000}}
    unless: {designated: true}
    then: hold
    say: "{users} users need approval."
"""
ALL = [f"u{number}@{'doa' if number % 2 else 'dphhs'}.example.gov" for number in range(2400)]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("service"), SERVICE)


@pytest.fixture(scope="module")
def hop() -> Iterator[Downstream]:
    with Downstream() as behind:
        yield behind


@pytest.fixture(scope="module")
def gate(ours: Certificate, service: Certificate, hop: Downstream) -> Iterator[Gate]:
    files = {"all.txt": "\n".join(ALL), "peers.yaml": peers_file()}
    flags = [*settings_for(ours, service, "peers.yaml"), "--max-recipients", "1000"]
    with Gate(hop.address, rules=RULES, flags=flags, files=files) as running:
        yield running


def delivered(hop: Downstream, subject: str) -> list[str]:
    """Who got mail of that subject, in any order, as often as they got it."""
    mails = [mail for mail in list(hop.sink.mails) if f"Subject: {subject}\r\n".encode() in mail.content]
    return sorted(address for mail in mails for address in mail.addresses)


def test_the_own_tenant_is_known_by_certificate_and_fields_and_its_from_is_a_login(
    gate: Gate, service: Certificate
) -> None:
    (part,) = TenantClient(gate.port, service).send("jo@doa.example.gov", "Hello", ["a@example.org"])
    assert part.code == 250, part.text
    wait_for(lambda: "login=<jo@doa.example.gov>" in gate.log(), gate.log)


def test_another_tenant_by_the_same_address_and_certificate_is_refused(
    gate: Gate, service: Certificate, hop: Downstream
) -> None:
    before, refused = (
        len(hop.sink.mails),
        gate.metric("gatekeeper_refused_total", listener="smtp", stage="data", reason="peer"),
    )
    other = TenantClient(gate.port, service, tenant=THEIRS, organisation="evil.example")
    (part,) = other.send("news@doa.example.gov", "Hello", {"all@example.gov": ALL[:10]})
    assert part.code == 550 and "X-MS-Exchange-CrossTenant-Id has another value" in part.text
    inner = (
        f"X-MS-Exchange-CrossTenant-Id: {THEIRS}\r\nX-MS-Exchange-CrossTenant-Id: 11112222-3333-4444-5555-666677778888"
    )
    (part,) = other.send("news@doa.example.gov", "Hello", ALL[:10], header=[inner])
    assert part.code == 550 and "is in the header 3 times" in part.text
    assert len(hop.sink.mails) == before and gate.mailings() == []
    after = gate.metric("gatekeeper_refused_total", listener="smtp", stage="data", reason="peer")
    assert after == refused + 2


def test_without_tls_nothing_is_taken(gate: Gate) -> None:
    (part,) = TenantClient(gate.port, None).send("jo@doa.example.gov", "Hello", ["a@example.org"])
    assert (part.code, part.text) == (530, "5.7.0 Must issue a STARTTLS command first")


def test_who_writes_under_anothers_name_is_told(gate: Gate, service: Certificate) -> None:
    header = ["Sender: jo@dphhs.example.gov"]
    (part,) = TenantClient(gate.port, service).send("news@doa.example.gov", "x", ["a@example.org"], header=header)
    assert part.code == 550 and "Sender jo@dphhs.example.gov does not belong to news@doa.example.gov" in part.text


def test_peers_on_disk_are_read_anew_and_shown(gate: Gate, service: Certificate) -> None:
    client = TenantClient(gate.port, service)
    gate.write("peers.yaml", peers_file().replace("from:", "form:"))
    gate.reload()
    wait_for(lambda: "unknown key 'form'" in gate.page("/readyz")[1], gate.log)
    assert client.send("jo@doa.example.gov", "Hello", ["a@example.org"])[0].code == 250, "the last good ones hold"
    gate.write("peers.yaml", peers_file().replace("11112222", "00000000"))
    gate.reload()
    wait_for(lambda: client.send("jo@doa.example.gov", "Hello", ["a@example.org"])[0].code == 550, gate.log)
    gate.write("peers.yaml", peers_file())
    gate.reload()
    wait_for(lambda: client.send("jo@doa.example.gov", "Hello", ["a@example.org"])[0].code == 250, gate.log)
    status = gate.cli("status", "--peers", "peers.yaml", check=False).stdout
    assert "peers on disk" in status and "peers.yaml: tenant" in status


def test_certificates_are_renewed_under_load_and_no_mail_is_lost(
    gate: Gate, service: Certificate, ours: Certificate, hop: Downstream, tmp_path: Path
) -> None:
    """What is answered 250 is there, and nothing but a handshake in the middle of the renewal may fail."""
    before, answers, ended = len(hop.sink.mails), [], threading.Event()

    def load() -> None:
        client = TenantClient(gate.port, service)
        while not ended.is_set():
            answers.extend(client.send("jo@doa.example.gov", f"Number {len(answers)}", ["a@example.org"]))

    sending = [threading.Thread(target=load) for _ in range(3)]
    for each in sending:
        each.start()
    try:
        for _ in range(3):
            renewed = make_certificate(tmp_path)
            shutil.copy(renewed.certificate, ours.certificate)
            shutil.copy(renewed.key, ours.key)
            count = len(answers)
            wait_for(lambda count=count: len(answers) > count + 10, gate.log)
    finally:
        ended.set()
        for each in sending:
            each.join()
    assert {part.code for part in answers} == {250}
    assert len(hop.sink.mails) - before == len(answers)
    assert "was read again" in gate.log()


# -- lists that the service has expanded ---------------------------------------------------------------------------


def test_a_mailing_to_the_members_of_a_group_is_held_and_approved_and_reaches_each_once(
    gate: Gate, service: Certificate, hop: Downstream
) -> None:
    client = TenantClient(gate.port, service, fork=2400, cut=2400)  # who is answered 452 4.5.3 comes in a further part
    parts = client.send("jo@doa.example.gov", "Hello", {"all@example.gov": ALL}, header=["Subject: Move"])
    assert [(part.code, len(part.recipients)) for part in parts] == [(250, 1000), (250, 1000), (250, 400)]
    assert "Held for approval" in parts[-1].text and delivered(hop, "Move") == []
    (held,) = gate.mailings("held")
    assert (held["users"], held["sender"]) == (2400, "jo@doa.example.gov")
    gate.cli("mailing", "approve", held["id"], "--by", "cio@example.gov")
    wait_for(lambda: len(delivered(hop, "Move")) >= 2400, gate.log, 60)
    assert delivered(hop, "Move") == sorted(ALL)
    ours_to_hop = [parameters for mail in hop.sink.mails for _, parameters in mail.recipients]
    assert ("ORCPT=rfc822;all@example.gov",) in ours_to_hop, "kept through the hold"


@pytest.mark.parametrize("says_orcpt", [True, False])
def test_a_designated_sender_by_from_writes_to_the_group(
    gate: Gate, service: Certificate, hop: Downstream, says_orcpt: bool
) -> None:
    client, subject = TenantClient(gate.port, service, fork=800, says_orcpt=says_orcpt), f"News {says_orcpt}"
    header = [f"Subject: {subject}"]
    parts = client.send("news@doa.example.gov", "Hello", {"all@example.gov": ALL}, header=header, sender="")
    assert {part.code for part in parts} == {250} and len(parts) == 3
    assert delivered(hop, subject) == sorted(ALL)


def test_a_group_in_to_lends_nothing_to_a_mailing_to_others(gate: Gate, service: Certificate, hop: Downstream) -> None:
    others = [f"other{number}@dphhs.example.gov" for number in range(2400)]
    client = TenantClient(gate.port, service, fork=800)
    parts = client.send("news@doa.example.gov", "Hi", {"all@example.gov": others}, header=["Subject: Others"])
    assert "Held for approval" in parts[-1].text and len(delivered(hop, "Others")) <= 2000
