"""Reading what is held is an act: who may, and what the timeline says of it (policies S4, D4)."""

from __future__ import annotations

import pytest

from gatekeeper.ledger.service import NotAllowed, NotFound
from tests.background.test_reminders_of_mailings import ADMIN, CIO, RULES, SECOND, SENDER, Office
from tests.background.test_what_deciders_see import MAIL
from tests.store.arrivals import people

AUDITOR = "auditor@example.gov"


@pytest.fixture
def office(store):
    return Office(store, RULES.replace("  admin@", f"  {AUDITOR}: {{roles: [auditor]}}\n  admin@"))


def reads(office):
    return [(each.by, each.text, each.details) for each in office.service.show(1).events if each.act == "read"]


async def test_an_approver_reads_and_it_is_noted(office):
    await office.hold(body=MAIL)
    reading = office.service.read(1, CIO)
    (batch,) = reading.batches
    contents = office.service.contents(batch)
    assert contents.links == ("https://benefits.example.org/x",) and contents.files[0].name == "plan.pdf"
    assert reads(office) == [(CIO, "batch 1", {"batch": 1})]


async def test_one_of_each_content_is_read_unless_a_batch_is_named(office):
    await office.hold(body=MAIL)
    await office.hold(people(5, start=240), message_id="2@x", digest="beef")
    await office.hold(people(5, start=2500), message_id="3@x", digest="beef")
    assert [batch.id for batch in office.service.read(1, CIO).batches] == [1, 2]
    assert [batch.id for batch in office.service.read(1, SECOND, batch=3).batches] == [3]
    assert [text for _, text, _ in reads(office)] == ["batch 1", "batch 2", "batch 3"]
    with pytest.raises(NotFound, match="expected one of 1, 2, 3"):
        office.service.read(1, CIO, batch=9)


async def test_who_may_read(office):
    await office.hold()
    assert office.service.read(1, SENDER).batches  # their own
    for by in (ADMIN, AUDITOR):
        with pytest.raises(NotAllowed, match="expected --case"):
            office.service.read(1, by)
        office.service.read(1, by, case="subpoena 2026-114")
    with pytest.raises(NotAllowed, match="may not read it"):
        office.service.read(1, "clerk@doa.example.gov", case="curiosity")
    assert [(by, details.get("case")) for by, _, details in reads(office)] == [
        (SENDER, None), (ADMIN, "subpoena 2026-114"), (AUDITOR, "subpoena 2026-114"),
    ]  # fmt: skip


async def test_a_sender_of_a_part_reads_nothing_of_the_others(office):
    await office.hold()
    await office.hold(people(5, start=240), sender="other@doa.example.gov", message_id="1@doa.example.gov")
    assert len(office.service.show(1).batches) == 2
    assert [batch.id for batch in office.service.read(1, SENDER).batches] == [1]
    with pytest.raises(NotFound, match="batch 2: expected one of 1"):
        office.service.read(1, SENDER, batch=2)
