"""Who approves, denies, withdraws and revokes at the same moment, in threads of their own, on both databases.

Of those who close or release a held mailing exactly one wins; what a revoke says it stopped is never sent.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from gatekeeper.background.delivery_queue import Queue
from gatekeeper.delivery.recipients import RecipientResult, Result
from gatekeeper.ledger.service import LedgerError
from gatekeeper.smtp.replies import reply
from tests.ledger.scene import CIO, DEPUTY, SENDER, Scene, limited
from tests.store.arrivals import people

SMALL = limited(20)
EVERYONE = people(60)


class Hop:
    """A next hop that takes a moment for each group, and remembers whom it was given of the mailings."""

    most_recipients = None

    def __init__(self, dice: random.Random) -> None:
        self.taken: list[str] = []
        self.dice = dice

    async def deliver(self, sender, parameters, recipients, content):
        if sender:
            self.taken += [each.address for each in recipients]  # from here on it may be with them
        await asyncio.sleep(self.dice.random() / 200)
        return tuple(RecipientResult(each, Result.DELIVERED, reply(250, "ok", "2.0.0")) for each in recipients)


def race(acts: dict[str, Callable[[], object]], dice: random.Random) -> dict[str, object]:
    """Begin all at once, each a few milliseconds later or sooner; what those returned that were not refused."""
    line = Barrier(len(acts))

    def run(act: Callable[[], object], delay: float) -> object:
        line.wait(30)
        time.sleep(delay)
        try:
            return act()
        except LedgerError:
            return None

    with ThreadPoolExecutor(len(acts)) as threads:
        begun = {name: threads.submit(run, act, dice.random() / 200) for name, act in acts.items()}
        return {name: found for name, each in begun.items() if (found := each.result(60)) is not None}


async def quiet(queue: Queue, hop: Hop) -> int:
    """How many were given away once the queue has had its turn again."""
    for _ in range(3):
        queue.poke()
        await asyncio.sleep(0.03)
    return len(hop.taken)


@pytest.fixture
def scene(store, tmp_path, monkeypatch):
    monkeypatch.setattr("gatekeeper.background.delivery_queue._GROUP", 7)
    return Scene(store, tmp_path, SMALL)


async def one_wins(scene: Scene, seed: int) -> None:
    """One of four decides about a held mailing; all of it is sent where that was a yes, else nothing."""
    dice = random.Random(seed)
    hop, subject = Hop(dice), f"seed {seed} decided"
    held = await scene.send(EVERYONE, subject=subject, text=subject.encode())
    number = int(held.text.split("M-")[1].split(":")[0])
    queue = Queue(scene.store, hop, scene.letterhead, 60, clock=scene.clock)
    queue.start()
    service = scene.service
    won = await asyncio.to_thread(
        race,
        {
            "approve": lambda: service.approve(number, CIO),
            "approve too": lambda: service.approve(number, DEPUTY),
            "deny": lambda: service.deny(number, DEPUTY, "no"),
            "withdraw": lambda: service.withdraw(number, SENDER),
        },
        dice,
    )
    assert len(won) == 1, f"seed {seed}: {sorted(won)} won"
    yes = "approve" in next(iter(won))
    async with asyncio.timeout(60):
        while yes and len(hop.taken) < len(EVERYONE):
            await quiet(queue, hop)
    await quiet(queue, hop)
    await queue.stop(10)
    assert sorted(hop.taken) == (sorted(EVERYONE) if yes else []), f"seed {seed}"
    assert scene.mailing(number).state in ({"released"} if yes else {"denied", "withdrawn"})


async def nothing_after_a_revoke(scene: Scene, seed: int) -> None:
    """Approved and revoked while the queue sends it: what was said to be stopped stays."""
    dice = random.Random(seed)
    hop, subject = Hop(dice), f"seed {seed} revoked"
    held = await scene.send(EVERYONE, subject=subject, text=subject.encode())
    number = int(held.text.split("M-")[1].split(":")[0])
    service = scene.service
    object.__setattr__(service, "pause", lambda seconds: time.sleep(0.002))
    queue = Queue(scene.store, hop, scene.letterhead, 60, clock=scene.clock)
    queue.start()
    permit = int(str((await asyncio.to_thread(service.approve, number, CIO)).permit).removeprefix("P-"))
    queue.poke()
    seen: list[int] = []

    def revoke(by: str) -> object:
        case = service.revoke(permit, by, "no more")
        seen.append(len(hop.taken))
        return case

    won = await asyncio.to_thread(
        race,
        {
            "revoke": lambda: revoke(CIO),
            "revoke too": lambda: revoke(DEPUTY),
            "deny": lambda: service.deny(number, CIO, "no"),  # of what the revoke has held again, or not at all
        },
        dice,
    )
    revoked = [each for name, each in won.items() if name.startswith("revoke")]
    assert len(revoked) == 1, f"seed {seed}: {sorted(won)}"
    sent, stopped = revoked[0].stopped.sent, revoked[0].stopped.stopped
    assert sent + stopped == len(EVERYONE), f"seed {seed}: {sent} sent, {stopped} stopped"
    assert await quiet(queue, hop) == seen[0] == sent, f"seed {seed}: more was sent after the revoke had returned"
    await queue.stop(10)
    expected = "denied" if "deny" in won else "held" if stopped else "released"
    assert scene.mailing(number).state == expected, f"seed {seed}"


async def no_message_after_a_revoke(scene: Scene, seed: int) -> None:
    """A permit under which mail passes as it arrives is revoked meanwhile: nothing of it is handed on after that."""
    dice = random.Random(seed)
    subject, scene.hop.pause = f"seed {seed} on its way", 0.003
    scene.hop.added.clear()
    request = int(scene.ask(subject=subject).request.id.removeprefix("R-"))
    scene.service.approve_request(request, CIO)
    service = scene.service
    object.__setattr__(service, "pause", lambda seconds: time.sleep(0.002))

    def revoke() -> tuple[int, int]:
        time.sleep(dice.random() / 20)
        case = service.revoke_request(request, CIO, "no more")
        return case.stopped.sent, len(scene.hop.added)

    async def stream(start: int) -> int:
        replies = [
            await scene.send(people(30, start=start + 30 * place), subject=subject, text=subject.encode())
            for place in range(5)
        ]
        return sum("queued" in each.text for each in replies)

    revoking = asyncio.create_task(asyncio.to_thread(revoke))
    passed = sum(await asyncio.gather(*(stream(500 * place) for place in range(3))))
    sent, handed_on = await revoking
    assert (handed_on, passed, sent) == (passed, len(scene.hop.added), 30 * passed), f"seed {seed}"


RACES = [one_wins, nothing_after_a_revoke, no_message_after_a_revoke]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
async def test_acts_at_the_same_moment(scene, race):
    """Clauses S3 and S5."""
    for seed in range(2):
        await race(scene, seed)


@pytest.mark.soak
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
async def test_acts_at_the_same_moment_hundreds_of_times(scene, race):
    for seed in range(100, 400):
        await race(scene, seed)
