"""An emergency is told to every approver at once, and they are reminded until it is reviewed (policy M1)."""

from __future__ import annotations

import asyncio

import pytest

from tests.background.test_reminders_of_requests import Told
from tests.ledger.scene import CIO, DEPUTY, HEAD, RULES
from tests.notices.queued import take_mails
from tests.notices.reading import text_of

ADMIN = "admin@example.gov"


@pytest.fixture
def scene(store, tmp_path):
    return Told(store, tmp_path, RULES.replace("people:\n", f"people:\n  {ADMIN}: {{roles: [admin]}}\n", 1))


async def test_every_approver_is_told_at_once(scene):
    scene.service.declare_emergency("DOA", HEAD, "a burst pipe", 4)
    mails = dict(await scene.after())
    assert set(mails) == {CIO, DEPUTY}
    assert mails[CIO]["Subject"] == "Emergency declared (P-1): Administration"
    text = text_of(mails[CIO])
    for words in (
        f"{HEAD} has declared an emergency of Administration",
        "The reason: a burst pipe",
        "Until: Monday 23 November 2026, 09:00 MST",
        "No mailing has used it yet",
        "gatekeeper permit review P-1",
    ):
        assert words in text, words
    assert await scene.after() == []


async def test_they_are_reminded_until_it_is_reviewed(scene):
    scene.service.declare_emergency("DOA", HEAD, "a burst pipe", 4)
    await scene.after()
    await scene.send()
    first = dict(await scene.after(2.1))
    assert first[CIO]["Subject"] == "Emergency to review (P-1): Administration"
    assert "Under it M-1 passed, to 240 recipients so far." in text_of(first[CIO])
    assert set(dict(await scene.after(2.1))) == {CIO, DEPUTY}
    scene.service.review_permit(1, CIO, "all of it was about the pipe")
    mails = dict(await scene.after())
    assert set(mails) == {HEAD, DEPUTY}
    assert f"{CIO} has reviewed the emergency" in text_of(mails[HEAD])
    assert await scene.after(5) == []


async def test_who_declared_it_is_not_asked_to_review_it(scene):
    scene.service.declare_emergency("DOA", CIO, "a burst pipe", 4)
    assert set(dict(await scene.after())) == {DEPUTY}


async def test_where_nobody_else_approves_admins_are_told(store, tmp_path):
    rules = RULES.replace("roles: [approver, admin]", "roles: [admin]")
    scene = Told(store, tmp_path, rules)
    scene.service.declare_emergency("DOA", CIO, "a burst pipe", 4)
    assert set(dict(await scene.after())) == {DEPUTY}


async def test_processes_that_look_at_once_tell_once(scene):
    scene.service.declare_emergency("DOA", HEAD, "a burst pipe", 4)
    await asyncio.gather(*(scene.reminders.attend() for _ in range(4)))
    assert len(take_mails(scene.store, scene.now + 1)) == 2


async def test_a_fault_with_one_keeps_no_other_matter_waiting(scene, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("gatekeeper.outbox.to_reviewers.ask_for_review", fail)
    scene.service.declare_emergency("DOA", HEAD, "a burst pipe", 4)
    scene.ask()
    assert set(dict(await scene.after())) == {CIO, DEPUTY, HEAD}  # about the request
