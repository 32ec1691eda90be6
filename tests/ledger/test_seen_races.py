"""Who approves by what they looked at while more arrives: nothing leaves that they had not seen; on both databases.

Arrivals run on the loop, those who decide in threads of their own, each after a look of their own.
"""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from gatekeeper.ledger.service import LedgerError, MailingCase
from gatekeeper.store.batch_views import addresses_of
from tests.ledger.scene import CIO, DEPUTY, Scene, limited
from tests.store.arrivals import people

SMALL = limited(8)
SECONDS = 30.0


def contents(case: MailingCase, *states: str) -> set[str]:
    return {batch.content_digest for batch in case.batches if not states or batch.state in states}


def sent(scene: Scene, case: MailingCase) -> set[str]:
    left = [batch.id for batch in case.batches if batch.state in ("released", "sent")]
    return scene.store.call(lambda connection: set(addresses_of(connection, left)))


class Approver:
    """One who looks, waits a moment, and approves what they saw, until it is released."""

    def __init__(self, scene: Scene, by: str, dice: random.Random, *, only_seen: bool) -> None:
        self.scene, self.by, self.dice, self.only_seen = scene, by, dice, only_seen
        self.looks: list[MailingCase] = []  # of which a yes was noted

    def run(self) -> None:
        end, service = time.monotonic() + SECONDS, self.scene.service
        while time.monotonic() < end:
            case = service.show(1)
            if case.mailing.state != "held" or sent(self.scene, case):
                return
            time.sleep(self.dice.random() / 100)
            try:
                service.approve(1, self.by, seen=case.mailing.version, only_seen=self.only_seen)
            except LedgerError:
                continue
            self.looks.append(case)


async def arrive(scene: Scene, dice: random.Random) -> None:
    for number in range(12):
        text = b"The same for everybody.\n" if dice.random() < 0.5 else f"Something else, {number}.\n".encode()
        await scene.send(people(dice.choice((0, 2, 5)) + 1, start=24 + 10 * number), text=text)
        await asyncio.sleep(dice.random() / 100)


async def run(scene: Scene, seed: int, who: tuple[str, ...], only_seen: bool) -> tuple[MailingCase, list[Approver]]:
    dice = random.Random(seed)
    await scene.send(people(24), text=b"The same for everybody.\n")
    approvers = [Approver(scene, by, random.Random(seed + len(by)), only_seen=only_seen) for by in who]
    await asyncio.gather(arrive(scene, dice), *(asyncio.to_thread(each.run) for each in approvers))
    return scene.service.show(1), approvers


@pytest.mark.parametrize("only_seen", [False, True])
@pytest.mark.parametrize("seed", range(3))
async def test_one_who_approves_releases_what_they_saw_and_no_more(store, tmp_path, seed, only_seen):
    scene = Scene(store, tmp_path, SMALL)
    case, (approver,) = await run(scene, seed, (CIO,), only_seen)
    assert approver.looks, f"seed {seed}: nobody could approve it"
    seen = approver.looks[-1]
    assert contents(case, "released", "sent") <= contents(seen), f"seed {seed}"
    assert 24 <= len(sent(scene, case)) <= seen.mailing.counts.users, f"seed {seed}"


@pytest.mark.parametrize("seed", range(3))
async def test_of_two_who_must_agree_both_have_seen_all_that_leaves(store, tmp_path, seed):
    scene = Scene(store, tmp_path, SMALL + "    ask: {any: 2, of: [approver]}\n")
    case, approvers = await run(scene, seed, (CIO, DEPUTY), False)
    assert all(approver.looks for approver in approvers), f"seed {seed}"
    for approver in approvers:
        assert contents(case, "released", "sent") <= contents(approver.looks[-1]), f"seed {seed}: {approver.by}"
        assert 24 <= len(sent(scene, case)) <= approver.looks[-1].mailing.counts.users, f"seed {seed}: {approver.by}"


async def test_the_timeline_tells_all_growth_in_one_line_after_the_other(store, tmp_path):
    scene = Scene(store, tmp_path, SMALL)
    await scene.send(people(24))
    sending = [scene.send(people(3, start=24 + 3 * number)) for number in range(50)]
    random.Random(1).shuffle(sending)
    await asyncio.gather(*sending)
    case = scene.service.show(1)
    (grew,) = [event for event in case.events if event.act == "grew"]
    assert grew.text == "24 to 174 users; 50 batches" and case.mailing.counts.users == 174
