"""How much of a list a mailing has reached, and people in no list: exact over batches, merges and changed lists."""

from __future__ import annotations

from dataclasses import replace

from gatekeeper.model import Action, ListReach, WatchedList
from tests.store.arrivals import always, arrival, limit, people

LIST = "all-staff@example.gov"
RELAY = limit(10**6)


def watching(came, members, version="1"):
    """The arrival, where a rule asks how much of a list is reached, and for people in no list."""
    everybody = came.audience.users.keys() | came.audience.externals
    audience = replace(
        came.audience,
        unlisted=frozenset(everybody) - frozenset(members),
        unconsented=frozenset(each for each in came.audience.externals if each.startswith("no")),
        watched={LIST: WatchedList(frozenset(members), version)},
    )
    return replace(came, audience=audience)


async def counts(store, came, judge=RELAY):
    found = (await store.decide(came, judge)).counts
    return found.reach[LIST], found.unlisted, found.unconsented


async def test_pasted_addresses_count_over_all_batches_and_nobody_twice(store):  # C3
    everyone, members = people(120), people(100)
    assert await counts(store, watching(arrival(everyone[:40]), members)) == (ListReach(40, 100), 0, 0)
    assert await counts(store, watching(arrival(everyone[30:80]), members)) == (ListReach(80, 100), 0, 0)
    assert await counts(store, watching(arrival(everyone[:40]), members)) == (ListReach(80, 100), 0, 0)
    late = watching(arrival([*everyone[80:], "no1@example.org", "yes@example.org"]), members)
    assert await counts(store, late) == (ListReach(100, 100), 22, 1)


async def test_a_refusal_takes_its_own_back(store):
    members = people(100)
    await counts(store, watching(arrival(members[:10]), members))
    assert await counts(store, watching(arrival(members[:60]), members), always(Action.REJECT)) == (
        ListReach(60, 100),
        0,
        0,
    )
    assert await counts(store, watching(arrival(members[10:20]), members)) == (ListReach(20, 100), 0, 0)


async def test_a_list_whose_members_change_in_mid_mailing_is_counted_anew(store):
    everyone = people(100)
    await counts(store, watching(arrival(everyone[:50]), everyone[:60]))
    after = watching(arrival(everyone[50:55]), everyone[40:100], version="2")
    assert (await counts(store, after))[0] == ListReach(15, 60)


async def test_a_rule_that_begins_to_ask_in_mid_mailing_knows_whom_it_has_reached(store):
    everyone = people(100)
    await store.decide(arrival(everyone[:50]), RELAY)
    assert (await counts(store, watching(arrival(everyone[50:60]), everyone)))[0] == ListReach(60, 100)


async def test_of_two_mailings_that_become_one_the_reach_is_that_of_the_union(store):
    everyone = people(100)

    def one(recipients, subject, message_id):
        return watching(arrival(recipients, subject=subject, message_id=message_id), everyone)

    assert (await counts(store, one(everyone[:50], "a", "1")))[0] == ListReach(50, 100)
    assert (await counts(store, one(everyone[40:80], "b", "2")))[0] == ListReach(40, 100)
    assert (await counts(store, one(everyone[80:90], "a", "2")))[0] == ListReach(90, 100)
