"""Which transactions are one mailing, and what becomes of two that turn out to be one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import select

from gatekeeper.lifecycle import BatchState
from gatekeeper.message.mailing_keys import keys
from gatekeeper.model import Action, Place, Scope
from gatekeeper.store import Database, Gathering, Store, batch_views, batches, cleanup, gathering, jobs, mailings, views
from gatekeeper.store.arrival import body_digest
from gatekeeper.store.db import schema as tables
from gatekeeper.store.decide import decide
from gatekeeper.store.events import Act
from gatekeeper.store.mailing_keys import hash_arrival
from gatekeeper.store.permits import Grant
from gatekeeper.store.unit_of_work import PendingDecision
from tests.store.arrivals import NOON, always, arrival, limit, people

CIO = Act(NOON.timestamp() + 60, "cio@example.gov", "root", "no")
WAITS = Gathering(opens=True, quiet=20, limit=300)


def one(recipients, subject, message_id, **more):
    """An arrival whose only keys are its subject (weak) and its Message-ID (strong)."""
    return arrival(recipients, subject=subject, message_id=message_id, **more)


def gathered(recipients, subject, message_id, **more):
    return replace(one(recipients, subject, message_id, **more), gathering=WAITS)


def by_queue(came, queue_id):
    """The same with the queue id of the mail server before us: a second strong key."""
    transaction = replace(came.transaction, upstream=f"{queue_id}@192.0.2.1")
    return replace(came, transaction=transaction, keys=keys(transaction, came.facts, came.source))


async def keep(store, came, judge):
    outcome = await store.decide(came, judge)
    assert outcome.batch and await store.keep(came, outcome.batch)
    return outcome


def mailing(store, number=1):
    return store.call(partial(views.find_mailing, number=number))


def numbered(store):
    return store.call(views.list_mailings)


# -- places ------------------------------------------------------------------------------------------------------


def at(came, *places):
    return replace(came, source=replace(came.source, places=places))


async def test_a_weak_key_joins_within_each_place_and_a_name_is_another_place(store):
    """Sent under two names it joins what either has sent, and both are one mailing from then on."""
    boss, named, clerk, everyone = Place("boss@x"), Place("boss@x", named=True), Place("clerk@x"), iter(range(9))

    async def users(*places):
        number = next(everyone)
        came = at(one(people(10, start=10 * number), "a", f"{number}"), *places)
        return (await store.decide(came, limit(2000))).counts.users

    assert [await users(boss), await users(named), await users(clerk)] == [10, 10, 10]
    assert [await users(boss), await users(named)] == [20, 20]
    assert [await users(clerk, named), await users(clerk), await users(named), await users(boss)] == [40, 50, 60, 30]


# -- short keys --------------------------------------------------------------------------------------------------


def short(recipients, subject, message_id, what="noon"):
    came = one(recipients, subject, message_id)
    return replace(came, keys=replace(came.keys, weak=(*came.keys.weak, f"short:{what}")))


async def test_a_short_key_joins_what_is_short_in_the_same_way(store):
    for number in range(5):
        outcome = await store.decide(short(people(500, start=500 * number), f"{number}", f"{number}"), limit(2000))
    assert (outcome.counts.users, outcome.mailing) == (2500, "M-1") and mailing(store).joined == {"short": 4}


@pytest.mark.parametrize("held", [True, False])
async def test_a_short_key_merges_nothing(store, held):
    """Both are open, or one is held, which it then joins."""
    await store.decide(short(people(2100 if held else 100), "a", "1"), limit(2000))
    await store.decide(short(people(100, start=3000), "b", "2", "other"), limit(2000))
    outcome = await store.decide(short(people(100, start=4000), "b", "3"), limit(2000))
    assert (outcome.counts.users, outcome.mailing) == ((2200, "M-1") if held else (200, None))
    again = await store.decide(short(people(100, start=5000), "b", "4", "third"), limit(2000))
    assert again.counts.users == (200 if held else 300)


# -- merging -----------------------------------------------------------------------------------------------------


async def test_two_that_turn_out_to_be_one_have_the_union_of_their_people(store):
    everyone = people(2500)
    await store.decide(one(everyone[:1500], "a", "1"), limit(2000))
    await store.decide(one(everyone[1000:2000], "b", "2"), limit(2000))
    link = await store.decide(one(everyone[2000:2400], "a", "2"), limit(2000))
    assert (link.verdict.action, link.counts.users) == (Action.HOLD, 2400)
    after = await store.decide(one(everyone[2400:], "b", "3"), limit(2000))
    assert (after.verdict.action, after.counts.users, after.mailing) == (Action.HOLD, 2500, link.mailing)


async def test_what_was_gathered_is_held_when_it_turns_out_to_be_of_a_held_mailing(store):
    """It was acknowledged: it must be held with the rest, and be sent with it."""
    everyone = people(3000)
    await keep(store, one(everyone[:2100], "a", "1"), limit(2000))
    await keep(store, gathered(everyone[2100:2200], "b", "2"), limit(2000))
    await keep(store, one(everyone[2200:2300], "a", "2"), limit(2000))
    (found,) = numbered(store)
    kept = store.call(partial(batch_views.find_batches, mailing_key=found.key))
    assert [batch.state for batch in kept] == ["held"] * 3 and (found.id, found.counts.users) == ("M-1", 2300)
    given = Grant("approval", ("approval",), Scope(), CIO.at, CIO.at + 60, ceiling=2300, uses=1, mailing_key=found.key)
    store.call(partial(mailings.approve, mailing=found, kept=kept, given=given, act=CIO))
    assert store.call(jobs.summary)["release"] == 3


async def test_a_gather_read_before_its_mailing_was_merged_releases_nothing(store):
    everyone = people(3000)
    await keep(store, one(everyone[:2100], "a", "1"), limit(2000))
    await keep(store, gathered(everyone[2100:2200], "b", "2"), limit(2000))
    read = store.call(partial(gathering.read_gathered, key=mailing(store, 2).key))
    await keep(store, one(everyone[2200:2300], "a", "2"), limit(2000))
    assert not store.call(
        partial(gathering.end_by_passing, gathered=read, passing=gathering.Passing({}, {}, ()), now=CIO.at)
    )
    assert store.call(jobs.summary)["release"] == 0


async def test_a_batch_sealed_while_its_gather_is_judged_is_not_left_behind(store):
    """Its body took as long as the others were quiet; it was acknowledged, so it leaves with a gather or is judged."""
    everyone = people(300)
    first, late = gathered(everyone[:100], "a", "1"), gathered(everyone[100:], "a", "1")
    await keep(store, first, limit(2000))
    outcome = await store.decide(late, limit(2000))
    read = store.call(partial(gathering.read_gathered, key=outcome.key))
    assert await store.keep(late, outcome.batch)
    assert not store.call(
        partial(gathering.end_by_passing, gathered=read, passing=gathering.Passing({}, {}, ()), now=CIO.at)
    )
    read = store.call(partial(gathering.read_gathered, key=outcome.key))
    assert store.call(
        partial(gathering.end_by_passing, gathered=read, passing=gathering.Passing({}, {}, ()), now=CIO.at)
    )
    assert store.call(jobs.summary)["release"] == 2


async def test_a_number_leads_to_the_mailing_through_any_number_of_merges(store):
    """An older mailing without a number takes in M-1, after M-1 has taken in M-2."""
    mass, everyone = limit(9000), people(900)
    await store.decide(one(everyone[:1], "old", "0"), mass)
    await store.decide(one(everyone[:300], "a", "1"), mass)
    await store.decide(one(everyone[300:600], "b", "2"), mass)
    await store.decide(one(everyone[600:700], "a", "2"), mass)
    last = await store.decide(one(everyone[700:], "old", "1"), mass)
    assert (last.mailing, last.counts.users) == ("M-1", 900)
    assert [mailing(store, number).id for number in (1, 2)] == ["M-1", "M-1"] and len(numbered(store)) == 1


async def test_a_held_mailing_that_was_merged_is_no_longer_the_oldest_held(store):
    await keep(store, by_queue(one(people(2100), "a", "1"), "Q1"), limit(2000))
    later = replace(by_queue(one(people(2200), "b", "2"), "Q2"), now=NOON.replace(hour=13))
    await keep(store, later, limit(2000))
    await keep(store, by_queue(one(people(10), "c", "1"), "Q2"), limit(2000))
    (found,) = numbered(store)
    store.call(partial(mailings.close, mailing=found, name="deny", act=CIO, left=BatchState.RETURNED))
    assert store.call(views.summarise).oldest_held is None


async def test_a_weak_key_never_merges_two_that_are_decided(store):
    everyone = people(5000)
    first = await keep(store, one(everyone[:2100], "a", "1"), limit(2000))
    second = await keep(store, one(everyone[2100:4300], "b", "2"), limit(2000))
    link = await keep(store, one(everyone[4300:4400], "a", "2"), limit(2000))
    assert [found.counts.users for found in numbered(store)] == [2200, 2200] and link.key == first.key
    assert second.key != first.key


async def test_two_strong_keys_merge_even_what_is_decided(store):
    everyone = people(5000)
    await keep(store, by_queue(one(everyone[:2100], "a", "1"), "Q1"), limit(2000))
    await keep(store, by_queue(one(everyone[2100:4300], "b", "2"), "Q2"), limit(2000))
    await keep(store, by_queue(one(everyone[4300:4400], "c", "1"), "Q2"), limit(2000))
    (found,) = numbered(store)
    assert (found.counts.users, found.batches) == (4400, 3)


async def test_ordinary_mail_that_was_merged_is_forgotten_like_other_ordinary_mail(store):
    await store.decide(one(people(1), "a", "1"), limit(2000))
    await store.decide(one(people(2), "b", "2"), limit(2000))
    await store.decide(one(people(3), "a", "2"), limit(2000))
    assert store.call(partial(cleanup.forget_ordinary, before=NOON.timestamp() + 60)) == 1


async def test_ordinary_mail_whose_sender_was_warned_is_forgotten_too(store):
    came = one(people(1), "a", "1")
    outcome = await store.decide(came, always(Action.WARN))
    job = jobs.NewJob(jobs.NOTICE, 1.0, mailing_id=outcome.key, recipient="a@doa.example.gov", content=b"warned")
    store.call(partial(jobs.enqueue, job=job))
    assert store.call(partial(cleanup.forget_ordinary, before=NOON.timestamp() + 60)) == 1
    (job,) = store.call(partial(jobs.lease, now=2.0, seconds=1, limit=5))
    assert job.content == b"warned"


async def test_a_failed_notice_about_ordinary_mail_names_nobody_once_that_is_forgotten(store):
    outcome = await store.decide(one(people(1), "a", "1"), always(Action.WARN))
    job = jobs.NewJob(jobs.NOTICE, 1.0, mailing_id=outcome.key, recipient="a@doa.example.gov", content=b"warned")
    store.call(partial(jobs.enqueue, job=job))
    (leased,) = store.call(partial(jobs.lease, now=2.0, seconds=1, limit=5))
    store.call(partial(jobs.finish, job=leased, error="550 <a@doa.example.gov> unknown"))
    store.call(partial(cleanup.forget_ordinary, before=NOON.timestamp() + 60))
    kept = store.call(lambda connection: connection.execute(select(tables.jobs)).mappings().one())
    assert (kept["state"], kept["recipient"], kept["error"]) == ("failed", None, None)


async def test_a_mailing_that_became_part_of_another_keeps_no_names(store):
    await keep(store, by_queue(one(people(2100), "a", "1"), "Q1"), limit(2000))
    await keep(store, by_queue(one(people(2200), "b", "2"), "Q2"), limit(2000))
    await keep(store, by_queue(one(people(10), "c", "1"), "Q2"), limit(2000))
    rows = store.call(lambda connection: connection.execute(select(tables.mailings)).mappings().all())
    named = {row["number"]: (row["sender"], row["subject"]) for row in rows if row["merged_into"] is not None}
    assert list(named.values()) == [(None, None)]


# -- several gates on one Postgres -------------------------------------------------------------------------------


@pytest.fixture
def two(postgres_url):
    """Two gates' stores on one Postgres."""
    stores = [Store(Database(postgres_url, timeout=5)) for _ in range(2)]
    for each in stores:
        each.open()
    yield stores
    for each in stores:
        each.close()


