"""One origin cannot fill the disk: what is kept of it and of all has a limit, and nobody fills another's."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from gatekeeper.model import Place
from gatekeeper.store import KeepLimits, KeptTooMuch, Store
from gatekeeper.store.kept import RECIPIENT_OCTETS, read_total
from tests.store.arrivals import arrival, limit, people

EACH, TOTAL = 300_000, 700_000
BODY = 100_000 - 240 * RECIPIENT_OCTETS
HEAD, NEWS = "head@doa.example.gov", "news@doa.example.gov"
pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def store(store: Store) -> Store:
    store.limits = KeepLimits(TOTAL, EACH)
    return store


def one(number: int, sender: str = HEAD, places: tuple[Place, ...] = (), **more: object):
    """A message that takes 100,000 octets with its 240 recipients, unlike all others."""
    head = f"Subject: {number}\r\n\r\n".encode()
    made = arrival(
        people(240),
        sender=sender,
        subject=f"subject {sender} {number}",
        message_id=f"{number}@{sender}",
        body=head + b"x" * (BODY - len(head)),
        digest=f"{sender} {number}",
    )
    return replace(made, source=replace(made.source, places=places), **more) if places or more else made


async def keep(store: Store, arrived):
    outcome = await store.decide(arrived, limit(200))
    assert await store.keep(arrived, outcome.batch)
    return outcome


async def test_an_origin_has_no_room_beyond_its_limit_and_others_have(store):
    for number in range(3):
        await keep(store, one(number))
    with pytest.raises(KeptTooMuch, match="--keep-limit-each") as refused:
        await keep(store, one(3))
    assert refused.value.of_origin
    await keep(store, one(3, NEWS))
    small = await store.decide(arrival(people(3), subject="to three", message_id="small@a"), limit(200))
    assert small.verdict.action.passes, "what is not kept needs no room"


async def test_nothing_is_counted_or_left_of_what_had_no_room(store):
    for number in range(3):
        await keep(store, one(number))
    before = _rows(store)
    with pytest.raises(KeptTooMuch):
        await keep(store, one(3))
    assert _rows(store) == before


def _rows(store: Store) -> list[int]:
    tables = ("mailings", "mailing_people", "batches", "batch_recipients", "bodies", "mailing_keys", "events")
    return [store.call(lambda c, t=t: c.exec_driver_sql(f"SELECT count(*) FROM {t}").scalar_one()) for t in tables]


async def test_all_have_no_room_beyond_the_limit_of_all(store):
    store.limits = KeepLimits(total=5 * BODY)
    for number in range(5):
        await keep(store, one(number, f"{number}@doa.example.gov"))
    with pytest.raises(KeptTooMuch, match=r"--keep-limit\)") as refused:
        await keep(store, one(5, NEWS))
    assert not refused.value.of_origin and store.call(read_total) == 5 * BODY


async def test_one_message_in_many_batches_is_stored_and_counted_once(store):
    whole = one(0)
    for start in range(0, 500, 50):
        part = arrival(people(50, start=start), body=whole.transaction.content, message_id="cut@a")
        outcome = await store.decide(part, limit(20))
        assert await store.keep(part, outcome.batch)
    assert store.call(read_total) == len(whole.transaction.content)


async def test_what_has_ended_makes_room(store):
    for number in range(3):
        await keep(store, one(number))
    store.call(lambda c: c.exec_driver_sql("UPDATE batches SET state = 'returned' WHERE id = 1"))
    await keep(store, one(3))
    with pytest.raises(KeptTooMuch):
        await keep(store, one(4))


async def test_a_resend_of_what_is_kept_needs_no_room(store):
    for number in range(3):
        await keep(store, one(number))
    again = await store.decide(one(1), limit(200))
    assert again.repeated and again.batch is not None


async def test_a_from_that_is_not_own_fills_nobody_elses(store):
    """Without login and MAIL FROM it counts for the client, whatever From says."""
    named = [(Place(HEAD, named=True),), (Place(NEWS, named=True),)]
    for number in range(3):
        await keep(store, one(number, places=named[number % 2]))
    with pytest.raises(KeptTooMuch):
        await keep(store, one(3, places=(Place("other@doa.example.gov", named=True),)))
    await keep(store, one(4, places=(Place(HEAD),)))


async def test_many_recipients_are_octets_too(store):
    many = arrival(people(EACH // RECIPIENT_OCTETS), body=b"Subject: x\r\n\r\nx\r\n")
    with pytest.raises(KeptTooMuch):
        await store.decide(many, limit(200))


async def test_no_limit_is_none(store):
    store.limits = KeepLimits()
    for number in range(10):
        await keep(store, one(number))


async def test_what_is_about_to_be_stored_counts(store):
    """Eight connections at once: none of their bodies is there when the others are decided."""
    for number, sender in enumerate([HEAD] * 3 + [NEWS] * 3):
        await store.decide(one(number, sender), limit(200))
    with pytest.raises(KeptTooMuch, match="--keep-limit-each"):
        await store.decide(one(7), limit(200))
    await store.decide(one(8, "a@doa.example.gov"), limit(200))
    store.limits = replace(store.limits, total=7 * BODY)
    with pytest.raises(KeptTooMuch, match=r"--keep-limit\)"):
        await store.decide(one(9, "b@doa.example.gov"), limit(200))
    assert store.call(partial(read_total)) == 0
