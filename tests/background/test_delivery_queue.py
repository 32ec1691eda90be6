"""The durable queue against a real next hop: each recipient once, whatever the next hop does."""

from __future__ import annotations

import asyncio
import email
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gatekeeper.background.delivery_queue import Queue
from gatekeeper.delivery import NextHop
from gatekeeper.ledger.service import LedgerService
from gatekeeper.lib.allowance import Allowance
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.rules import parse_ruleset
from gatekeeper.settings import NextHopSettings
from gatekeeper.store import Database, Store, jobs
from gatekeeper.store.db import clock as clocks
from tests.ledger.test_service import CIO, RULES
from tests.peers.postgres import Postgres
from tests.peers.sink import Sink, delay, drop, hang, say
from tests.store.arrivals import NOON, arrival, limit, people

DAY = 86_400.0
pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    """Commit after a tenth of the recipients that it is otherwise, so that a tenth of them is as many groups."""
    monkeypatch.setattr("gatekeeper.background.delivery_queue._GROUP", 50)


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = NOON.timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def letterhead():
    return Letterhead(parse_ruleset(RULES, "rules.yaml", Path(".")), "gate.example.gov")


@pytest.fixture
async def sink():
    async with Sink() as sink:
        yield sink


@pytest.fixture
async def queue(store, sink, clock, letterhead):
    section = NextHopSettings(f"smtp://127.0.0.1:{sink.port}", 2.0, 5.0, "gate.example.gov")
    next_hop = NextHop(section)
    queue = Queue(store, next_hop, lambda: letterhead, lease=30.0, clock=clock)
    yield queue
    await queue.stop(1)
    await next_hop.close()


async def approved(store, letterhead, clock, recipients, **more):
    one = arrival(recipients, **more)
    outcome = await store.decide(one, limit(200))
    await store.keep(one, outcome.batch)
    LedgerService(store, letterhead, clock).approve(int(outcome.mailing[2:]), CIO)
    return one


