"""What mass mail says that passes is kept where the schedule says so, and never in the way of mail (C1, C6)."""

from __future__ import annotations

import logging
import sys
import threading
from collections import Counter
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from gatekeeper.archive import passing
from gatekeeper.archive.passing import ContentKeeper
from gatekeeper.ops.metrics import Metrics
from gatekeeper.pipeline.transaction_report import Reporter
from gatekeeper.smtp.replies import reply
from gatekeeper.store import KeepLimits, StoreError
from gatekeeper.store.db.schema import batch_recipients, batches, bodies
from tests.archive.test_disposing import DAY, duty, verified
from tests.ledger.scene import CIO, SENDER, Scene
from tests.ledger.test_cases import AUDITOR, RECORDS, WITH_RECORDS
from tests.store.arrivals import people

KEEPING = WITH_RECORDS.replace(
    "rules:\n",
    "records: {classes: {mass: {content: true, keep: 10d, cite: GS7-21, dispose: automatic}}, backups: 35d}\nrules:\n",
    1,
)


@pytest.fixture
def scene(store, tmp_path):
    return made(store, tmp_path, KEEPING)


def made(store, tmp_path, rules):
    """A gate with the thread's work in our hands; more than twenty people are mass mail."""
    found = Scene(store, tmp_path, rules)
    store.now = found.clock
    found.counted = [0, 0]
    found.contents = ContentKeeper(store, lambda kept, lost: count(found, kept, lost))
    found.pipeline.report = Reporter(Metrics(), contents=found.contents).report
    return found


def count(scene, kept, lost):
    scene.counted = [scene.counted[0] + kept, scene.counted[1] + lost]


def copies(scene):
    return scene.store.call(lambda connection: connection.execute(select(batches)).mappings().all())


async def test_a_copy_of_mass_mail_that_passed_is_there_once_a_text(scene):
    message = scene.message(people(30))
    for _ in range(2):
        assert (await scene.pipeline.receive(message, scene.hop)).ok
    await scene.send(people(3), sender="jo@doa.example.gov", subject="lunch", text=b"at noon? " * 30)
    assert copies(scene) == [], "it is not written in the way of mail"
    scene.contents.flush()
    (copy,) = copies(scene)
    assert (copy["state"], copy["size"], copy["sender"]) == ("passed", len(message.content), SENDER)
    assert scene.counted == [1, 0]
    assert scene.store.call(lambda c: c.execute(select(batch_recipients)).all()) == [], "no list of people is kept"
    (batch,) = scene.service.show(1).batches
    assert scene.service.message(batch).endswith(message.content)
    assert scene.service.look(1, SENDER).case.mailing.id == "M-1"
    assert verified(scene)[0] == []


async def test_earlier_messages_of_a_mailing_that_became_mass_are_not_there(scene):
    await scene.send(people(10))
    await scene.send(people(40, start=10))
    scene.contents.flush()
    assert len(copies(scene)) == 1


async def test_a_second_message_of_the_mailing_is_kept_and_a_resend_of_it_passes_as_ever(scene):
    await scene.send(people(30))
    again = scene.message(people(30, start=30), text=b"another text of the same subject " * 20)
    await scene.pipeline.receive(again, scene.hop)
    scene.contents.flush()
    before = len(scene.hop.added)
    await scene.pipeline.receive(again, scene.hop)
    scene.contents.flush()
    assert len(scene.hop.added) == before + 1, "a copy is no batch that waits: a resend is no second copy of it"
    assert len(copies(scene)) == 2


async def test_what_is_refused_or_held_has_no_copy_of_this_kind(scene):
    taken, scene.hop.answer = scene.hop.answer, reply(550, "no", "5.7.1")
    await scene.send(people(30))
    scene.hop.answer = taken
    await scene.send(people(240), subject="Flu shots")
    scene.contents.flush()
    assert [copy["state"] for copy in copies(scene)] == ["held"]


