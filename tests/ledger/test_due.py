"""What is due by the schedule of records is counted, class by class (policies C1, C7)."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import update

from gatekeeper.ledger.context import LedgerError, NotAllowed
from gatekeeper.store.db.schema import jobs
from tests.ledger.scene import CIO, Scene
from tests.ledger.test_cases import AUDITOR, RECORDS, SMITH, WITH_RECORDS

DAY = 86_400.0
SCHEDULED = WITH_RECORDS.replace(
    "rules:\n",
    "records:\n  backups: 35d\n  classes:\n"
    "    ledger: {keep: 90d, cite: GS7-14}\n"
    "    held: {keep: 30d, cite: GS7-20}\n"
    "    mass: {keep: 10d, cite: GS7-21, dispose: automatic}\n"
    "rules:\n",
    1,
)


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, SCHEDULED)


def due(scene, name):
    (found,) = scene.service.due(RECORDS, name)
    return found


async def held_and_denied(scene, subject="Open enrolment"):
    await scene.send(subject=subject)
    number = max(int(mailing.id.removeprefix("M-")) for mailing in scene.service.mailings().rows)
    scene.service.deny(number, CIO, "not now")
    settle(scene)
    return number


def settle(scene):
    """All letters are sent."""
    scene.store.call(lambda connection: connection.execute(update(jobs).values(state="done")))


async def test_content_of_what_was_held_is_due_so_long_after_it_was_closed(scene):
    await scene.send()
    began = scene.now
    scene.now += 40 * DAY
    assert due(scene, "held").due.number == 0, "it is still held"
    scene.service.deny(1, CIO, "not now")
    assert due(scene, "held").due.number == 0
    settle(scene)
    scene.now += 29 * DAY
    assert due(scene, "held").due.number == 0
    scene.now += 2 * DAY
    found = due(scene, "held")
    assert (found.due.number, found.due.oldest, found.cutoff) == (1, began, scene.now - 30 * DAY)
    assert found.due.octets > 300
    assert (found.rule.cite, found.rule.keep.text, due(scene, "mass").due.number) == ("GS7-20", "30d", 0)


async def test_the_ledger_is_due_by_what_was_closed(scene):
    await held_and_denied(scene)
    scene.ask(planned=date(2026, 12, 24))
    scene.service.open_case(SMITH, RECORDS)
    scene.service.close_case(1, RECORDS)
    scene.now += 91 * DAY
    found = due(scene, "ledger").due.number
    assert found == 1, "the case; content of the mailing is here, and nobody has decided the request yet"


async def test_what_is_kept_for_ever_is_never_due(scene):
    await held_and_denied(scene)
    scene.now += 9_000 * DAY
    found = {each.name: each for each in scene.service.due(AUDITOR)}
    assert list(found) == ["decisions", "ledger", "held", "mass", "access", "certificates"]
    assert found["access"].cutoff is None and found["access"].due.number == 0


def test_only_who_uses_records_sees_what_is_due(scene):
    with pytest.raises(NotAllowed, match="may not look at what is due; who may"):
        scene.service.due(CIO)
    with pytest.raises(LedgerError, match="class 'helt': expected one of decisions, ledger"):
        scene.service.due(RECORDS, "helt")
