"""The wall clock is set while mail is gathered, held and released, people are reminded, permits begin and end.

Nothing happens twice, nothing stalls, no mailing is split. To play one seed again: GATEKEEPER_SEEDS=small:17.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

import pytest

from gatekeeper.background.reminders import Reminders
from gatekeeper.store import jobs
from gatekeeper.store.permits import expire_permits
from tests.conftest import new_database
from tests.ledger.scene import CIO, RULES, SENDER, TODAY, Scene
from tests.promises.clocks import JUMPS, ClockedWorld, Machine
from tests.promises.play import play
from tests.promises.schedule import make
from tests.promises.test_random_schedules import office, url  # noqa: F401 - fixtures
from tests.promises.world import open_store
from tests.store.arrivals import people

DAY = 86_400.0
QUICK = {"small": (9003, 9014, 9016)}
LONG = {"small": 60, "medium": 15}


async def play_all(seeds, url, folder, office, monkeypatch):  # noqa: F811
    """Play schedules under clocks that are set; what was set how often, and which seeds failed."""
    figures, failures = Counter(), []
    for scale, seed in seeds:
        with monkeypatch.context() as patch:
            stores = []
            ClockedWorld.machine, ClockedWorld.figures = Machine(patch), figures
            try:
                figures += await play(make(str(seed), scale), url, folder, office, stores, patch, ClockedWorld)
            except (AssertionError, TimeoutError) as error:
                error.add_note(f"seed {scale}:{seed}, to be played again with GATEKEEPER_SEEDS={scale}:{seed}")
                failures.append(error)
            finally:
                for store in stores:
                    store.close()
    return figures, failures


def chosen(few):
    if named := os.environ.get("GATEKEEPER_SEEDS"):
        return [tuple(each.split(":")) for each in named.split(",")]
    return [(scale, seed) for scale, seeds in few.items() for seed in seeds]


async def test_mail_is_neither_twice_nor_late_nor_split_when_clocks_are_set(url, tmp_path, office, monkeypatch):  # noqa: F811
    figures, failures = await play_all(chosen(QUICK), url, tmp_path, office, monkeypatch)
    if failures:
        raise ExceptionGroup("schedules", failures)
    assert figures["schedules"] == len(chosen(QUICK))


@pytest.mark.soak
async def test_the_same_of_hundreds_of_schedules(url, tmp_path, office, monkeypatch, capsys):  # noqa: F811
    seeds = [(scale, seed) for scale, number in LONG.items() for seed in range(5_000, 5_000 + number)]
    figures, failures = await play_all(seeds, url, tmp_path, office, monkeypatch)
    with capsys.disabled():
        print(f"\n{url.partition(':')[0]}: {dict(figures)}")
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(seeds)} schedules", failures)


# -- what people are asked, and what they permit -------------------------------------------------------------------

HELD = RULES.replace(
    "requests:", "held: {remind: 2 working days, escalate: {after: 4 working days}, expire: 6 working days}\nrequests:"
)
STEPS = ["told", "reminded", "passed on", "expired"]


class Office:
    """One process that reminds people and looks again at what is held; it may be started anew."""

    def __init__(self, database, folder):
        self.database, self.folder = database, folder
        self.start()

    def start(self):
        self.store = open_store(self.database)
        self.scene = Scene(self.store, self.folder, HELD)
        self.scene.clock = self.store.now
        for each in (self.scene.gathers, self.scene.rechecks, self.scene.pipeline):
            each.clock = self.store.now
        self.reminders = Reminders(self.store, self.scene.letterhead, clock=self.store.now)

    async def work(self):
        self.store.call(self.store.database.clock.tell)
        await self.reminders.attend()
        await self.scene.rechecks.run_due()
        self.store.call(partial(expire_permits, now=self.store.now()))


async def weeks(database, folder, machine, dice, figures):
    """A mailing that nobody decides, and one that a permit lets go once its day has come, over two weeks."""
    offices = [Office(database, folder), Office(database, folder)]
    try:
        scene = offices[0].scene
        await scene.send(people(240), subject="Nobody decides", text=b"Nobody decides about this one here. " * 9)
        await scene.send(people(240), subject="Open enrolment")
        scene.ask(planned=TODAY + timedelta(days=7))
        scene.service.approve_request(1, CIO)
        gate, until = scene.store.now(), machine.elapsed + 16 * DAY
        while machine.elapsed < until:
            machine.passes(dice.uniform(600, 12 * 3600))
            if dice.random() < 0.08:
                name, seconds = dice.choice(list(JUMPS.items()))
                machine.wall += seconds
                machine.passes(15)
                figures[name] += 1
            for office in dice.sample(offices, 2):
                await office.work()
            if dice.random() < 0.1:
                dice.choice(offices).start()
                figures["started anew"] += 1
        assert abs(offices[0].store.now() - gate - 16 * DAY) < 2 * DAY, "time goes on at nearly its own pace"
        check_people(offices[0].scene)
    finally:
        for office in offices:
            office.store.close()


def check_people(scene):
    """Each step is taken once and in its order; a permit lets go what it is for, once, on its day or after it."""
    asked, permitted = scene.service.show(1), scene.service.show(2)
    acts = [event.act for event in asked.events if event.act in STEPS]
    assert acts == STEPS and asked.mailing.state == "expired"
    released = [event for event in permitted.events if event.act == "released"]
    assert len(released) == 1 and permitted.mailing.state == "released"
    assert released[0].at >= datetime(2026, 11, 30, 7, tzinfo=UTC).timestamp(), "Denver's Monday"
    assert (scene.permit().used, scene.permit().mailings) == (1, ("M-2",))
    letters = Counter(each["recipient"] for each in scene.store.call(jobs.waiting_jobs) if each["kind"] == "dsn")
    assert letters == {SENDER: 1}, "one report that nobody decided"
    assert len(scene.releases()) == 1


@pytest.mark.parametrize("seed", [3])
async def test_nobody_is_reminded_twice_and_no_permit_used_twice_when_clocks_are_set(url, tmp_path, monkeypatch, seed):  # noqa: F811
    await weeks(url, tmp_path, Machine(monkeypatch), Random(seed), Counter())


@pytest.mark.soak
async def test_the_same_of_many_weeks(postgres_server, tmp_path, monkeypatch, capsys):
    figures = Counter()
    for seed in range(15):
        with new_database(postgres_server) as postgres, monkeypatch.context() as patch:
            for database in (postgres, f"sqlite:///{tmp_path}/{seed}.db"):
                await weeks(database, tmp_path, Machine(patch), Random(seed), figures)
    with capsys.disabled():
        print(f"\n30 times two weeks: {dict(figures)}")
