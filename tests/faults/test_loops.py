"""A next hop that routes mail back to the gate: by a rule with its exception, and by one that lacks it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.scene import SENDER, Downstream, approve, asleep, held_as, message, people, send, wait_queue_empty
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.peers.tenant_hop import TenantHop

SECRET = "a-secret-of-the-gate"
GATHERING = RULES.replace("within: 24h}", "within: 24h, gather: {from: 20, quiet: 2s, limit: 30s}}")
MARK = f"X-Gate-Mark: {SECRET}".encode()


@contextmanager
def tenant_and_gate(rules: str = RULES, **rule) -> Iterator[tuple[Downstream, Gate]]:
    """A tenant with a rule, and a gate before it. Args: as `bring_back` has them."""
    hop = TenantHop(recipient_limit=100)
    with Downstream(hop) as tenant, asleep(tenant.address, rules=rules, files={"mark": SECRET}) as gate:
        gate.flags += ["--mark", f"X-Gate-Mark={gate.home / 'mark'}", "--authenticated", "none"]
        hop.bring_back(gate.port, **rule)
        gate.start()
        yield tenant, gate
        settle(tenant, gate)


def settle(tenant: Downstream, gate: Gate) -> None:
    """Wait until nothing is on its way in either direction."""
    wait_queue_empty(gate)
    tenant.call(asyncio.wait_for(tenant.sink.idle(), 30))


def test_with_its_exception_nothing_comes_back():
    content = message("lunch")
    with tenant_and_gate(unless=MARK) as (tenant, gate):
        assert send(gate, people(150), content) == "250 2.0.0 taken"
        settle(tenant, gate)
        assert all(mail.content.startswith(MARK) for mail in tenant.sink.mails)
        assert tenant.copies(content) == dict.fromkeys(people(150), 1) and tenant.sink.returned == []


def test_an_internal_mailing_is_held_whole_and_comes_back_to_each_once():
    """To members of expanded groups, cut by the tenant at 237, the last part of 30 perhaps first; taken back by 100."""
    everyone, content = people(2400), message("enrolment")
    with tenant_and_gate(unless=MARK, rules=GATHERING) as (tenant, gate):
        parts = tenant.call(tenant.sink.route(gate.port, SENDER, everyone, content))
        assert len(parts) == 11 and {part.reply[:9] for part in parts} == {"250 2.0.0"}
        (held,) = gate.mailings("held")
        assert (held["users"], held["sent"], tenant.copies(content).total()) == (2400, 0, 0)
        approve(gate, held["id"])
        settle(tenant, gate)
        assert tenant.copies(content) == dict.fromkeys(everyone, 1) and tenant.sink.returned == []
        sizes = [len(mail.addresses) for mail in tenant.sink.mails if mail.sender]
        assert max(sizes) <= 100 and all(mail.content.startswith(MARK) for mail in tenant.sink.mails)


def test_a_rule_that_lacks_its_exception_costs_one_turn_and_not_49():
    content = message("lunch")
    with tenant_and_gate(cut=70) as (tenant, gate):
        assert send(gate, people(80), content) == "250 2.0.0 taken"
        settle(tenant, gate)
        assert tenant.copies(content) == dict.fromkeys(people(80), 2)
        replies = [each.reply[:9] for each in tenant.sink.returned]
        assert replies.count("250 2.0.0") == replies.count("554 5.4.6") == 2
        assert gate.metric("gatekeeper_messages_total", listener="smtp", verdict="hold") == 0
        assert "our own mail came back" in gate.log() and "mail that bears our mark came in" in gate.log()


def test_released_mail_and_notices_turn_once_too():
    content = message("enrolment")
    with tenant_and_gate() as (tenant, gate):
        mailing = held_as(send(gate, people(2400), content))
        approve(gate, mailing)
        wait_for(lambda: tenant.copies(content).total() >= 4800, gate.log)
        settle(tenant, gate)
        assert tenant.copies(content) == dict.fromkeys(people(2400), 2)
        assert {reply for each in tenant.sink.returned if (reply := each.reply[:9])} == {"250 2.0.0", "554 5.4.6"}
        letters = tenant.letters_to("head@doa.example.gov")
        assert letters and set(letters.values()) == {2}
        assert [each["users"] for each in gate.mailings()] == [2400], "counted once"


@pytest.mark.parametrize("changed", [False, True])
def test_a_copy_of_a_token_opens_nothing(changed):
    """What the tenant makes of it is judged like any mail: other content, or as much with more people."""
    content = message("lunch")
    with tenant_and_gate(unless=MARK) as (tenant, gate):
        assert send(gate, people(80), content) == "250 2.0.0 taken"
        (mail,) = [mail for mail in tenant.sink.mails if mail.sender]
        copied = mail.content.replace(MARK + b"\r\n", b"")
        copied = copied.replace(b"that fills", b"that is long", 1) if changed else copied
        assert "Held for approval as M-" in send(gate, people(2400), copied)