async def until(condition, seconds=60.0):
    """Wait for what nothing announces; long enough for a machine that is busy with other things."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def of_the_mailing(sink):
    return [mail for mail in sink.mails if mail.sender]


def reports(sink):
    return [email.message_from_bytes(mail.content) for mail in sink.mails if not mail.sender]


def actions(sink):
    return [str(each.get_payload(1)) for each in reports(sink) if each.get_content_type() == "multipart/report"]


async def idle(store, queue):
    await until(lambda: not queue._working and not store.call(partial(jobs.any_due, now=queue.clock())))


async def test_a_release_reaches_each_recipient_once_with_the_bytes_that_came_in(store, queue, sink, clock, letterhead):
    everyone = people(240)
    one = await approved(store, letterhead, clock, everyone)
    queue.start()
    await until(lambda: sum(len(mail.addresses) for mail in of_the_mailing(sink)) >= 240)
    await idle(store, queue)
    assert sorted(address for mail in of_the_mailing(sink) for address in mail.addresses) == sorted(everyone)
    assert {mail.content for mail in of_the_mailing(sink)} == {one.trace + one.transaction.content}
    mailing = LedgerService(store, letterhead, clock).show(1)
    assert mailing.mailing.sent == 240 and mailing.batches[0].state == "sent"


async def test_who_is_refused_is_reported_to_the_sender_once(store, queue, sink, clock, letterhead):
    everyone = people(240)
    sink.refuse = {everyone[7]: "550 5.1.1 no such user", everyone[8]: "550 5.1.1 no such user"}
    await approved(store, letterhead, clock, everyone)
    queue.start()
    await until(lambda: len(reports(sink)) == 2)  # the notice of the release, and the report
    await idle(store, queue)
    (report,) = [each for each in reports(sink) if each.get_content_type() == "multipart/report"]
    assert report["To"].count("head@doa.example.gov") == 1
    status = str(report.get_payload(1))
    assert status.count("Final-Recipient:") == 2 and everyone[7] in status and "5.1.1" in status
    assert LedgerService(store, letterhead, clock).show(1).mailing.refused == 2


async def test_what_is_deferred_waits_and_goes_later(store, queue, sink, clock, letterhead):
    everyone = people(240)
    sink.refuse = {everyone[0]: "450 4.2.0 mailbox busy"}
    await approved(store, letterhead, clock, everyone)
    queue.start()
    await until(lambda: sum(len(mail.addresses) for mail in of_the_mailing(sink)) == 239)
    await idle(store, queue)
    assert LedgerService(store, letterhead, clock).show(1).batches[0].state == "released"
    sink.refuse = {}
    clock.now += 60
    await until(lambda: sum(len(mail.addresses) for mail in of_the_mailing(sink)) == 240)
    await idle(store, queue)
    assert of_the_mailing(sink)[-1].addresses == [everyone[0]]


async def test_a_sender_is_told_of_a_delay_after_four_hours_and_of_the_end_after_five_days(
    store, queue, sink, clock, letterhead
):
    everyone = people(240)
    sink.refuse = {everyone[0]: "450 4.2.0 mailbox busy"}
    await approved(store, letterhead, clock, everyone)
    queue.start()
    await until(lambda: sum(len(mail.addresses) for mail in of_the_mailing(sink)) == 239)
    for later in (3 * 3600, 2 * 3600, 3600, 5 * DAY):
        await idle(store, queue)
        clock.now += later
    await until(lambda: any("Action: failed" in action for action in actions(sink)))
    await idle(store, queue)
    assert sum("Action: failed" in action for action in actions(sink)) == 1
    assert any("Action: delayed" in action for action in actions(sink))
    assert LedgerService(store, letterhead, clock).show(1).mailing.refused == 1


async def test_a_next_hop_that_is_down_costs_nothing_but_time(store, queue, sink, clock, letterhead):
    everyone = people(240)
    await approved(store, letterhead, clock, everyone)
    sink.at("MAIL", say("421 4.3.2 shutting down"))
    queue.start()
    await until(lambda: store.call(jobs.waiting_jobs) and store.call(jobs.waiting_jobs)[0]["attempts"] >= 1)
    assert of_the_mailing(sink) == []
    sink.behave()
    clock.now += 3600
    await until(lambda: sum(len(mail.addresses) for mail in of_the_mailing(sink)) == 240)
    await idle(store, queue)
    assert len({address for mail in of_the_mailing(sink) for address in mail.addresses}) == 240


async def test_what_waits_is_tried_when_the_next_hop_is_back(store, queue, sink, clock, letterhead, monkeypatch):
    monkeypatch.setattr("gatekeeper.background.delivery_queue._LOOK_SECONDS", 0.1)
    queue.__post_init__()
    await approved(store, letterhead, clock, people(240))
    await sink.down()
    queue.start()
    waits = partial(jobs.waiting_jobs)
    await until(lambda: all(each["attempts"] for each in store.call(waits)))
    await asyncio.sleep(0.5)
    assert all(each["attempts"] and each["due_at"] > clock.now for each in store.call(waits))  # it is not back yet
    await sink.up()
    await until(lambda: sum(len(mail.addresses) for mail in of_the_mailing(sink)) == 240)  # by a clock that stands
    await idle(store, queue)


async def test_an_answer_that_was_lost_is_asked_for_again(store, queue, sink, clock, letterhead):
    """RFC 5321 4.5.4.1: who gets no answer to the dot must try again; only the group in flight can come twice."""
    everyone = people(240)
    await approved(store, letterhead, clock, everyone)
    sink.at("DOT", drop(), times=1)
    queue.start()
    await until(lambda: len({address for mail in of_the_mailing(sink) for address in mail.addresses}) == 240)
    await idle(store, queue)
    clock.now += 60
    await until(lambda: LedgerService(store, letterhead, clock).show(1).batches[0].state == "sent")
    delivered = [address for mail in of_the_mailing(sink) for address in mail.addresses]
    assert set(delivered) == set(everyone) and len(delivered) <= 240 + 50


async def test_a_slow_worker_whose_lease_ran_out_writes_nothing(store, queue, sink, clock, letterhead):
    """Its fence is old: whoever leased the job after it has the word."""
    await approved(store, letterhead, clock, people(240))
    (slow,) = [j for j in store.call(partial(jobs.lease, now=clock(), seconds=30, limit=9)) if j.kind == "release"]
    clock.now += 31
    (quick,) = [j for j in store.call(partial(jobs.lease, now=clock(), seconds=30, limit=9)) if j.kind == "release"]
    assert quick.id == slow.id and quick.fence > slow.fence
    assert not store.call(partial(jobs.still_ours, job=slow)) and store.call(partial(jobs.still_ours, job=quick))
    store.call(partial(jobs.finish, job=slow))
    assert store.call(partial(jobs.still_ours, job=quick))


async def test_who_has_got_it_is_written_down_though_the_lease_ran_out(store, queue, sink, clock, letterhead):
    """The job is another's by then; what the next hop has taken is taken all the same, and is not sent again."""
    sink.at("DOT", delay(0.5))
    await approved(store, letterhead, clock, people(210))
    queue.start()
    await until(lambda: len(of_the_mailing(sink)) == 1)
    clock.now += 31
    leased = store.call(partial(jobs.lease, now=clock(), seconds=30, limit=9))
    (quick,) = (job for job in leased if job.kind == jobs.RELEASE)
    waiting = partial(jobs.open_release, batch_id=quick.batch_id)
    await until(lambda: len(store.call(waiting).waiting) == 160)
    assert store.call(partial(jobs.still_ours, job=quick))
    queue.lease = 1.0  # seconds; for half of them it looks on whether that one lives
    clock.now += 31  # that one is gone; the queue goes on where both were
    await until(lambda: store.call(waiting) is None)
    assert LedgerService(store, letterhead, clock).show(1).batches[0].state == "sent"
    assert sorted(address for mail in of_the_mailing(sink) for address in mail.addresses) == sorted(people(210))


