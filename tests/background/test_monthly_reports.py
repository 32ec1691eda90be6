"""The report of a month is kept, and each reader told of it, once over all nodes and restarts (policy M6)."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from gatekeeper.api.report.document import document_text, report_document
from gatekeeper.background.monthly_reports import MonthlyReports, month_due
from gatekeeper.ledger import reports
from gatekeeper.ledger.context import NotAllowed
from gatekeeper.store import Database, Store, StoreError, audit_rows
from gatekeeper.store.db.schema import jobs, kept_reports
from tests.archive.scene import killed_at
from tests.ledger.scene import CIO, DEPUTY, HEAD, RULES, Scene
from tests.store.test_housekeeping import scheduler

HOLIDAYS = "5 working days, holidays: {add: [2027-01-01]}"
MONTHLY = RULES.replace("5 working days", HOLIDAYS).replace(
    "rules:\n", f"reports: {{monthly: [{CIO}, {DEPUTY}]}}\nrules:\n", 1
)
OCTOBER = (datetime(2026, 10, 1, 6, tzinfo=UTC).timestamp(), datetime(2026, 11, 1, 6, tzinfo=UTC).timestamp())


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, MONTHLY)


def duty(scene, store=None, made=None):
    own = store or scene.store

    def make(ruleset, period):
        if made is not None:
            made.append(period)
        return document_text(report_document(reports.compute(own, ruleset, period)))

    return MonthlyReports(own, scene.letterhead, make, lambda: None, scene.clock)


def told(scene):
    rows = scene.store.call(
        lambda connection: connection.execute(select(jobs).where(jobs.c.once.like("report:%"))).all()
    )
    return {row.recipient: row.content.decode() for row in rows}


def kept(scene):
    return scene.store.call(lambda connection: connection.execute(select(kept_reports)).all())


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        ("2026-11-01T12:00-07:00", None),  # a Sunday
        ("2026-11-02T00:30-07:00", "2026-10"),
        ("2026-11-02T05:30+00:00", None),  # in Denver it is Sunday still
        ("2026-11-30T23:59-07:00", "2026-10"),
        ("2027-01-01T12:00-07:00", None),  # New Year's Day, a Friday, then a weekend
        ("2027-01-03T12:00-07:00", None),
        ("2027-01-04T12:00-07:00", "2026-12"),
        ("2027-03-01T00:00-07:00", "2027-02"),
    ],
)
def test_it_is_due_from_the_first_working_day_on(scene, moment, due):
    month = month_due(scene.letterhead().ruleset, datetime.fromisoformat(moment).timestamp())
    assert (month.name if month else None) == due


async def test_each_is_told_once_and_the_report_is_kept_as_it_was_made(scene):
    """It is 23 November: October's report is late, and made now."""
    made = []
    for each in (duty(scene, made=made), duty(scene, made=made)):
        await each.attend()
        await each.attend()
    (report,) = kept(scene)
    assert ((report.since, report.until), report.by, report.login, len(made)) == (OCTOBER, "", "gate", 1)
    letters = told(scene)
    assert letters.keys() == {CIO, DEPUTY}
    assert "Subject: The report of October 2026 on mass mail (RP-1)" in letters[CIO] and report.digest in letters[CIO]
    assert json.loads(scene.service.kept_report(1, CIO).document)["since"] == "2026-10-01T06:00:00Z"
    with pytest.raises(NotAllowed):
        scene.service.kept_report(1, HEAD)
    scene.now += 86_400 * 8
    await duty(scene).attend()
    assert [row.number for row in kept(scene)] == [1, 2]
    problems = scene.store.call(audit_rows.verify_all)[1]
    assert problems == []


async def test_nobody_is_told_where_the_rules_name_nobody_and_who_is_named_later_is(store, tmp_path):
    scene = Scene(store, tmp_path, RULES)
    await duty(scene).attend()
    assert kept(scene) == [] and told(scene) == {}
    scene = Scene(store, tmp_path, MONTHLY.replace(f", {DEPUTY}]", "]"))
    await duty(scene).attend()
    assert told(scene).keys() == {CIO}
    scene = Scene(store, tmp_path, MONTHLY)
    await duty(scene).attend()
    assert told(scene).keys() == {CIO, DEPUTY} and len(kept(scene)) == 1


async def test_two_nodes_at_once_keep_one(scene):
    others = [Store(Database(scene.store.database.url.render_as_string(hide_password=False), 5)) for _ in range(2)]
    for each in others:
        each.open()
    await asyncio.gather(*(duty(scene, each).attend() for each in others))
    assert len(kept(scene)) == 1 and len(told(scene)) == 2
    for each in others:
        each.close()


async def test_killed_before_it_is_kept_it_is_made_again(scene):
    def alone():
        store = Store(Database(scene.store.database.url.render_as_string(hide_password=False), 5))
        store.open()
        asyncio.run(duty(scene, store).attend())

    assert killed_at("report-made", alone)
    assert kept(scene) == [] and told(scene) == {}
    await duty(scene).attend()
    assert len(kept(scene)) == 1 and len(told(scene)) == 2


async def test_the_office_looks_again_and_again_and_outlives_an_outage(scene, monkeypatch):
    monkeypatch.setattr("gatekeeper.background.scheduler.REPORT_SECONDS", 0.01)
    months = duty(scene)
    looks, outage = [], iter([StoreError("away"), StoreError("away")])

    async def attend():
        looks.append(scene.now)
        for error in outage:
            raise error

    monkeypatch.setattr(type(months), "attend", lambda self: attend())
    office = scheduler(scene, months)
    office.start()
    async with asyncio.timeout(10):
        while len(looks) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await office.stop()
