"""What the one atomic step does with one batch after another (clause M1)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from gatekeeper.model import Action
from gatekeeper.store import batch_views, views
from gatekeeper.store.arrival import body_digest
from gatekeeper.store.batches import CHUNK, open_body, read_body, write_chunk
from tests.store.arrivals import always, arrival, limit, people


async def test_batches_of_a_mailing_add_up_and_the_one_that_goes_over_is_held(store):
    everyone = people(2400)
    for start in range(0, 2000, 50):
        outcome = await store.decide(arrival(everyone[start : start + 50]), limit(2000))
        assert outcome.verdict.action is Action.RELAY
    assert outcome.counts.users == 2000 and dict(outcome.counts.agencies) == {"DOA": 1000, "DPHHS": 1000}
    over = await store.decide(arrival(everyone[2000:2050]), limit(2000))
    assert over.verdict.action is Action.HOLD and over.mailing == outcome.mailing == "M-1"
    found = store.call(partial(views.find_mailing, number=1))
    assert (found.state, found.counts.users, found.relayed, found.batches) == ("held", 2050, 2000, 0)  # not yet sealed


async def test_sixty_batches_at_once_are_counted_as_one_mailing(store):
    everyone = people(3000)
    batches = [arrival(everyone[start : start + 50]) for start in range(0, 3000, 50)]
    outcomes = await asyncio.gather(*(store.decide(batch, limit(2000)) for batch in batches))
    passed = [outcome for outcome in outcomes if outcome.verdict.action is Action.RELAY]
    assert len(passed) == 40 and len({outcome.key for outcome in outcomes}) == 1


async def test_nobody_is_counted_twice(store):
    everyone = people(150)
    await store.decide(arrival(everyone[:100]), limit(2000))
    again = await store.decide(arrival(everyone[:100]), limit(2000))
    overlapping = await store.decide(arrival(everyone[50:]), limit(2000))
    assert (again.counts.users, overlapping.counts.users) == (100, 150)


async def test_externals_are_counted_apart(store):
    outcome = await store.decide(arrival([*people(3), "a@example.org", "b@example.org"]), limit(2000))
    assert (outcome.counts.users, outcome.counts.external, outcome.counts.people) == (3, 2, 5)


async def test_a_refusal_takes_back_its_own_additions_and_nobody_elses(store):
    everyone = people(300)
    await store.decide(arrival(everyone[:100]), limit(2000))
    for action in (Action.REJECT, Action.DEFER):
        refused = await store.decide(arrival(everyone[50:250]), always(action))
        assert refused.counts.users == 250 and refused.batch is None
    after = await store.decide(arrival(everyone[90:110]), limit(2000))
    assert after.counts.users == 110


async def test_ordinary_mail_has_no_number_and_leaves_neither_address_nor_subject(store, database_url, tmp_path):
    outcome = await store.decide(arrival(people(2), subject="pay rise", body=b"secret words\r\n"), limit(2000))
    assert outcome.mailing is None
    assert store.call(views.list_mailings) == []
    if database_url.startswith("sqlite"):
        store.close()
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert not any(word in kept for word in (b"pay rise", b"user0", b"head@", b"secret words"))


async def test_a_day_later_it_is_another_mailing(store):
    first = await store.decide(arrival(people(1500)), limit(2000))
    later = await store.decide(arrival(people(1500, start=1500), after=86_401), limit(2000))
    assert later.key != first.key and later.counts.users == 1500


async def test_another_source_with_the_same_subject_is_another_mailing(store):
    first = await store.decide(arrival(people(10)), limit(2000))
    other = await store.decide(
        arrival(people(10), sender="other@doa.example.gov", message_id="2@doa.example.gov"), limit(2000)
    )
    assert first.key != other.key


async def test_one_message_from_two_sources_is_one_mailing(store):
    """Two lists' worth of senders with one Message-ID and content: the strong key joins."""
    first = await store.decide(arrival(people(10)), limit(2000))
    other = await store.decide(arrival(people(20), sender="list@dphhs.example.gov"), limit(2000))
    assert first.key == other.key and other.counts.users == 20


async def test_a_held_batch_is_kept_whole(store):
    body = b"Subject: x\r\n\r\n" + b"x" * (2 * CHUNK + 17)
    one = arrival(people(2400), body=body)
    outcome = await store.decide(one, limit(2000))
    assert await store.keep(one, outcome.batch)
    found = store.call(partial(views.find_mailing, number=1))
    (batch,) = store.call(partial(batch_views.find_batches, mailing_key=found.key))
    assert (found.batches, len(batch.recipients), batch.state) == (1, 2400, "held")
    assert store.call(partial(read_body, digest=batch.body)) == body


async def test_a_resend_of_a_kept_batch_is_no_second_copy(store):
    one = arrival(people(2400))
    first = await store.decide(one, limit(2000))
    unsealed = await store.decide(one, limit(2000))  # the client came back before we had answered
    assert unsealed.repeated and unsealed.batch == first.batch and await store.keep(one, unsealed.batch)
    sealed = await store.decide(one, limit(2000))
    assert sealed.repeated and sealed.mailing == first.mailing and await store.keep(one, sealed.batch)
    assert store.call(partial(views.find_mailing, number=1)).batches == 1


async def test_what_a_resend_is_known_by_is_worked_out_only_where_something_is_kept(store):
    worked_out = []

    def watched(number):
        one = arrival(people(1), subject=str(number), message_id=f"{number}@x")
        return replace(one, identity=lambda: worked_out.append(number) or one.identity())

    await store.decide(watched(1), limit(2000))
    assert worked_out == []
    first, second = arrival(people(2400)), arrival(people(2400))
    once, again = await asyncio.gather(store.decide(first, limit(2000)), store.decide(second, limit(2000)))
    assert again.repeated and again.batch == once.batch  # decided in one commit, before which nothing was kept
    await store.decide(watched(2), limit(2000))
    assert worked_out == [2]


async def test_a_half_written_body_is_completed(store):
    body = bytes(range(256)) * 8192 + b"end"
    one = arrival(people(2400), body=body)
    outcome = await store.decide(one, limit(2000))
    await store.run(partial(open_body, digest=body_digest(one), size=len(body), now=0.0))
    await store.run(partial(write_chunk, digest=body_digest(one), position=0, data=body[:CHUNK]))
    await store.keep(one, outcome.batch)
    assert store.call(partial(read_body, digest=body_digest(one))) == body


async def test_later_batches_of_a_held_mailing_are_held_with_it(store):
    everyone = people(2500)
    await store.decide(arrival(everyone[:2400]), limit(2000))
    later = await store.decide(arrival(everyone[2400:]), limit(2000))
    assert later.verdict.action is Action.HOLD and later.counts.users == 2500 and later.mailing == "M-1"