@pytest.mark.soak
async def test_who_has_got_it_is_written_down_before_others_take_over_what_ran_out_in_an_outage(sink, letterhead):
    everyone = people(210)
    with Postgres() as postgres:
        stores = [Store(Database(postgres.url, timeout=2)) for _ in range(2)]
        for each in stores:
            each.open()
        await approved(stores[0], letterhead, stores[0].now, everyone)
        next_hop = NextHop(NextHopSettings(f"smtp://127.0.0.1:{sink.port}", 2.0, 5.0, "gate.example.gov"))
        one, other = (Queue(each, next_hop, lambda: letterhead, lease=1.0, clock=each.now) for each in stores)
        sink.at("DOT", delay(1.0))
        one.start()
        await until(lambda: len(of_the_mailing(sink)) == 1)
        other.start()
        postgres.stop("immediate")
        await asyncio.sleep(3)
        await asyncio.to_thread(postgres.start)
        await until(lambda: LedgerService(stores[0], letterhead, stores[0].now).show(1).batches[0].state == "sent")
        for each in (one, other):
            await each.stop(5)
        await next_hop.close()
        for each in stores:
            each.close()
    assert sorted(address for mail in of_the_mailing(sink) for address in mail.addresses) == sorted(everyone)


async def test_two_queues_on_one_database_send_each_recipient_once(store, queue, sink, clock, letterhead):
    everyone = people(600)
    for start in range(0, 600, 10):
        one = arrival(everyone[start : start + 10], message_id="m@x")
        outcome = await store.decide(one, limit(0))
        await store.keep(one, outcome.batch)
    LedgerService(store, letterhead, clock).approve(1, CIO)
    second = Queue(store, queue.next_hop, queue.letterhead, lease=30.0, clock=clock)
    queue.start()
    second.start()
    await until(lambda: sum(len(mail.addresses) for mail in of_the_mailing(sink)) >= 600, 40)
    await idle(store, queue)
    await second.stop(5)
    assert sorted(address for mail in of_the_mailing(sink) for address in mail.addresses) == sorted(everyone)


async def test_a_stop_ends_the_work_in_hand_first(store, queue, sink, clock, letterhead):
    await approved(store, letterhead, clock, people(240))
    queue.start()
    await until(lambda: queue._working)
    await queue.stop(20)
    sent = sum(len(mail.addresses) for mail in of_the_mailing(sink))
    assert LedgerService(store, letterhead, clock).show(1).mailing.sent == sent


async def test_a_next_hop_that_hangs_keeps_no_other_job_waiting(store, queue, sink, clock, letterhead):
    everyone = people(240)
    await approved(store, letterhead, clock, everyone)
    sink.at("DOT", hang(), times=1)
    queue.start()
    await until(lambda: len(sink.mails) >= 1)


