"""Batches of one gather that are not alike: the strictest verdict governs all, whichever came first."""

from __future__ import annotations

import email
from datetime import date
from functools import partial

import pytest

from gatekeeper.audit.recorder import Auditor
from gatekeeper.ledger.service import Exempted
from gatekeeper.model import Scope
from gatekeeper.store import batch_views, jobs
from tests.background.test_gathering import PDF, gate, people, recorded  # noqa: F401 - a fixture
from tests.ledger.test_races import CIO

PLAIN = b"\r\nHello\r\n"
SENDER = "clerk@doa.example.gov"
UNTIL = date(2027, 1, 31)
ORDERS = pytest.mark.parametrize("first", [PDF, PLAIN], ids=["the strict one first", "the mild one first"])


def rule(gate, *lines):  # noqa: F811
    gate.rules.write_text(gate.rules.read_text() + "".join(f"  - {{{line}}}\n" for line in lines))
    gate.active_policy.reload()


async def two(gate, first):  # noqa: F811
    """Two batches of one mailing, one with a file."""
    for start, rest in ((0, first), (60, PLAIN if first is PDF else PDF)):
        assert "not sent yet" in (await gate.send(people(50, start=start), rest=rest, subject="one")).text


def batches(gate):  # noqa: F811
    return gate.store.call(partial(batch_views.batches_of, mailing_key=gate.mailing().key))


def with_file(batch):
    return b"X-Gatekeeper-Warning" in batch.trace


@ORDERS
async def test_hold_beside_pass_holds_all(gate, first):  # noqa: F811
    await two(gate, first)
    rule(gate, "id: files, when: {users: {over: 60}, attachments: {over: 0}}, then: hold, say: No files.")
    await gate.pass_time(21)
    assert (gate.mailing().state, gate.mailing().sent) == ("held", 0)
    assert [batch.state for batch in batches(gate)] == ["held", "held"]
    assert [reason.rule for reason in gate.mailing().reasons] == ["files"] and gate.queued() == ["notice"]


@ORDERS
async def test_reject_beside_hold_refuses_all(gate, first):  # noqa: F811
    await two(gate, first)
    rule(
        gate,
        "id: files, when: {users: {over: 60}, attachments: {over: 0}}, then: reject, say: No files.",
        "id: many, when: {users: {over: 60}}, then: hold, say: Many.",
    )
    await gate.pass_time(21)
    assert (gate.mailing().state, gate.mailing().sent) == ("denied", 0)
    (dsn,) = gate.store.call(partial(jobs.lease, now=gate.now, seconds=1, limit=50))
    report = str(email.message_from_bytes(dsn.content))
    assert report.count("Final-Recipient:") == 100 and "(files)" in report


@ORDERS
async def test_warn_beside_reject_refuses_all(gate, first):  # noqa: F811
    await two(gate, first)
    rule(
        gate,
        "id: files, when: {users: {over: 60}, attachments: {over: 0}}, then: reject, say: No files.",
        "id: many, when: {users: {over: 60}}, then: warn, say: Many.",
    )
    await gate.pass_time(21)
    assert gate.mailing().state == "denied" and gate.queued() == ["dsn"]


@ORDERS
async def test_warn_beside_pass_warns_of_that_batch_and_sends_both(gate, first):  # noqa: F811
    await two(gate, first)
    rule(gate, "id: files, when: {users: {over: 60}, attachments: {over: 0}}, then: warn, say: No files.")
    await gate.pass_time(21)
    assert gate.mailing().state == "open"
    assert [with_file(batch) for batch in batches(gate)] == [first is PDF, first is not PDF]
    assert sorted(gate.queued()) == ["notice", "release", "release"]


@ORDERS
async def test_hold_beside_warn_holds_all_and_nobody_is_warned(gate, first):  # noqa: F811
    await two(gate, first)
    rule(
        gate,
        "id: files, when: {users: {over: 60}, attachments: {over: 0}}, then: hold, say: No files.",
        "id: many, when: {users: {over: 60}}, then: warn, say: Many.",
    )
    await gate.pass_time(21)
    assert gate.mailing().state == "held" and gate.queued() == ["notice"]
    assert not any(map(with_file, batches(gate)))