async def test_where_it_is_off_nothing_is_kept(store, tmp_path):
    scene = made(store, tmp_path, WITH_RECORDS)
    await scene.send(people(30))
    scene.contents.flush()
    assert copies(scene) == [] and scene.counted == [0, 0]


async def test_copies_are_destroyed_by_the_schedule(scene):
    await scene.send(people(30))
    scene.contents.flush()
    scene.now += 9 * DAY
    await duty(scene).attend()
    assert len(copies(scene)) == 1 and scene.service.due(RECORDS, "mass")[0].due.number == 0
    scene.now += 2 * DAY
    assert scene.service.due(RECORDS, "mass")[0].due.number == 1
    await duty(scene).attend()
    assert scene.service.show_disposal(1, AUDITOR).counts["destroyed"] == 1
    assert scene.store.call(lambda connection: connection.execute(select(bodies)).all()) == []
    assert verified(scene)[0] == []


# -- losses ----------------------------------------------------------------------------------------------------------


def lost_events(scene):
    return [event.text for event in scene.service.show(1).events if event.act == "content not kept"]


async def test_what_the_database_does_not_take_is_lost_counted_logged_and_on_the_timeline(scene, caplog, monkeypatch):
    def away(*_, **__):
        raise StoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(passing.passed, "add", away)
        assert (await scene.send(people(30))).ok
        for _ in range(2):
            scene.contents.flush()
        assert scene.counted == [0, 0], "it may come back"
        with caplog.at_level(logging.WARNING, "gatekeeper.records"):
            scene.contents.flush()
    assert scene.counted == [0, 1] and lost_events(scene) == ["1 message: the database did not take it: away"]
    assert "content of 1 messages of mass mail was not kept: the database did not take it: away" in caplog.text
    assert copies(scene) == []


async def test_where_there_is_no_room_mail_passes_and_nothing_is_kept(scene):
    scene.store.limits = KeepLimits(total=100)
    assert (await scene.send(people(30))).ok
    scene.contents.flush()
    assert lost_events(scene) == ["1 message: no more mail is kept (--keep-limit)"] and copies(scene) == []


async def test_what_waits_has_a_bound(scene, monkeypatch):
    monkeypatch.setattr(passing, "_MOST", 1)
    for number in range(3):
        await scene.send(people(30, start=30 * number), text=b"%d words and others " % number * 30)
    scene.contents.flush()
    assert scene.counted == [1, 2] and lost_events(scene) == ["2 messages: too much waited to be written"]


async def test_a_large_message_is_written_in_parts(scene):
    text = b"a line of a large message\n" * 100_000
    await scene.send(people(30), text=text)
    scene.contents.flush()
    (copy,) = copies(scene)
    (batch,) = scene.service.show(1).batches
    assert copy["size"] > 2 << 20 and len(scene.service.message(batch)) > copy["size"]
    assert verified(scene)[0] == []


async def test_a_copy_is_preserved_and_a_held_mailing_is_decided_as_ever(scene):
    """Copies that come in while somebody decides are nothing new to decide about."""
    await scene.send(people(30))
    await scene.send(people(240))
    version = scene.mailing().version
    scene.contents.flush()
    assert scene.mailing().version == version
    decision = scene.service.approve(1, CIO, seen=version)
    assert decision.mailing.state == "released"


def test_what_is_lost_while_losses_are_told_is_told_too(monkeypatch):
    """The event loop loses copies, while the thread tells of others."""
    told = Counter()
    store = SimpleNamespace(
        now=lambda: 0.0, call=lambda told_of: told.update({key: number for key, number, _ in told_of.keywords["lost"]})
    )
    keeper = ContentKeeper(store)
    losing = threading.Thread(target=lambda: [keeper._lose(number % 3_000, "full") for number in range(150_000)])
    monkeypatch.setattr(passing.log, "disabled", True)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        losing.start()
        while losing.is_alive():
            keeper.flush()
    finally:
        sys.setswitchinterval(before)
    keeper.flush()
    assert told.total() == 150_000