@pytest.mark.parametrize("jump", [60.0, 10800.0, 93600.0, -10800.0])
async def test_a_release_that_is_on_its_way_is_sent_once(store, queue, sink, letterhead, monkeypatch, jump):
    """The wall clock is set while the next hop takes its time; the process looks for work all the while."""
    await approved(store, letterhead, queue.clock, people(201))
    queue.clock = store.now
    sink.at("DOT", delay(1.5), times=2)
    queue.start()
    await until(lambda: sink.open_connections == 2)
    await asyncio.sleep(0.3)  # what is claimed is on its way
    real = clocks.time.time
    monkeypatch.setattr(clocks.time, "time", lambda: real() + jump)
    await until(lambda: sum(len(mail.addresses) for mail in of_the_mailing(sink)) >= 201)
    await idle(store, queue)
    sent = [address for mail in of_the_mailing(sink) for address in mail.addresses]
    assert len(sent) == len(set(sent)) == 201


async def test_a_lease_of_our_own_is_not_taken_over_though_its_time_is_over(store, queue, sink, letterhead):
    await approved(store, letterhead, queue.clock, people(201))
    sink.at("DOT", delay(1.5), times=2)
    queue.start()
    await until(lambda: sink.open_connections == 2)
    await asyncio.sleep(0.3)  # what is claimed is on its way
    queue.clock.now += 3600.0
    await until(lambda: sum(len(mail.addresses) for mail in of_the_mailing(sink)) >= 201)
    await idle(store, queue)
    sent = [address for mail in of_the_mailing(sink) for address in mail.addresses]
    assert len(sent) == len(set(sent)) == 201


async def test_a_node_that_is_hours_ahead_leaves_what_another_is_sending(store, queue, sink, letterhead):
    """A second node starts after the clock was set: by its time every lease of the first has run out."""
    await approved(store, letterhead, queue.clock, people(201))
    sink.at("DOT", delay(1.5), times=2)
    queue.lease, queue.clock = 2.0, lambda: NOON.timestamp() + time.monotonic()
    queue.start()
    await until(lambda: sink.open_connections == 2)
    second = Queue(store, queue.next_hop, queue.letterhead, lease=2.0, clock=lambda: queue.clock() + 10_800.0)
    second.start()
    await until(lambda: sum(len(mail.addresses) for mail in of_the_mailing(sink)) >= 201)
    await idle(store, queue)
    await second.stop(5)
    sent = [address for mail in of_the_mailing(sink) for address in mail.addresses]
    assert len(sent) == len(set(sent)) == 201


# -- nothing that was approved ends without somebody knowing -----------------------------------------------------


def listed(store, clock):
    """What `gatekeeper queue` shows: kind, state and last answer of each."""
    waiting = store.call(jobs.waiting_jobs)
    failed = store.call(partial(jobs.failed_jobs, since=0.0))
    return sorted((job["kind"], job["state"], job["error"], job["mailing"]) for job in waiting + failed)


def to_admins(sink):
    return [mail for mail in sink.mails if "admin@example.gov" in mail.addresses]


@pytest.fixture
def failed(queue):
    kinds: list[str] = []
    queue.on_failed = kinds.append
    return kinds


async def test_a_release_and_its_report_that_are_both_refused_stay_and_admins_are_told(
    store, queue, sink, clock, letterhead, failed
):
    everyone = people(240)
    sink.refuse = dict.fromkeys([*everyone, "head@doa.example.gov"], "554 5.7.1 not here")
    await approved(store, letterhead, clock, everyone)
    queue.start()
    await until(lambda: to_admins(sink))
    await idle(store, queue)
    assert [each for each in listed(store, clock) if each[0] != "notice"] == [
        ("dsn", "failed", "554 5.7.1 not here", "M-1"),
        ("release", "failed", "554 5.7.1 not here", "M-1"),
    ]
    assert sorted(kind for kind in failed if kind != "notice") == ["dsn", "release"]
    assert len(to_admins(sink)) == 1
    letter = email.message_from_bytes(to_admins(sink)[0].content)
    assert "M-1" in letter["Subject"] and "240 recipients" in letter.get_payload()
    (release,) = [job for job in store.call(partial(jobs.failed_jobs, since=0.0)) if job["kind"] == "release"]
    assert release["recipients"] == everyone
    events = [each for each in LedgerService(store, letterhead, clock).show(1).events if each.act == "not delivered"]
    assert [each.text for each in events] == [
        "to 240 recipients: the report to head@doa.example.gov was given up as well"
    ]


