"""A reply-all storm holds 110 mailings at once: those who decide get one letter, and within the hour one list."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from gatekeeper.background.delivery_queue import Queue
from gatekeeper.delivery import NextHop
from gatekeeper.outbox import letter_lists
from gatekeeper.settings import NextHopSettings
from gatekeeper.store import jobs
from gatekeeper.store.time_bounds import WaitLimits, bound_stored_times
from tests.background.test_reminders_of_mailings import CIO, DEPUTY, SECOND, Office
from tests.notices.reading import read, text_of
from tests.peers.sink import Sink
from tests.store.arrivals import arrival, limit, people

EVERYBODY = {CIO, DEPUTY, SECOND}
WORDS = ("budget", "picnic", "parking", "payroll", "printer", "survey", "garden", "holiday", "lecture", "network")
SUBJECTS = [f"{one} {other} {third}" for one in WORDS for other in WORDS for third in ("plan", "talk", "news")]


class Decider(Office):
    """An office whose letters can be written, as the queue does when it leases them."""

    async def hold_one(self, sender: str, subject: str) -> None:
        one = arrival(people(4), sender=sender, subject=subject, message_id=f"{sender}.{subject}@x")
        one = replace(one, now=self.clock.now, facts=replace(one.facts, subject_key=subject.lower()))
        outcome = await self.store.decide(one, limit(1))
        assert outcome.batch is not None and await self.store.keep(one, outcome.batch)

    def written(self) -> dict[str, list[str]]:
        """Take what is due, write it, and return the texts by reader, each with its subject."""
        texts: dict[str, list[str]] = {}
        for job in self.store.call(partial(jobs.lease, now=self.clock() + 0.1, seconds=1.0, limit=5000)):
            if job.recipient not in EVERYBODY:
                continue
            content = job.content or self.store.call(partial(self._compose, job=job))
            if content is not None:
                mail = read(content)
                texts.setdefault(job.recipient, []).append(f"{mail['Subject']}\n{text_of(mail)}")
                self.store.call(partial(jobs.finish, job=job))
        return texts

    def _compose(self, connection, job):
        return letter_lists.compose(connection, self.reminders.letterhead(), job, self.clock())

    async def told_at(self, text: str) -> dict[str, list[str]]:
        self.clock.set(text)
        await self.reminders.attend()
        return self.written()


@pytest.fixture
def office(store):
    return Decider(store)


def numbers(texts: dict[str, list[str]]) -> dict[str, int]:
    return {reader: len(each) for reader, each in texts.items()}


async def test_a_storm_on_one_subject_is_one_letter_and_one_list(office):
    for number in range(110):
        await office.hold_one(f"user{number}@doa.example.gov", "Re: Picnic on Friday" if number else "Picnic on Friday")
    told = await office.told_at("2026-11-25 15:05")
    assert numbers(told) == dict.fromkeys(EVERYBODY, 1) and "Waits for your decision (M-1)" in told[CIO][0]
    assert await office.told_at("2026-11-25 16:04") == {}
    restarted = Decider(office.store)  # what waits for its list is in the database
    lists = await restarted.told_at("2026-11-25 16:06")
    assert numbers(lists) == dict.fromkeys(EVERYBODY, 1)
    (text,) = lists[CIO]
    assert text.startswith("109 more mailings wait for a decision\n")
    flat = " ".join(text.split())
    assert '1. M-2, "Re: Picnic on Friday", from user1@doa.example.gov: 4 users' in flat and "and 9 more" in flat
    assert await restarted.told_at("2026-11-25 17:30") == {}


async def test_of_forty_things_twenty_are_letters(office):
    for number, subject in enumerate(SUBJECTS[:40]):
        await office.hold_one(f"user{number}@doa.example.gov", subject)
    assert numbers(await office.told_at("2026-11-25 15:05")) == dict.fromkeys(EVERYBODY, 20)
    assert await office.told_at("2026-11-25 16:04") == {}
    (text,) = (await office.told_at("2026-11-25 16:06"))[SECOND]
    assert text.startswith("20 more mailings wait for a decision\n")


async def test_further_ones_of_one_origin_within_the_hour_are_listed_and_later_ones_told_at_once(office):
    for subject in SUBJECTS[:5]:
        await office.hold_one("head@doa.example.gov", subject)
    await office.hold_one("other@doa.example.gov", SUBJECTS[9])
    assert numbers(await office.told_at("2026-11-25 15:05")) == dict.fromkeys(EVERYBODY, 2)
    await office.hold_one("head@doa.example.gov", SUBJECTS[6])
    assert await office.told_at("2026-11-25 15:50") == {}
    lists = await office.told_at("2026-11-25 16:06")
    assert lists[CIO][0].startswith("5 more mailings wait for a decision\n") and len(lists[CIO]) == 1
    await office.hold_one("head@doa.example.gov", SUBJECTS[7])
    assert "Waits for your decision (M-8)" in (await office.told_at("2026-11-25 16:07"))[CIO][0]


async def test_the_list_says_what_was_decided_meanwhile_and_nobody_gets_a_letter_about_each(office):
    for number in range(30):
        await office.hold_one(f"user{number}@doa.example.gov", "Picnic on Friday")
    await office.told_at("2026-11-25 15:05")
    for number in range(1, 29):
        office.service.deny(number, CIO, "no picnic")
    told = await office.told_at("2026-11-25 15:06")
    assert numbers(told) == {DEPUTY: 1, SECOND: 1}  # about the one of which they had a letter
    lists = await office.told_at("2026-11-25 16:06")
    assert numbers(lists) == dict.fromkeys(EVERYBODY, 1)
    (text,) = lists[SECOND]
    flat = " ".join(text.split())
    assert text.startswith("2 more mailings wait for a decision\n") and 'M-2, "Picnic on Friday": denied' in flat
    assert 'M-29, "Picnic on Friday", from user28@doa.example.gov' in flat


async def test_where_all_was_decided_the_list_says_so(office):
    for number in range(3):
        await office.hold_one(f"user{number}@doa.example.gov", "Picnic on Friday")
    await office.told_at("2026-11-25 15:05")
    for number in (2, 3):
        office.service.deny(number, CIO, "no picnic")
    (text,) = (await office.told_at("2026-11-25 16:06"))[SECOND]
    assert text.startswith("2 more mailings held and decided\n") and "They wait" not in text


async def test_reminders_are_not_put_off(office):
    for number in range(30):
        await office.hold_one(f"user{number}@doa.example.gov", "Picnic on Friday")
    await office.told_at("2026-11-25 15:05")
    await office.told_at("2026-11-25 16:06")
    told = await office.told_at("2026-11-30 15:05")
    assert numbers(told) == dict.fromkeys(EVERYBODY, 30)
    assert all(text.startswith("Still waits for your decision") for text in told[CIO])


async def test_a_list_is_written_once_whoever_leases_its_letters(office):
    for number in range(4):
        await office.hold_one(f"user{number}@doa.example.gov", "Picnic on Friday")
    await office.told_at("2026-11-25 15:05")
    office.clock.set("2026-11-25 16:06")
    leased = office.store.call(partial(jobs.lease, now=office.clock(), seconds=60.0, limit=50))
    own = [job for job in leased if job.recipient == CIO]
    assert len(own) == 3
    written = [office.store.call(partial(office._compose, job=job)) for job in own]
    assert [content is not None for content in written] == [True, False, False]
    assert not office.store.call(partial(jobs.still_ours, job=own[1]))


async def test_what_waits_for_a_list_is_not_brought_forward_as_a_time_that_is_absurd(office):
    for number in range(4):
        await office.hold_one(f"user{number}@doa.example.gov", "Picnic on Friday")
    await office.told_at("2026-11-25 15:05")
    bound = partial(bound_stored_times, limits=WaitLimits(20.0, 5.0))
    assert office.store.call(partial(bound, now=office.clock())) == 0
    assert office.store.call(partial(bound, now=office.clock() - 9 * 3600)) > 0


async def test_the_queue_sends_the_list_to_a_real_next_hop(office):
    async with Sink() as sink:
        for number in range(12):
            await office.hold_one(f"user{number}@doa.example.gov", "Picnic on Friday")
        await office.told_at("2026-11-25 15:05")
        office.clock.set("2026-11-25 16:06")
        next_hop = NextHop(NextHopSettings(f"smtp://127.0.0.1:{sink.port}", 2.0, 5.0, "gate.example.gov"))
        queue = Queue(office.store, next_hop, office.reminders.letterhead, lease=30.0, clock=office.clock)
        queue.start()
        async with asyncio.timeout(30.0):
            while len(sink.mails) < 3 or office.store.call(jobs.waiting_jobs):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await queue.stop(5.0)
        await next_hop.close()
    assert sorted(sink.recipients) == sorted(EVERYBODY)
    assert all(b"Subject: 11 more mailings wait for a decision" in mail.content for mail in sink.mails)
