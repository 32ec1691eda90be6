"""Whom an origin has reached over all its mailings: never less than the truth, and exact from where a rule asks."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from gatekeeper.model import Action, Client, Counts, Reason, SentQuery, Source, Standing, Verdict
from gatekeeper.store import Database, Store, sent
from gatekeeper.store.db.schema import sent_sums, shared_keys
from tests.store.arrivals import always, arrival, people
from tests.store.databases import lay_out

DAY = timedelta(hours=24)
USERS, PEOPLE = SentQuery("sender_users", DAY), SentQuery("sender_people", DAY)
AGENCIES, BY_CLIENT = SentQuery("sender_agencies", DAY), SentQuery("client_users", DAY)
LEAST = 21


def mail(recipients, sender, number, *queries, client="192.0.2.1", after=0.0, subject="", **more):
    """A message with nothing in common with any other but its sender, and the subject where one is given."""
    about = subject or f"subject {number}"
    came = arrival(recipients, sender, about, f"{number}@x", after=after, digest=f"{number}")
    transaction = replace(came.transaction, client=Client(client))
    asked = frozenset(queries or (USERS,))
    return replace(came, transaction=transaction, source=Source(sender), sent=asked, least_sent=LEAST, **more)


def limit(*queries):
    """A judge that holds where one of the queries finds at least so many, and remembers what it was told."""
    told: list[Counts] = []

    def judge(counts: Counts, standing: Standing) -> Verdict:
        told.append(counts)
        over = any(counts.sent[query] >= LEAST for query in queries or (USERS,))
        return Verdict(Action.HOLD, (Reason("sender", Action.HOLD),)) if over else Verdict()

    return judge, told


async def test_mail_that_shares_nothing_but_its_sender_stops_at_the_limit(store):
    judge, _ = limit()
    outcomes = [
        await store.decide(mail([each], "a@doa.example.gov", number), judge) for number, each in enumerate(people(30))
    ]
    assert [outcome.verdict.action for outcome in outcomes] == [Action.RELAY] * 20 + [Action.HOLD] * 10


async def test_what_comes_at_once_sees_what_came_before_it(store):
    judge, _ = limit()
    came = [mail([each], "a@doa.example.gov", number) for number, each in enumerate(people(30))]
    outcomes = await asyncio.gather(*(store.decide(each, judge) for each in came))
    assert sum(outcome.verdict.action is Action.RELAY for outcome in outcomes) == 20


async def test_the_same_few_all_day_are_few(store, monkeypatch):
    """Ten thousand would be read as often: each time, a bound as large as the limit must be used up first."""
    reads = []
    read = sent.read_people
    module = sys.modules["gatekeeper.store.count_sent"]
    monkeypatch.setattr(module, "read_people", lambda *args: reads.append(args) or read(*args))
    judge, told = limit()
    for number in range(300):
        outcome = await store.decide(mail(people(3), "tickets@doa.example.gov", number), judge)
        assert outcome.verdict.action is Action.RELAY
    assert told[-1].sent[USERS] <= 20 and len(reads) <= 300 * 3 // (LEAST - 3 - 3) + 1


async def test_who_is_beyond_all_limits_is_read_once_an_hour(store, monkeypatch):
    """Otherwise each message of who writes to thousands has all of them read: 2,500 people took a second each time."""
    reads = []
    read = sent.read_people
    module = sys.modules["gatekeeper.store.count_sent"]
    monkeypatch.setattr(module, "read_people", lambda *args: reads.append(args) or read(*args))
    told = []
    judge = lambda counts, standing: told.append(counts.sent[USERS]) or Verdict()  # noqa: E731
    for number in range(40):
        came = mail(people(3, start=3 * number), "news@doa.example.gov", number, most_sent={USERS: LEAST})
        await store.decide(came, judge)
    assert told[:8] == [3, 6, 9, 12, 15, 18, 21, 24] and all(each >= LEAST for each in told[6:]) and len(reads) == 2
    late = mail(people(3, start=500), "news@doa.example.gov", 90, most_sent={USERS: LEAST}, after=3600)
    await store.decide(late, judge)
    assert (len(reads), told[-1]) == (3, 123)


async def test_others_of_the_same_client_count_with_it(store):
    judge, _ = limit(BY_CLIENT)
    for number, each in enumerate(people(20)):
        came = mail([each], f"clerk{number}@doa.example.gov", number, BY_CLIENT)
        assert (await store.decide(came, judge)).verdict.action is Action.RELAY
    elsewhere = mail(["z@doa.example.gov"], "x@doa.example.gov", 90, BY_CLIENT, client="192.0.2.9")
    assert (await store.decide(elsewhere, judge)).verdict.action is Action.RELAY
    again = mail(["z@doa.example.gov"], "y@doa.example.gov", 91, BY_CLIENT)
    assert (await store.decide(again, judge)).verdict.action is Action.HOLD


async def test_users_people_and_agencies_are_told_apart(store):
    judge, told = limit()
    outside = [f"citizen{number}@example.org" for number in range(30)]
    await store.decide(mail([*people(4), *outside], "a@doa.example.gov", 1, USERS, PEOPLE, AGENCIES), judge)
    assert {told[-1].sent[query] for query in (USERS,)} == {4}
    assert (told[-1].sent[PEOPLE], told[-1].sent[AGENCIES]) == (34, 2)


async def test_what_was_refused_counts_nobody(store):
    for number in range(5):
        await store.decide(mail(people(30), "a@doa.example.gov", number), always(Action.REJECT))
    judge, told = limit()
    await store.decide(mail(people(1), "a@doa.example.gov", 9), judge)
    assert told[-1].sent[USERS] == 1


async def test_a_day_later_it_counts_anew(store):
    judge, told = limit()
    await store.decide(mail(people(20), "a@doa.example.gov", 1), judge)
    outcome = await store.decide(mail(people(20, start=20), "a@doa.example.gov", 2, after=90_100), judge)
    assert outcome.verdict.action is Action.RELAY and told[-1].sent[USERS] == 20


async def test_separate_mail_counts_for_nobody(store):
    judge, told = limit()
    for number in range(5):
        await store.decide(mail(people(20), "a@doa.example.gov", number, separate=True), judge)
    assert told[-1].sent[USERS] == 0


async def test_where_no_rule_asks_nothing_is_written(store):
    came = mail(people(5), "a@doa.example.gov", 1)
    await store.decide(replace(came, sent=frozenset()), always(Action.RELAY))
    for table in (sent_sums, shared_keys):
        assert store.call(lambda c, table=table: c.execute(select(func.count()).select_from(table)).scalar()) == 0


async def test_sums_are_forgotten_when_no_rule_can_ask_for_them(store):
    await store.decide(mail(people(5), "a@doa.example.gov", 1), limit()[0])
    now = arrival(people(1)).now.timestamp()
    await store.run(lambda c: sent.forget_sums(c, now + 7 * 86_400))
    assert store.call(lambda c: c.execute(select(func.count()).select_from(sent_sums)).scalar()) == 1
    await store.run(lambda c: sent.forget_sums(c, now + 9 * 86_400))
    assert store.call(lambda c: c.execute(select(func.count()).select_from(sent_sums)).scalar()) == 0


# -- against sets ------------------------------------------------------------------------------------------------

MESSAGES = st.lists(
    st.tuples(
        st.integers(0, 2),  # who sends
        st.integers(0, 4),  # on which subject: some share a mailing
        st.lists(st.integers(0, 39), min_size=1, max_size=9, unique=True),
        st.integers(0, 6),  # hours after the one before
    ),
    min_size=1,
    max_size=40,
)


@given(MESSAGES)
@settings(max_examples=60, deadline=None)
def test_it_is_never_less_than_the_truth_and_exact_where_a_rule_asks(messages):
    """The truth of one day: no mailing is older, so that "anything of it came within the time" is all of it."""

    async def play(store):
        everyone, hours = people(40), 0
        judge, told = limit()
        reached: dict[int, list[tuple[int, set[str]]]] = {}
        for number, (who, subject, whom, later) in enumerate(messages):
            hours += later
            users = {everyone[each] for each in whom}
            sender, about = f"clerk{who}@doa.example.gov", f"subject {subject}"
            came = mail(sorted(users), sender, number, after=hours * 3600.0, subject=about)
            outcome = await store.decide(came, judge)
            recent = [them for hour, them in reached.get(who, []) if hour > hours - 24]
            truth = len(set().union(users, *recent))
            found = told[-1].sent[USERS]
            assert found >= truth
            assert (found >= LEAST) == (outcome.verdict.action is Action.HOLD)
            if hours < 24 and found >= LEAST:
                assert found == truth
            reached.setdefault(who, []).append((hours, users))

    with TemporaryDirectory() as folder:
        store = Store(Database(lay_out(Path(folder) / "gate.db"), timeout=5))
        store.open()
        try:
            asyncio.run(play(store))
        finally:
            store.close()
