"""The gate is killed at every named step of holding and releasing: what was acknowledged is there, nothing twice.

A point is `STEP:N`: the process ends by SIGKILL when it passes that step for the Nth time. Each point is a story: a
mailing of 2,400 users in two agencies is sent by a client that does what an MTA does, the gate is killed once more
right after the reply, the mailing is approved, and everyone must have it.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from sqlalchemy import select

from gatekeeper.lib.failpoints import STEPS
from gatekeeper.store import Connection, Database, Store, views
from gatekeeper.store.db.schema import jobs
from gatekeeper.store.views import MailingView
from tests.faults.scene import (
    SENDER,
    Downstream,
    approve,
    asleep,
    held_as,
    insist,
    message,
    people,
    restart,
    send,
    wait_queue_empty,
)
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.peers.sink import Sink

T = TypeVar("T")
GROUP = 500  # recipients of a release between two commits
LEASE = ["--lease", "1s"]
CHUNKS = 2 << 20  # octets of a body, which makes three chunks with its header

# What a mailing of one batch passes. The letters are its notices: held in the first life, released in the second.
HOLD = ["received:1", "decided:1", "body-opened:1", "body-chunk:1", "body-chunk:2", "body-chunk:3", "body-complete:1"]
HOLD += ["sealed:1", "notice-queued:1"]
HELD_NOTICE = ["leased:1", "sent:1", "finished:1"]
APPROVE = ["approved:1"]
GATHER = ["gather-judged:1", "gather-ended:1"]  # of a mailing that came in pieces, and is not over the limit
GATHERING = RULES.replace("within: 24h}", "within: 24h, gather: {from: 50, quiet: 1s, limit: 4s}}")
RELEASE = ["leased:1", "body-read:1", *(f"sent:{each}" for each in range(1, 7))]
RELEASE += [*(f"recorded:{each}" for each in range(1, 6)), "finished:1", "finished:2"]
# A mailing of two batches passes the steps of holding twice, and has more groups.
SECOND = ["received:2", "decided:2", "body-opened:2", *(f"body-chunk:{each}" for each in range(4, 7)), "sealed:2"]
SECOND_RELEASE = ["body-read:2", *(f"sent:{each}" for each in range(7, 11))]
SECOND_RELEASE += [*(f"recorded:{each}" for each in range(6, 9)), "finished:3"]


@dataclass
class Story:
    """One mailing, from its first batch to the last recipient."""

    gate: Gate
    downstream: Downstream
    name: str
    batches: list[list[str]] = field(default_factory=lambda: [people(2400)])
    octets: int = CHUNKS
    refused: frozenset[str] = frozenset()  # by the sink, for good
    mailing: str = ""

    @property
    def contents(self) -> list[bytes]:
        return [message(self.name, self.octets + 100 * number) for number in range(len(self.batches))]

    def hold(self) -> None:
        """Send every batch until it is acknowledged, kill, and see that all are there once and that none was sent."""
        for recipients, content in zip(self.batches, self.contents, strict=True):
            self.mailing = held_as(insist(self.gate, recipients, content))
        self.gate.kill()
        self._check_held()

    def _check_held(self) -> None:
        mailing = self.find()
        users = set().union(*self.batches)
        assert (mailing.state, mailing.counts.users) == ("held", len(users))
        assert sorted(mailing.counts.agencies) == ["DOA", "DPHHS"]
        assert (mailing.batches, mailing.sent) == (len(self.batches), 0)
        assert not any(self.downstream.copies(content) for content in self.contents)

    def find(self) -> MailingView:
        """The mailing, of which there must be one."""
        named = [found for found in self._ledger() if found.subject == self.name]
        assert [found.id for found in named] == [self.mailing], named
        return named[0]

    def _ledger(self) -> list[MailingView]:
        """All mailings, read as the commands read them, without a process for each look."""
        return self._read(views.list_mailings)

    def leases_of_letters(self) -> list[int]:
        """How often each letter to the sender was leased; a lease that is kept is one."""
        # by their names: a job that is done names no address any more
        to_sender = jobs.c.once.like("held:%") | jobs.c.once.like("released:%")
        letters = select(jobs.c.fence).where(to_sender)
        return self._read(lambda connection: list(connection.execute(letters).scalars()))

    def _read(self, read: Callable[[Connection], T]) -> T:
        store = Store(Database(self.gate.environment["GATEKEEPER_DATABASE"], timeout=5))
        store.open(writing=False)
        try:
            return store.call(read)
        finally:
            store.close()

    def release(self, points: Sequence[str] = ()) -> int:
        """Approve while the gate is down, and have it killed at each point in turn; how many copies were too many."""
        self.gate.kill()
        approve(self.gate, self.mailing)
        for point in points:
            self.gate.kill()
            self.gate.start(kill_at=point, wait=False)  # it may be gone before it is ready
            wait_for(lambda: not self.gate.running or self.is_over(), self.gate.log)
        restart(self.gate)  # one that waits for its point in vain would die of a notice
        wait_queue_empty(self.gate)
        return self.check_released()

    def is_over(self) -> bool:
        answers = self.gate.page("/readyz")[0] == 200
        return answers and self.gate.metric("gatekeeper_queue", kind="release") == 0 and self._all_arrived()

    def _all_arrived(self) -> bool:
        return all(set(self.downstream.copies(content)) == recipients for recipients, content in self._wanted())

    def _wanted(self) -> list[tuple[set[str], bytes]]:
        """Who is to get which message."""
        pairs = zip(self.batches, self.contents, strict=True)
        return [(set(recipients) - self.refused, content) for recipients, content in pairs]

    def check_released(self) -> int:
        """Everyone has it, and nobody else; returns how many copies were too many."""
        mailing, repeated = self.find(), 0
        wanted = self._wanted()
        assert (mailing.state, mailing.sent) == ("released", sum(len(recipients) for recipients, _ in wanted))
        for recipients, content in wanted:
            copies = self.downstream.copies(content)
            assert set(copies) == recipients
            repeated += copies.total() - len(copies)
        return repeated


@pytest.fixture
def downstream() -> Iterator[Downstream]:
    with Downstream(Sink()) as running:
        yield running


def live_through(downstream: Downstream, point: str, phase: str, **options) -> int:
    """Tell one story with one kill at the point, in its first life or after the approval; copies that were too many."""
    database = options.pop("database", None)
    with asleep(downstream.address, flags=LEASE, database=database) as gate:
        story = Story(gate, downstream, f"{phase} {point}", **options)
        gate.start(kill_at=point if phase == "hold" else "")
        story.hold()
        return story.release([point] if phase == "release" else [])


def two_batches() -> list[list[str]]:
    return [people(2400), people(1200, start=2400)]


def allowed(point: str, phase: str) -> int:
    """What was in flight may be sent again: one group, where the kill was between its answer and our commit."""
    return GROUP if phase == "release" and point.startswith("sent:") else 0


def test_the_steps_are_all_walked_through():
    points = [*HOLD, *HELD_NOTICE, *GATHER, *APPROVE, *RELEASE]
    # those of records are walked through in tests/archive, of parts in test_parts.py, of reports in tests/background
    ours = {step for step in STEPS if not step.startswith(("disposal-", "export-", "part-", "report-", "rest-"))}
    assert {point.partition(":")[0] for point in points} == ours
    assert len([*points, *SECOND, *SECOND_RELEASE]) + len(ON_POSTGRES) >= 50


# -- the short part: many kills in one story, each in another life of the gate -------------------------------------


def test_killed_while_it_holds_and_while_it_releases(downstream):
    with asleep(downstream.address, flags=LEASE) as gate:
        story = Story(gate, downstream, "many kills", refused=frozenset(people(5)[3:]))
        for point in ["body-chunk:2", "sealed:1"]:
            gate.start(kill_at=point)
            assert send(gate, story.batches[0], story.contents[0]) == ""
            assert gate.wait_dead() == -signal.SIGKILL
        gate.start()
        story.hold()
        downstream.sink.refuse = dict.fromkeys(story.refused, "550 5.1.1 no such user")
        assert story.release(["recorded:1", "sent:2"]) <= GROUP
        (report,) = [mail.content for mail in downstream.sink.mails if b"multipart/report" in mail.content]
        assert all(f"Final-Recipient: rfc822; {each}".encode() in report for each in story.refused)


def test_killed_on_postgres(downstream, postgres_url):
    """The client never saw the reply: its resend is the same batch, with the same number, and nobody is told twice."""
    with asleep(downstream.address, flags=LEASE, database=postgres_url) as gate:
        story = Story(gate, downstream, "on postgres", octets=0)
        gate.start(kill_at="notice-queued:1")
        story.hold()
        gate.start()
        assert held_as(send(gate, story.batches[0], story.contents[0])) == story.mailing
        assert story.release(["sent:2"]) <= GROUP
        told, leased = downstream.letters_to(SENDER), story.leases_of_letters()
        assert len(told) == len(leased) == 2, "held, and released"
        # once a lease: only what a process had in hand when it was killed is leased again, and may be sent again
        pairs = zip(sorted(told.values()), sorted(leased), strict=True)
        assert all(times <= leases for times, leases in pairs), f"{told}, leased {leased}"


# -- the whole ---------------------------------------------------------------------------------------------------

ON_POSTGRES = [("hold", point) for point in HOLD] + [("release", point) for point in RELEASE[:8] + RELEASE[-2:]]


@pytest.mark.soak
@pytest.mark.parametrize("point", [*HOLD, *HELD_NOTICE])
def test_killed_at_each_step_of_hold(downstream, point):
    assert live_through(downstream, point, "hold") == 0


@pytest.mark.soak
@pytest.mark.parametrize("point", RELEASE)
def test_killed_at_each_step_of_release(downstream, point):
    assert live_through(downstream, point, "release") <= allowed(point, "release")


@pytest.mark.soak
@pytest.mark.parametrize("point", SECOND)
def test_killed_at_each_step_of_holding_a_second_batch(downstream, point):
    assert live_through(downstream, point, "hold", batches=two_batches()) == 0


@pytest.mark.soak
@pytest.mark.parametrize("point", SECOND_RELEASE)
def test_killed_at_each_step_of_releasing_two_batches(downstream, point):
    """Two releases are under way at once: of the other one, a group may be in flight as well."""
    assert live_through(downstream, point, "release", batches=two_batches()) <= allowed(point, "release") + GROUP


@pytest.mark.soak
@pytest.mark.parametrize(("phase", "point"), ON_POSTGRES)
def test_killed_at_each_step_on_postgres(downstream, postgres_url, phase, point):
    assert live_through(downstream, point, phase, database=postgres_url) <= allowed(point, phase)


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_what_comes_long_after_a_restart_in_mid_gather_still_meets_the_rest(downstream, how):
    """As from an MTA that tries again later than `quiet`: over the limit together, so nothing of it leaves."""
    content = message("in pieces")
    with asleep(downstream.address, flags=LEASE, rules=GATHERING.replace("limit: 4s", "limit: 60s")) as gate:
        gate.start()
        assert "not sent yet: counting recipients" in send(gate, people(1500), content)
        getattr(gate, how)()
        gate.start()
        time.sleep(2.5)  # longer than `quiet`
        assert not downstream.copies(content)
        held_as(send(gate, people(900, start=1500), content))
        assert [(each["users"], each["sent"]) for each in gate.mailings("held")] == [(2400, 0)]


def test_a_gather_that_was_open_at_a_start_ends_at_its_limit_where_nothing_more_comes(downstream):
    content = message("whole")
    with asleep(downstream.address, flags=LEASE, rules=GATHERING) as gate:
        gate.start()
        send(gate, people(1500), content)
        gate.kill()
        gate.start()
        wait_for(lambda: downstream.copies(content).total() == 1500, gate.log)
        assert "1 gathers that were open wait on, for up to 4 seconds" in gate.log()


@pytest.mark.soak
@pytest.mark.parametrize("point", GATHER)
def test_killed_as_a_gather_ends(downstream, point):
    content, pieces = message("in pieces"), [people(800), people(800, start=800)]
    with asleep(downstream.address, flags=LEASE, rules=GATHERING) as gate:
        gate.start(kill_at=point)
        for piece in pieces:
            assert "not sent yet: counting recipients" in insist(gate, piece, content)
        wait_for(lambda: not gate.running, gate.log)
        gate.start()
        wait_for(lambda: downstream.copies(content).total() >= 1600, gate.log)
        wait_queue_empty(gate)
        assert downstream.copies(content) == dict.fromkeys(people(1600), 1)


@pytest.mark.soak
def test_the_command_that_approves_is_killed(downstream):
    """The approval was committed: asking again says so, and everyone gets the mail once."""
    with asleep(downstream.address, flags=LEASE) as gate:
        story = Story(gate, downstream, "approved")
        gate.start()
        story.hold()
        gate.start()
        gate.environment["GATEKEEPER_KILL_AT"] = "approved:1"
        assert gate.cli("mailing", "approve", story.mailing, "--by", "cio@example.gov", check=False).returncode == -9
        del gate.environment["GATEKEEPER_KILL_AT"]
        assert (
            "released" in gate.cli("mailing", "approve", story.mailing, "--by", "cio@example.gov", check=False).stderr
        )
        wait_queue_empty(gate)
        assert story.check_released() == 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_killed_again_and_again_at_random(downstream, seed):
    """Each kill repeats one group at most."""
    chance = random.Random(seed)
    points = [chance.choice(["leased:1", "body-read:1", "sent:1", "sent:2", "recorded:1"]) for _ in range(8)]
    with asleep(downstream.address, flags=LEASE) as gate:
        story = Story(gate, downstream, "again and again", octets=0)
        gate.start()
        story.hold()
        assert story.release(points) <= GROUP * sum(point.startswith("sent:") for point in points)