async def while_locked(store, work, arriving):
    """Let a decision find its mailing locked by work that then changes it, as another gate's would."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(connection):
        result = work(connection)
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        return result

    first = asyncio.create_task(store.run(slowly))
    await begun.wait()
    second = asyncio.create_task(arriving)
    await asyncio.sleep(0.3)  # until it waits for the lock; were it too early, the test would only be easier
    go_on.set()
    await first
    return await second


async def test_who_waits_for_a_mailing_that_is_being_denied_joins_its_successor(two):
    """It had been reached already by 1,900: whoever comes next must know."""
    here, there = two
    everyone = people(4000)
    await here.decide(one(everyone[:1900], "a", "1"), limit(2000))
    await keep(here, one(everyone[1900:2200], "a", "1"), limit(2000))

    def deny(connection):
        found = views.find_mailing(connection, 1, lock=True)
        mailings.close(connection, found, "deny", CIO, BatchState.RETURNED)

    outcome = await while_locked(here, deny, there.decide(one(everyone[2200:2400], "a", "1"), limit(2000)))
    assert (outcome.verdict.action, outcome.counts.users) == (Action.HOLD, 2100)


async def test_who_waits_for_a_mailing_that_is_being_merged_joins_what_it_became(two):
    here, there = two
    everyone = people(4000)
    await here.decide(by_queue(one(everyone[:1000], "a", "1", sender="a@doa.example.gov"), "Q1"), limit(2000))
    await here.decide(one(everyone[1000:1950], "b", "2", sender="b@doa.example.gov"), limit(2000))
    link = by_queue(one(everyone[1950:1960], "c", "2", sender="c@doa.example.gov"), "Q1")
    pending = PendingDecision(link, hash_arrival(here.secret, link), limit(2000))

    def merge(connection):
        return decide(connection, here.secret, [pending])

    waiting = one(everyone[2100:2200], "b", "3", sender="b@doa.example.gov")  # has no key in common with the link
    outcome = await while_locked(here, merge, there.decide(waiting, limit(2000)))
    assert outcome.verdict.action is Action.HOLD and outcome.counts.users == 1960 + 100


async def test_a_body_that_is_needed_again_is_not_forgotten(store):
    came = one(people(2100), "a", "1")
    await store.run(partial(batches.open_body, digest=body_digest(came), size=3, now=1.0))
    await store.run(partial(batches.open_body, digest=body_digest(came), size=3, now=5000.0))
    assert store.call(partial(cleanup.forget_bodies, before=4000.0)) == 0
