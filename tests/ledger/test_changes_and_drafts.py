"""What has changed since an event, the first of all included; and how long what somebody has begun to write is kept."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, literal, select

from gatekeeper.store.db.schema import batches
from gatekeeper.store.unfinished import Unfinished
from tests.ledger.scene import CIO, DEPUTY, HEAD, Scene
from tests.store.arrivals import people

DAY = 86_400.0


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path)


async def test_the_very_first_event_is_a_change(scene):
    assert scene.service.changes(0, CIO).matters == ()
    await scene.send(people(240))
    found = scene.service.changes(0, CIO)
    assert [(each.kind, each.id, each.state) for each in found.matters] == [("mailing", "M-1", "held")]
    assert (found.last, found.waiting) == (scene.service.newest_event(), 1)
    assert scene.service.changes(0, "eve@dphhs.example.gov").matters == (), "what they may not see has not changed"


async def test_of_mailings_and_requests_both_are_told(scene):
    await scene.send(people(240))
    scene.ask(subject="Flu shots")
    found = {each.kind: each.id for each in scene.service.changes(0, CIO).matters}
    assert found == {"mailing": "M-1", "request": "R-1"} and scene.service.changes(0, CIO).waiting == 2


def test_what_somebody_has_begun_is_forgotten_after_thirty_days_and_no_sooner(scene):
    service = scene.service
    service.keep_begun(Unfinished({"subject": "mine"}), HEAD)
    scene.now += 29.9 * DAY
    service.keep_begun(Unfinished({"subject": "theirs"}), DEPUTY)
    assert service.begun(HEAD).values == {"subject": "mine"}
    scene.now += 0.2 * DAY
    service.keep_begun(Unfinished({"subject": "theirs again"}), DEPUTY)
    assert service.begun(HEAD) is None and service.begun(DEPUTY).values == {"subject": "theirs again"}
    service.drop_begun(DEPUTY)
    assert service.begun(DEPUTY) is None


async def test_who_may_read_one_batch_is_shown_that_and_who_decides_all(scene):
    """Two senders of one mailing: each reads their own, whoever decides reads both, a stranger nothing."""
    one, two = "news@doa.example.gov", "clerk@doa.example.gov"
    held = scene.message(people(240), sender=one)
    await scene.pipeline.receive(held, scene.hop)
    key = scene.mailing().key
    scene.store.call(lambda c: c.execute(insert(batches).from_select(*_another(key, two))))
    looked = {by: scene.service.look(1, by) for by in (one, CIO)}
    assert [len(each.readable) for each in looked.values()] == [1, 2]
    assert looked[one].readable[0].owners == (one,) and looked[one].is_own and not looked[CIO].is_own


def _another(key, owner):
    """The mailing's batch once more, of somebody else."""
    own = {"id": 9_999, "owners": [owner], "identity": b"\2" * 16}
    columns = list(batches.c)
    values = [literal(own[each.name], each.type).label(each.name) if each.name in own else each for each in columns]
    return [each.name for each in columns], select(*values).where(batches.c.mailing_id == key)
