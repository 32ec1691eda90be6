"""Mail under somebody's name that nobody bears out: it is theirs in nothing, and nothing of theirs waits for it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from gatekeeper.ledger.context import NotAllowed
from gatekeeper.ledger.service import Sought
from gatekeeper.lifecycle import MailingState
from gatekeeper.outbox.matter_brief import of_mailing
from gatekeeper.store import jobs
from tests.ledger.scene import CIO, DEPUTY, Scene, limited, people

BOSS, CLERK, OUTSIDER = "boss@doa.example.gov", "clerk@dphhs.example.gov", "crook@example.org"
SMALL = limited(20, mass=10)
SMALL = SMALL.replace("people:\n", f"people:\n  {BOSS}: {{roles: [approver]}}\n")


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, SMALL)


def minutes(scene, recipients, author, mail_from, login=None, number="1"):
    """`Minutes` to these, with a short text."""
    message = scene.message(recipients, sender=mail_from, login=login, authenticated=login is not None)
    content = f"From: {author}\r\nSubject: Minutes\r\nMessage-ID: <{number}@{mail_from or 'x'}>\r\n\r\nAs agreed.\r\n"
    return replace(message, content=content.encode())


async def send(scene, *given, **more):
    return (await scene.pipeline.receive(minutes(scene, *given, **more), scene.hop)).text


def letters(scene):
    return [job["recipient"] for job in scene.store.call(jobs.waiting_jobs) if job["kind"] in ("notice", "dsn")]


SENDERS = {
    "an outsider": (OUTSIDER, None),
    "nobody": ("", None),
    "a clerk": (CLERK, None),
    "a clerk with a login": (OUTSIDER, CLERK),
}


@pytest.mark.parametrize(("mail_from", "login"), SENDERS.values(), ids=SENDERS)
async def test_a_forged_name_makes_its_owner_no_party_to_the_mailing(scene, mail_from, login):
    """Clause C5. The boss's own mail of that subject passes, and the boss decides about the forged one like anybody."""
    assert "Held" in await send(scene, people(30), BOSS, mail_from, login=login)
    held = scene.mailing()
    assert (held.state, held.sender) == (MailingState.HELD, login or BOSS)
    assert BOSS not in letters(scene) and letters(scene) == [each for each in [login or mail_from] if each == CLERK]
    assert "queued" in await send(scene, people(3), BOSS, BOSS, number="2")
    assert scene.mailing().counts == held.counts
    with pytest.raises(NotAllowed, match=f"M-1: {BOSS} may not withdraw it; "):
        scene.service.withdraw(1, BOSS)
    scene.service.deny(1, BOSS, "I have not written this")
    assert BOSS not in letters(scene)


async def test_who_decides_is_told_that_a_name_is_only_named(scene):
    """Promise 9: what people are told is true."""
    for number, (author, mail_from) in enumerate([(BOSS, OUTSIDER), (BOSS, ""), (BOSS, CLERK), (CLERK, CLERK)], 1):
        start, text = 30 * number, f"Minutes {'abcd'[number - 1] * 4}"
        came = minutes(scene, people(30, start=start), author, mail_from, number=f"n{number}")
        came = replace(
            came, content=came.content.replace(b"Minutes", text.encode()).replace(b"As agreed", text.encode())
        )
        assert "Held" in (await scene.pipeline.receive(came, scene.hop)).text
    briefs = [
        scene.store.call(partial(of_mailing, letterhead=scene.letterhead(), key=each.key, now=scene.now))
        for each in sorted(scene.service.mailings(Sought(("held",))).rows, key=lambda each: each.key)
    ]
    lines = [line for brief in briefs for line in brief.details.split("\n")]
    assert [" ".join(line.split()) for line in lines if line.startswith("Sender")] == [
        f"Sender: {BOSS}, by From alone; MAIL FROM is {OUTSIDER}",
        f"Sender: {BOSS}, by From alone; neither a login nor MAIL FROM says who sent it",
        f"Sender: {BOSS}, by From alone; MAIL FROM is {CLERK}",
        f"Sender: {CLERK}",
    ]


async def test_who_sends_under_another_name_is_the_owner(scene):
    assert "Held" in await send(scene, people(30), BOSS, CLERK)
    scene.service.withdraw(1, CLERK)
    assert scene.mailing().state is MailingState.WITHDRAWN


@pytest.mark.parametrize(("mail_from", "login"), [(BOSS, None), ("x@example.org", BOSS)])
async def test_nobody_decides_their_own_or_withdraws_what_is_others_too(scene, mail_from, login):
    assert "Held" in await send(scene, people(30), BOSS, mail_from, login=login, number="7")
    with pytest.raises(NotAllowed, match="nobody decides their own"):
        scene.service.approve(1, BOSS)
    copy = minutes(scene, people(30, start=40), "kim@dphhs.example.gov", CLERK)
    copy = replace(copy, content=copy.content.replace(b"<1@" + CLERK.encode(), f"<7@{mail_from}".encode()))
    assert "Held" in (await scene.pipeline.receive(copy, scene.hop)).text
    assert scene.mailing().counts.users == 60 and scene.mailing().joined == {"message": 1}
    with pytest.raises(NotAllowed, match="may not withdraw it; an admin may"):
        scene.service.withdraw(1, BOSS)
    scene.service.withdraw(1, DEPUTY)


async def test_the_boss_and_a_forger_are_two_mailings_however_they_take_turns(scene):
    for turn in range(9):
        assert "queued" in await send(scene, people(2, start=2 * turn), BOSS, OUTSIDER, number=f"f{turn}")
        assert "queued" in await send(scene, people(2, start=2 * turn), BOSS, BOSS, number=f"b{turn}")
    assert "Held" in await send(scene, people(9, start=30), BOSS, OUTSIDER, number="f9")
    assert "queued" in await send(scene, people(1, start=18), BOSS, BOSS, number="b9")
    scene.service.approve(1, CIO)
    assert "Held" in await send(scene, people(9, start=50), BOSS, BOSS, number="b10")
    assert [each.counts.users for each in scene.service.mailings().rows] == [28, 27]
