"""Ordinary mail is decided together as it would be one by one: the same outcomes, the same rows."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some
from sqlalchemy import func, select

from gatekeeper.model import Action, Counts, Outcome, Reason, Standing, Verdict
from gatekeeper.store import Arrival, Gathering, Store
from gatekeeper.store.db import statements
from gatekeeper.store.db.schema import mailing_keys, mailing_people, mailings
from tests.store.arrivals import arrival, limit, people

_WORLDS = itertools.count()
_ROW = ("state", "users", "external", "unresolved", "agencies", "lists", "relayed", "joined", "version", "mass")


class Mail(NamedTuple):
    """One transaction, with small numbers for what may be the same in another."""

    sender: int
    subject: int
    message: int
    people: frozenset[int]
    outside: bool
    late: bool
    separate: bool
    gathers: bool
    says: int


MAIL = some.builds(
    Mail,
    sender=some.integers(0, 1),
    subject=some.integers(0, 2),
    message=some.integers(0, 5),
    people=some.frozensets(some.integers(0, 20), min_size=1, max_size=6),
    outside=some.booleans(),
    late=some.sampled_from([False, False, False, True]),
    separate=some.sampled_from([False, False, False, True]),
    gathers=some.sampled_from([False, False, False, True]),
    says=some.sampled_from([0, 0, 0, 0, 1, 2, 3]),
)


def judge(mail: Mail):
    """Over 12 users are held, over 8 are mass mail; some messages are refused, put off or warned about."""

    def judged(counts: Counts, standing: Standing) -> Verdict:
        mass = counts.people > 8
        if counts.users > 12 or standing.state == "held":
            return Verdict(Action.HOLD, (Reason("approval", Action.HOLD),), mass)
        action = (Action.RELAY, Action.WARN, Action.REJECT, Action.DEFER)[mail.says]
        return Verdict(action, (Reason("some", action),) if mail.says else (), mass)

    return judged


def brought(mail: Mail, world: str) -> Arrival:
    """The transaction as the pipeline brings it; nothing of one world joins anything of another."""
    names = [f"user{number}@doa.example.gov" for number in sorted(mail.people)]
    names += [f"guest{min(mail.people)}@example.com"] if mail.outside else []
    one = arrival(
        names,
        sender=f"{world}-{mail.sender}@doa.example.gov",
        subject=f"subject {mail.subject}" if mail.subject else "",
        message_id=f"{world}-{mail.message}@x" if mail.message else "",
        after=90_000.0 if mail.late else 0.0,
    )
    gathering = Gathering(opens=True, quiet=20, limit=300) if mail.gathers else None
    return replace(one, separate=mail.separate, gathering=gathering)


def rows(store: Store, keys: list[int | None]) -> list[dict[str, Any] | None]:
    """What the database has of these mailings; None of one that turned out to be another."""

    def read(connection):
        found = []
        for key in dict.fromkeys(filter(None, keys)):
            row = connection.execute(select(mailings).where(mailings.c.id == key)).mappings().first()
            people = select(func.count()).where(mailing_people.c.mailing_id == key)
            leads = select(mailing_keys.c.kind).where(mailing_keys.c.mailing_id == key)
            kinds = sorted(connection.execute(leads).scalars())
            stands = row is not None and row["merged_into"] is None
            found.append(
                {name: row[name] for name in _ROW} | {"people": connection.scalar(people), "keys": kinds}
                if stands
                else None
            )
        return found

    return store.writer.read(read)


async def decided(store: Store, mails: list[Mail], world: str) -> tuple[list[object], list[dict[str, Any]]]:
    """Outcomes one after another, and what the database has of them at the end."""
    return seen(store, [await store.decide(brought(mail, world), judge(mail)) for mail in mails])


def seen(store: Store, outcomes: list[Outcome]) -> tuple[list[object], list[dict[str, Any]]]:
    """Outcomes without what is another's in another world, and what the database has of their mailings.

    Of mailings that turn out to be one the older is left. Those that are opened one by one come after those that were
    opened together, so it may be the other: then all that counts is what is left, whichever key led there.
    """
    keys = [outcome.key for outcome in outcomes]
    found = rows(store, keys)
    numbered = {key: number for number, key in enumerate(dict.fromkeys(keys))} if all(found) else {}
    told = [
        (each.verdict, each.counts, each.mailing is None, numbered.get(each.key), each.batch is None, each.repeated)
        for each in outcomes
    ]
    left = [row if numbered else row | {"joined": sum(row["joined"].values()), "version": 0} for row in found if row]
    return told, left if numbered else sorted(left, key=repr)


@pytest.fixture
def one_by_one(store: Store) -> Iterator[Store]:
    """A store that decides nothing together, on the database of `store`."""
    alone = Store(store.database)
    alone.open()
    alone.writer.together = None
    yield alone
    alone.writer.stop()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mails=some.lists(MAIL, min_size=1, max_size=12))
def test_it_is_as_one_by_one(store: Store, one_by_one: Store, mails: list[Mail]) -> None:
    world = f"w{next(_WORLDS)}"
    together = asyncio.run(decided(store, mails, world))
    assert together == asyncio.run(decided(one_by_one, mails, f"{world}x"))


async def decided_at_once(store: Store, mails: list[Mail], world: str) -> list[Outcome]:
    """Outcomes of what comes in this order while the writer is at work on something else."""
    begun, over = threading.Event(), threading.Event()
    work = asyncio.create_task(store.run(lambda connection: begun.set() or over.wait(10)))
    await asyncio.to_thread(begun.wait, 10)
    waiting = [asyncio.create_task(store.decide(brought(mail, world), judge(mail))) for mail in mails]
    await asyncio.sleep(0)
    over.set()
    await work
    return await asyncio.gather(*waiting)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mails=some.lists(MAIL, min_size=2, max_size=12))
@example(  # a mailing that is opened together and one that is opened before it, by itself, are found to be one
    mails=[
        Mail(0, 1, 0, frozenset({0}), outside=False, late=False, separate=False, gathers=True, says=0),
        Mail(0, 0, 1, frozenset({0}), outside=False, late=False, separate=False, gathers=False, says=0),
        Mail(0, 0, 1, frozenset({1}), outside=False, late=False, separate=False, gathers=True, says=0),
        Mail(0, 1, 1, frozenset({0}), outside=False, late=False, separate=False, gathers=False, says=0),
    ]
)
def test_what_waits_together_is_as_one_by_one(store: Store, one_by_one: Store, mails: list[Mail]) -> None:
    """Also what is held, gathered, refused, sent twice, or joins two mailings in the midst of it."""
    world = f"w{next(_WORLDS)}"
    together = seen(store, asyncio.run(decided_at_once(store, mails, world)))
    assert together == asyncio.run(decided(one_by_one, mails, f"{world}x"))


async def test_twenty_share_their_statements(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    for name in ("_execute", "_execute_many"):
        real = getattr(statements, name)
        monkeypatch.setattr(statements, name, lambda *args, real=real: said.append(args[1]) or real(*args))
    ones = [arrival(people(2, start=10 * n), subject=f"s{n}", message_id=f"{n}@x") for n in range(20)]
    outcomes = await asyncio.gather(*(store.decide(one, limit(2000)) for one in ones))
    assert len({outcome.key for outcome in outcomes}) == 20
    assert all(outcome.counts.users == 2 for outcome in outcomes)
    assert len(said) < 2 * len(ones), "one after another they are seven each"


async def test_a_judge_that_fails_fails_alone(store: Store) -> None:
    def broken(counts: Counts, standing: Standing) -> Verdict:
        raise ValueError("a fault in a rule")

    one, other = (arrival(people(1, start=n), subject=f"s{n}", message_id=f"{n}@x") for n in range(2))
    failed, passed = await asyncio.gather(
        store.decide(one, broken), store.decide(other, limit(2000)), return_exceptions=True
    )
    assert isinstance(failed, ValueError)
    assert passed.key is not None and passed.counts.users == 1
    assert (await store.decide(one, limit(2000))).counts.users == 1


async def test_ids_are_never_given_twice(store: Store) -> None:
    """Also where `decide` alone opens mailings between: its ids are the database's own."""
    keys = []
    for number in range(6):
        one = arrival(people(40 if number % 2 else 1), subject=f"s{number}", message_id=f"{number}@x")
        keys.append((await store.decide(one, limit(2000))).key)
    assert len(set(keys)) == 6