# -- permits -----------------------------------------------------------------------------------------------------


def exempt(gate, *rules):  # noqa: F811
    gate.service = type(gate.service)(gate.store, gate.letterhead(), gate.clock)
    gate.service.grant_exception(Exempted(Scope(frozenset({SENDER})), UNTIL, rules), CIO, "it may")


TWO_RULES = (
    "id: files, when: {users: {over: 60}, attachments: {over: 0}}, then: hold, say: No files.",
    "id: many, when: {users: {over: 60}}, then: hold, say: Many.",
)


@ORDERS
async def test_batches_that_need_two_permits_pass_by_both(gate, first):  # noqa: F811
    await two(gate, first)
    rule(gate, *TWO_RULES)
    exempt(gate, "many")
    exempt(gate, "files")
    await gate.pass_time(21)
    assert gate.mailing().state != "held" and gate.queued().count("release") == 2
    permits = {permit.id: permit.mailings for permit in gate.service.permits().rows}
    assert permits == {"P-1": ("M-1",), "P-2": ("M-1",)}


@pytest.mark.parametrize("given", ["many", "files"])
@ORDERS
async def test_with_one_of_two_permits_that_are_needed_all_is_held_and_none_is_used(gate, first, given):  # noqa: F811
    await two(gate, first)
    rule(gate, *TWO_RULES)
    exempt(gate, given)
    await gate.pass_time(21)
    assert (gate.mailing().state, gate.queued().count("release")) == ("held", 0)
    assert [permit.mailings for permit in gate.service.permits().rows] == [()]


# -- what is recorded, and who is told -----------------------------------------------------------------------------


@ORDERS
async def test_a_refused_gather_is_recorded_batch_by_batch(gate, first):  # noqa: F811
    auditor = gate.gathers.auditor = Auditor(gate.store)
    await two(gate, first)
    rule(gate, "id: files, when: {users: {over: 60}, attachments: {over: 0}}, then: reject, say: No files.")
    await gate.pass_time(21)
    auditor.flush()
    verdicts = [(record.moment, record.verdict, record.done) for record in recorded(gate.store)]
    assert sorted(verdicts) == [("gathered", "reject", "reject"), ("gathered", "relay", "reject")]


@pytest.mark.parametrize("never_first", [True, False])
async def test_who_wants_no_mail_about_one_batch_is_told_of_the_other(gate, never_first):  # noqa: F811
    """NOTIFY=NEVER for all recipients of one batch, and nothing said for the other (RFC 3461 4.1)."""
    for start, never in ((0, never_first), (60, not never_first)):
        said = {"parameters": ("NOTIFY=NEVER",)} if never else {}
        await gate.send(people(50, start=start), subject="one", **said)
    rule(gate, "id: many, when: {users: {over: 60}}, then: hold, say: Many.")
    await gate.pass_time(21)
    assert [batch.notify for batch in batches(gate)] == [not never_first, never_first]
    assert gate.queued() == ["notice"]


async def test_who_wants_no_mail_about_any_batch_gets_none(gate):  # noqa: F811
    for start in (0, 60):
        await gate.send(people(50, start=start), subject="one", parameters=("NOTIFY=NEVER",))
    rule(gate, "id: many, when: {users: {over: 60}}, then: hold, say: Many.")
    await gate.pass_time(21)
    assert gate.mailing().state == "held" and gate.queued() == []


async def test_who_was_warned_on_arrival_is_not_warned_again_when_the_rest_has_been_gathered(gate):  # noqa: F811
    """One notice a mailing, rule and sender, whether it came whole or cut."""
    rule(gate, "id: files, when: {attachments: {over: 0}}, then: warn, say: No files.")
    assert "queued" in (await gate.send(people(40), rest=PDF, subject="one")).text
    for start in (60, 120):
        assert "not sent yet" in (await gate.send(people(50, start=start), rest=PDF, subject="one")).text
    await gate.pass_time(21)
    assert gate.mailing().state == "open"
    assert sorted(gate.queued()) == ["notice", "release", "release"]
