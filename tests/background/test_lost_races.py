"""Somebody else was first: whoever has read what is no longer so writes nothing, and judges again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import func, select, update

from gatekeeper.ledger.service import Exempted
from gatekeeper.lifecycle import BatchState
from gatekeeper.model import Counts, Scope
from gatekeeper.store import batches, gathering, permits, views
from gatekeeper.store.db.schema import batches as batch_rows
from gatekeeper.store.db.schema import events, jobs, mailings
from gatekeeper.store.permit_uses import claim, judge_with_permits
from gatekeeper.store.rows import permit_of
from gatekeeper.store.standing import own_standing, read_scopes
from tests.background.test_gathering import gate  # noqa: F401 - a fixture
from tests.background.test_unlike_batches import SENDER, UNTIL
from tests.ledger.scene import CIO, Scene
from tests.store.arrivals import people

# -- the end of a gather -----------------------------------------------------------------------------------------


def grow(connection, key):
    connection.execute(update(mailings).where(mailings.c.id == key).values(version=mailings.c.version + 1))


def seal_one_more(connection, key):
    one = select(func.max(batch_rows.c.id)).where(batch_rows.c.mailing_id == key).scalar_subquery()
    connection.execute(update(batch_rows).where(batch_rows.c.id == one).values(state=BatchState.STORING))


def hold(connection, key):
    connection.execute(update(mailings).where(mailings.c.id == key).values(state="held"))


def merge(connection, key):
    connection.execute(update(mailings).where(mailings.c.id == key).values(merged_into=key))


ENDS = {
    "passing": lambda c, read: gathering.end_by_passing(c, read, gathering.Passing({}, {}, ()), 1.0),
    "holding": lambda c, read: gathering.end_by_holding(c, read, {}, (), 1.0),
    "refusing": lambda c, read: gathering.end_by_refusing(
        c, read, gathering.Refusing((), frozenset(), frozenset(), Counts()), 1.0
    ),
}


def all_rows(store):
    def read(connection):
        return [
            connection.execute(select(table).order_by(table.c.id)).all()
            for table in (mailings, batch_rows, jobs, events)
        ]

    return store.call(read)


@pytest.mark.parametrize("changed", [grow, seal_one_more, hold, merge])
@pytest.mark.parametrize("end", ENDS)
async def test_a_gather_that_has_changed_since_it_was_read_is_not_ended(gate, changed, end):  # noqa: F811
    await gate.cut(people(150), 50)
    key = gate.mailing().key
    read = gate.store.call(partial(gathering.read_gathered, key=key))
    gate.store.call(partial(changed, key=key))
    before = all_rows(gate.store)
    assert gate.store.call(partial(ENDS[end], read=read)) is False
    assert all_rows(gate.store) == before, "nothing was written"


@pytest.mark.parametrize("end", ENDS)
async def test_one_that_is_as_it_was_read_is_ended_once(gate, end):  # noqa: F811
    await gate.cut(people(150), 50)
    read = gate.store.call(partial(gathering.read_gathered, key=gate.mailing().key))
    assert [gate.store.call(partial(ENDS[end], read=read)) for _ in range(2)] == [True, False]


async def test_a_gather_that_is_leased_or_young_or_over_is_not_due(gate):  # noqa: F811
    await gate.cut(people(150), 50)
    until, key = gate.mailing().gather_until, gate.mailing().key
    lease = partial(gathering.lease_gather, seconds=20)
    assert gate.store.call(partial(lease, now=until - 0.1)) is None
    assert gate.store.call(partial(lease, now=until)) == key
    assert gate.store.call(partial(lease, now=until + 19.9)) is None
    assert not gate.store.call(partial(gathering.any_due, now=until + 19.9))
    assert gate.store.call(partial(lease, now=until + 20)) == key
    gate.store.call(partial(gathering.give_back, key=key))
    assert gate.store.call(partial(lease, now=until)) == key
    gate.store.call(partial(hold, key=key))
    assert gate.store.call(partial(lease, now=until + 99)) is None


# -- permits -----------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path)


def standing_of(connection, *numbers):
    """A standing with these permits, as they are now."""
    row = connection.execute(select(mailings).where(mailings.c.number == 1)).mappings().one()
    found = []
    for number in numbers:
        query = select(permits.permits).where(permits.permits.c.number == number)
        permit = connection.execute(query).mappings().one()
        found.append(permit_of(permit, read_scopes(connection, [permit["id"]])[permit["id"]], claimed=False))
    return row["id"], replace(own_standing(connection, row), permits=tuple(found))


async def judged(scene, meanwhile):
    """Which states of the permits were judged by, where something happens between the look and the lock."""
    await scene.send(people(240), subject="Something else")
    for _ in range(2):
        scene.service.grant_exception(Exempted(Scope(frozenset({SENDER})), UNTIL, ("approval",)), CIO, "it may")
    asked = []

    def judge(standing):
        asked.append([permit.state for permit in standing.permits])
        return next((permit.id for permit in standing.permits if permit.state == "in force"), "")

    def work(connection):
        key, standing = standing_of(connection, 1, 2)
        meanwhile(connection, key)
        return judge_with_permits(connection, key, standing, judge, lambda verdict: [verdict] if verdict else [])

    return scene.store.call(work), asked


def revoke(number):
    table = permits.permits
    return lambda connection, key: connection.execute(
        update(table).where(table.c.number.in_(number)).values(state="revoked")
    )


async def test_a_permit_that_is_revoked_before_it_is_locked_lets_nothing_pass(scene):
    assert await judged(scene, revoke([1])) == ("P-2", [["in force", "in force"], ["revoked", "in force"]])


async def test_where_all_are_revoked_meanwhile_each_is_looked_at_in_its_turn(scene):
    passed, asked = await judged(scene, revoke([1, 2]))
    assert passed == "" and asked == [["in force"] * 2, ["revoked", "in force"], ["revoked"] * 2]


async def test_one_that_nothing_relies_on_may_change(scene):
    assert await judged(scene, revoke([2])) == ("P-1", [["in force", "in force"]])


async def test_a_permit_is_used_once_by_a_mailing_however_often_it_claims(scene):
    await scene.send(people(240))
    scene.service.grant_exception(Exempted(Scope(frozenset({SENDER})), UNTIL, ("approval",)), CIO, "it may")
    key = scene.mailing().key
    for relayed in (3, 4):
        scene.store.call(partial(claim, names=["P-1"], mailing_id=key, now=scene.now, relayed=relayed))
    permit = scene.permit()
    assert (permit.used, permit.mailings, permit.state) == (1, ("M-1",), "in force")
    assert scene.store.call(partial(permits.effect_of, permit=permit, now=scene.now)).sent == 7


# -- batches -----------------------------------------------------------------------------------------------------


async def test_a_batch_whose_mailing_was_decided_while_it_was_stored_is_removed_and_decided_again(scene):
    await scene.send(people(240))
    (kept,) = scene.store.call(lambda c: c.execute(select(batch_rows)).mappings().all())
    change = update(batch_rows).values(state=BatchState.STORING)
    scene.store.call(lambda c: c.execute(change))
    scene.store.call(lambda c: c.execute(update(mailings).values(state="denied")))
    assert scene.store.call(partial(batches.seal, batch_id=kept["id"], digest=kept["body"])) is False
    assert scene.store.call(lambda c: c.execute(select(batch_rows)).all()) == []
    assert scene.store.call(partial(batches.seal, batch_id=kept["id"], digest=kept["body"])) is False, "it is gone"


async def test_a_batch_is_sealed_once_and_keeps_its_place(scene):
    await scene.send(people(240))
    (kept,) = scene.store.call(lambda c: c.execute(select(batch_rows)).mappings().all())
    assert scene.store.call(partial(batches.seal, batch_id=kept["id"], digest=b"\1" * 32)) is True
    (after,) = scene.store.call(lambda c: c.execute(select(batch_rows)).mappings().all())
    assert dict(after) == dict(kept) and scene.store.call(partial(views.find_mailing, number=1)).batches == 1
