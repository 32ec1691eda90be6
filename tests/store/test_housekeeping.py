"""What must stay: time takes nothing away that somebody may still ask for, decide about or be sent."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import func, select, update

from gatekeeper.background.monthly_reports import MonthlyReports
from gatekeeper.background.reminders import Reminders
from gatekeeper.background.scheduler import Scheduler
from gatekeeper.lifecycle import BatchState
from gatekeeper.store import batch_views, batches, cleanup, permit_uses, returned, views
from gatekeeper.store.db import schema
from tests.ledger.scene import CIO, SENDER, Scene, written
from tests.store.arrivals import people

DAY = 86_400.0
ASKED = written(SENDER, "Flu shots", b"Flu shots are given in the lobby on Tuesday and nowhere else this year.\n")


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path)


def scheduler(scene, months=None):
    reminders = Reminders(scene.store, scene.letterhead, lambda: None, scene.clock)
    months = months or MonthlyReports(scene.store, scene.letterhead, lambda *_: "{}", lambda: None, scene.clock)
    return Scheduler(scene.active_policy, scene.store, scene.gathers, reminders, scene.rechecks, months, scene.clock)


def count(store, table, *where):
    return store.call(lambda c: c.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


def contents(store, number):
    mailing = store.call(partial(views.find_mailing, number=number))
    kept = store.call(partial(batch_views.batches_of, mailing_key=mailing.key))
    return [store.call(partial(batches.read_body, digest=batch.body)) for batch in kept]


async def test_content_that_is_held_or_asked_for_outlives_all_housekeeping(scene):
    """Beside a body that nobody needs, which goes at once."""
    store = scene.store
    await scene.send(people(240))
    scene.ask(subject="Flu shots", content=ASKED)
    store.call(partial(batches.store_whole, digest=b"\1" * 32, content=b"nobody's", now=scene.now))
    before = contents(store, 1)
    assert len(before) == 1 and SENDER.encode() in before[0]
    scene.now += 3 * DAY
    await scheduler(scene).tidy()
    await scheduler(scene).forget()
    assert count(store, schema.bodies) == 2
    assert contents(store, 1) == before and scene.service.read_request(1, CIO) == ASKED


@pytest.mark.parametrize("end", ["denied", "returned", "withdrawn", "released"])
async def test_content_stays_however_a_mailing_has_ended(scene, end):
    """What was held is a record (clause C1)."""
    await scene.send(people(240))
    before = contents(scene.store, 1)
    service = scene.service
    {
        "denied": lambda: service.deny(1, CIO, "No"),
        "returned": lambda: service.ask_changes(1, CIO, "Fewer"),
        "withdrawn": lambda: service.withdraw(1, SENDER),
        "released": lambda: service.approve(1, CIO),
    }[end]()
    scene.now += 3 * DAY
    await scheduler(scene).tidy()
    await scheduler(scene).forget()
    assert scene.mailing().state == end and contents(scene.store, 1) == before


def test_a_body_that_somebody_has_just_begun_to_store_again_stays(store):
    old, fresh = b"\1" * 32, b"\2" * 32
    for digest, at in ((old, 10.0), (fresh, 500.0)):
        store.call(partial(batches.store_whole, digest=digest, content=b"x", now=at))
    assert store.call(partial(cleanup.forget_bodies, before=499.9)) == 1
    assert count(store, schema.bodies, schema.bodies.c.digest == fresh) == 1
    assert store.call(partial(cleanup.forget_bodies, before=1e9, among=[old])) == 0, "the other is not among them"
    assert store.call(partial(cleanup.forget_bodies, before=500.0, among=[fresh])) == 1


async def test_of_ordinary_mail_only_what_is_old_open_and_without_a_number_goes(scene):
    store = scene.store
    await scene.send(people(3), subject="lunch", text=b"old words about lunch in the park today\n")
    await scene.send(people(240))  # held
    scene.now += DAY
    await scene.send(people(4), subject="supper", text=b"new words about supper at the lake tonight\n")
    assert store.call(partial(cleanup.forget_ordinary, before=scene.now)) == 1
    left = store.call(lambda c: c.execute(select(schema.mailings.c.number, schema.mailings.c.users)).all())
    assert sorted(left, key=lambda row: row.users) == [(None, 4), (1, 240)]
    assert count(store, schema.mailing_people) == 244


async def test_a_batch_that_waits_to_be_stored_goes_and_one_that_was_acknowledged_stays(scene):
    store = scene.store
    await scene.send(people(240))
    await scene.send(people(240, start=300), subject="Open enrolment")
    table = schema.batches
    one = select(func.min(table.c.id)).scalar_subquery()
    store.call(lambda c: c.execute(update(table).where(table.c.id == one).values(state=BatchState.STORING)))
    assert store.call(partial(cleanup.forget_unsealed, before=scene.now)) == 0, "somebody is storing it"
    assert store.call(partial(cleanup.forget_unsealed, before=scene.now + 1)) == 1
    assert count(store, table, table.c.state == BatchState.HELD) == 1
    assert count(store, schema.batch_recipients) == 240


async def test_a_flight_ends_only_when_its_time_is_over_and_another_stays(scene):
    store = scene.store
    first = store.call(partial(permit_uses.begin_flight, permit_ids=[1], now=0.0))
    until = store.call(lambda c: c.execute(select(schema.flights.c.until)).scalar_one())
    second = store.call(partial(permit_uses.begin_flight, permit_ids=[1], now=60.0))
    assert store.call(partial(permit_uses.in_flight, permit_id=1, now=30.0)) == 2
    store.call(partial(permit_uses.forget_flights, now=until - 1))
    assert count(store, schema.flights) == 2
    store.call(partial(permit_uses.forget_flights, now=until + 1))
    assert store.call(lambda c: list(c.execute(select(schema.flights.c.id)).scalars())) == [second]
    store.call(partial(permit_uses.end_flight, flight=second))
    assert first != second and count(store, schema.flights) == 0


def test_a_token_is_used_once_for_each_recipient(store):
    def take(*uses, now=1.0):
        return store.call(partial(returned.take_uses, uses=uses, now=now))

    assert take(b"a", b"b") and not take(b"b", b"c"), "nothing of it is used where some of it was"
    assert take(b"c", now=9.0)
    store.call(partial(returned.give_back, uses=[b"a"]))
    assert take(b"a", now=9.0)
    store.call(partial(returned.forget_uses, before=9.0))
    assert take(b"b") and not take(b"a")
    many = [number.to_bytes(2, "big") for number in range(1024)]
    assert take(*many) and not take(*many[-1:])


def test_tokens_that_earlier_programs_have_written_age_out(store):
    def issued(connection, at):
        row = {"token": b"t", "person": b"p", "bound": b"b", "mailing_id": 1, "issued_at": at}
        connection.execute(schema.release_tokens.insert().values(recipient=str(at).encode(), **row))

    for at in (10.0, 20.0):
        store.call(partial(issued, at=at))
    store.call(partial(cleanup.forget_tokens, before=20.0))
    assert store.call(lambda c: c.execute(select(schema.release_tokens.c.issued_at)).scalars().all()) == [20.0]