@pytest.mark.parametrize(
    ("sender", "notify", "refused", "told"),
    [
        ("", (), 1, True),
        ("head@doa.example.gov", ("NOTIFY=NEVER",), 240, True),
        ("head@doa.example.gov", ("NOTIFY=NEVER",), 1, False),
    ],
    ids=["null sender", "no reports wanted, nobody has it", "no reports wanted, others have it"],
)
async def test_what_is_refused_and_reported_to_nobody_is_told_to_admins(
    store, queue, sink, clock, letterhead, failed, sender, notify, refused, told
):
    one = arrival(people(240), sender=sender)
    wanted = tuple(each._replace(parameters=notify) for each in one.transaction.recipients)
    one = replace(one, transaction=replace(one.transaction, recipients=wanted))
    sink.refuse = dict.fromkeys(people(refused), "550 5.1.1 no such user")
    outcome = await store.decide(one, limit(200))
    await store.keep(one, outcome.batch)
    LedgerService(store, letterhead, clock).approve(1, CIO)
    queue.start()
    await until(lambda: not queue._working and not store.call(jobs.waiting_jobs))
    assert ("release" in failed) == told == bool(to_admins(sink))


async def test_a_denial_that_its_sender_is_not_told_of_is_told_to_admins(store, queue, sink, clock, letterhead, failed):
    sink.refuse = {"head@doa.example.gov": "550 5.1.1 no such user"}
    one = arrival(people(240))
    outcome = await store.decide(one, limit(200))
    await store.keep(one, outcome.batch)
    LedgerService(store, letterhead, clock).deny(1, CIO, "Not now")
    queue.start()
    await until(lambda: to_admins(sink))
    await idle(store, queue)
    assert "is denied" in email.message_from_bytes(to_admins(sink)[0].content).get_payload()
    assert "dsn" in failed and "release" not in failed


@pytest.mark.parametrize("days", [0, 5])
async def test_a_fault_of_the_gate_is_seen_in_the_queue_and_told_in_the_end(
    store, queue, sink, clock, letterhead, failed, days
):
    """As of a message that is not stored whole any more: nothing of it is sent."""
    await approved(store, letterhead, clock, people(240))
    store.call(lambda connection: connection.exec_driver_sql("DELETE FROM body_chunks"))
    clock.now += days * DAY
    queue.start()
    await until(lambda: any(each[0] == "release" and each[2] for each in listed(store, clock)))
    await idle(store, queue)
    (found,) = [each for each in listed(store, clock) if each[0] == "release"]
    assert found[1] == ("failed" if days else "due") and "not stored whole any more" in found[2]
    await until(lambda: bool(to_admins(sink)) == bool(days))
    assert not of_the_mailing(sink) and ("release" in failed) == bool(days)


# -- memory ------------------------------------------------------------------------------------------------------


async def test_large_releases_wait_for_memory_and_letters_do_not(store, queue, sink, clock, letterhead):
    large = [b"Subject: %d\r\n\r\n" % number + b"x" * (2 << 20) + b"\r\n" for number in range(6)]
    queue.memory = Allowance(5 << 20)
    for number, body in enumerate(large):
        more = {"subject": f"subject {number}", "message_id": f"{number}@a", "digest": f"{number}"}
        await approved_as(number + 1, store, letterhead, clock, body=body, **more)
    taken: list[int] = []
    sink.at("DOT", delay(0.2))
    queue.start()

    def all_have_come() -> bool:
        taken.append(queue.memory.taken)
        return len(of_the_mailing(sink)) == len(large)

    await until(all_have_come)
    assert (2 << 20) < max(taken) <= (5 << 20)
    await idle(store, queue)
    assert queue.memory.taken == 0 and len(reports(sink)) == len(large)


async def approved_as(number, store, letterhead, clock, **more):
    one = arrival(people(201), **more)
    outcome = await store.decide(one, limit(200))
    await store.keep(one, outcome.batch)
    LedgerService(store, letterhead, clock).approve(number, CIO)
