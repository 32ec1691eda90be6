"""One text that several colleagues send: held as one, with all their names, decided as one (M1)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from gatekeeper.ledger.context import NotAllowed
from gatekeeper.ledger.lists import Sought
from gatekeeper.lifecycle import MailingState
from gatekeeper.outbox.matter_brief import of_mailing
from tests.ledger.scene import CIO, Scene, limited, people

SMALL = limited(20, mass=10)
COLLEAGUES = [f"clerk{number}@doa.example.gov" for number in range(4)]
TEXT = (
    "the benefits office opens enrolment for all employees on monday. please choose a health plan, a dental plan\r\n"
    "and your beneficiaries before the end of the month; whoever does not choose keeps the plan of last year.\r\n"
)


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, SMALL)


async def send(scene, sender, recipients):
    message = scene.message(recipients, sender=sender, login=sender, authenticated=True)
    message_id = f"{sender}.{recipients[0]}"
    head = f"From: {sender}\r\nSubject: Enrolment\r\nMessage-ID: <{message_id}>\r\n\r\n"
    made = replace(message, content=f"{head}{TEXT}".encode())
    return (await scene.pipeline.receive(made, scene.hop)).text


async def send_all(scene):
    everyone = people(32)
    return [await send(scene, sender, everyone[at * 8 : at * 8 + 8]) for at, sender in enumerate(COLLEAGUES)]


async def test_colleagues_who_share_a_text_wait_together(scene):
    answers = await send_all(scene)
    assert ["Held" in answer for answer in answers] == [False, False, True, True]
    held = scene.mailing()
    assert (held.counts.users, held.reached_before, held.batches) == (32, 16, 2)
    brief = scene.store.call(partial(of_mailing, letterhead=scene.letterhead(), key=held.key, now=scene.clock()))
    assert f"{COLLEAGUES[2]}, {COLLEAGUES[3]}" in brief.details


async def test_nobody_of_them_decides_it_or_takes_it_back_alone(scene):
    await send_all(scene)
    for sender in COLLEAGUES[2:]:
        with pytest.raises(NotAllowed):
            scene.service.withdraw(1, sender)


async def test_an_approval_sends_what_is_held_of_all_of_them(scene):
    await send_all(scene)
    scene.service.approve(1, CIO, "")
    assert scene.mailing().state is MailingState.RELEASED
    answer = await send(scene, COLLEAGUES[2], people(2))
    assert "queued" in answer  # the same message, within the numbers that were approved


async def test_after_a_denial_the_text_is_held_again(scene):
    await send_all(scene)
    scene.service.deny(1, CIO, "not now")
    assert "Held for approval as M-2" in await send(scene, "clerk9@doa.example.gov", people(8, start=40))


async def test_what_a_permit_lets_pass_is_not_held_for_what_others_send(scene):
    """A permit for so many users: those whom colleagues reach by the same text are not counted against it."""
    everyone = people(60)
    for at, sender in enumerate(COLLEAGUES[:2]):
        assert "queued" in await send(scene, sender, everyone[at * 8 : at * 8 + 8])
    scene.ask(senders=(COLLEAGUES[2],), subject="Enrolment", users=24)
    scene.service.approve_request(1, CIO)
    assert "queued" in await send(scene, COLLEAGUES[2], everyone[20:44]), "24, as was asked for"
    assert scene.permit().used == 1 and scene.service.mailings(Sought(states=("held",))).rows == []
    assert "Held" in await send(scene, COLLEAGUES[3], everyone[50:58]), "of whom no permit was given"
