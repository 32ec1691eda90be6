"""Arrivals that are decided in one go, in groups cut anywhere, or one by one: the same outcomes, the same rows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as some
from sqlalchemy import Connection, select

from gatekeeper.address import Addresses
from gatekeeper.lifecycle import BatchState
from gatekeeper.message.mailing_keys import batch_identity, keys
from gatekeeper.model import (
    Action,
    Counts,
    EarlierMailings,
    Outcome,
    Place,
    Reason,
    Scope,
    Standing,
    Verdict,
    WatchedList,
)
from gatekeeper.store import Arrival, Gathering, Store, batch_views, batches, mailings, permits, views
from gatekeeper.store.arrival import Judge, body_digest
from gatekeeper.store.db import statements
from gatekeeper.store.db.schema import metadata
from gatekeeper.store.decide import decide
from gatekeeper.store.events import Act
from gatekeeper.store.mailing_keys import hash_arrival
from gatekeeper.store.mailing_match import open_successor
from gatekeeper.store.permits import Grant
from gatekeeper.store.unit_of_work import PendingDecision
from tests.store.arrivals import NOON, always, arrival, limit, people

WATCHED = WatchedList(frozenset(f"user{number}@doa.example.gov" for number in range(8)), "1")
EARLIER = EarlierMailings("", NOON - NOON.replace(hour=0))
CIO = Act(NOON.timestamp(), "cio@example.gov", "root", "yes")


class Mail(NamedTuple):
    """One transaction, with small numbers for what may be the same in another."""

    sender: int = 0
    subject: int = 1
    message: int = 0
    queue: int = 0
    text: int = 0
    people: frozenset[int] = frozenset({0})
    outside: bool = False
    late: bool = False
    kind: str = ""  # separate, answers, returning, watched
    gathering: str = ""  # joins, opens
    says: str = "relay"


MAIL = some.builds(
    Mail,
    sender=some.sampled_from([0, 0, 0, 1, 2]),
    subject=some.sampled_from([1, 1, 2, 0]),
    message=some.integers(0, 4),
    queue=some.sampled_from([0, 0, 0, 1, 2]),
    text=some.sampled_from([0, 0, 1]),
    people=some.frozensets(some.integers(0, 20), min_size=1, max_size=8),
    outside=some.booleans(),
    late=some.sampled_from([False, False, False, True]),
    kind=some.sampled_from(["", "", "", "", "separate", "answers", "returning", "watched"]),
    gathering=some.sampled_from(["", "", "", "joins", "opens"]),
    says=some.sampled_from(["relay"] * 8 + ["warn", "reject", "defer", "fail", "mass", "mass"]),
)


class Case(NamedTuple):
    """What came before and what comes, as places in `mails`; where what comes is cut; whether there is a permit."""

    mails: list[Mail]
    before: list[int]
    coming: list[int]
    cuts: frozenset[int] = frozenset()
    permit: int | None = None  # how often it may be used; 0 for any number
    approves: bool = False  # what came before and is held is let go


@some.composite
def cases(draw: some.DrawFn) -> Case:
    mails = draw(some.lists(MAIL, min_size=1, max_size=8))
    places = some.integers(0, len(mails) - 1)
    return Case(
        mails,
        draw(some.lists(places, max_size=4)),
        draw(some.lists(places, min_size=2, max_size=14)),
        draw(some.frozensets(some.integers(1, 13), max_size=4)),
        draw(some.sampled_from([None, None, 0, 1, 2])),
        draw(some.booleans()),
    )


def judge(mail: Mail) -> Judge:
    """Over 7 users are held, over 4 are mass mail; some messages are refused, put off, warned about or break it."""

    def judged(counts: Counts, standing: Standing) -> Verdict:
        mass, earlier = counts.people > 4, sum(standing.earlier.values())
        if mail.says == "fail":
            raise ValueError("a fault in a rule")
        if mail.says == "mass":  # refused where it is mass mail, and the rest of its mailing with it
            reason = (Reason("some", Action.REJECT, text=f"{counts.people}"),) if mass else ()
            action = Action.REJECT if mass else Action.RELAY
            return Verdict(action, reason, mass, (), ("some",) * mass, ("some",) * (mass and mail.text))
        if counts.users > 7 or standing.state == "held":
            covering = [permit.id for permit in standing.permits if is_covering(permit, counts)]
            if covering:
                return Verdict(Action.RELAY, (), mass, (covering[0],))
            return Verdict(Action.HOLD, (Reason("approval", Action.HOLD, text=f"{earlier} earlier"),), mass)
        action, far = Action(mail.says), (counts.unlisted or 0) > 3
        reasons = (
            (Reason("some", action, text=f"{counts.reach} {earlier}"),) if far or action is not Action.RELAY else ()
        )
        return Verdict(action, reasons, mass)

    return judged


def is_covering(permit: Any, counts: Counts) -> bool:
    return counts.users <= permit.ceiling and (permit.state == "in force" or permit.claimed)


def brought(mail: Mail) -> Arrival:
    """The transaction as the pipeline brings it."""
    one = arrival(
        [f"user{number}@doa.example.gov" for number in sorted(mail.people)] + ["guest@example.com"] * mail.outside,
        sender=f"{mail.sender}@doa.example.gov",
        subject=f"subject {mail.subject}" if mail.subject else "",
        message_id=f"{mail.message}@x" if mail.message else "",
        after=90_000.0 if mail.late else 0.0,
        digest=f"{mail.message % 2}",
    )
    one = _answering(one, mail) if mail.kind == "answers" else one
    upstream = f"Q{mail.queue}@192.0.2.1" if mail.queue else None
    transaction = replace(one.transaction, upstream=upstream)
    facts = replace(one.facts, fingerprints=(f"f{mail.text}",) if mail.text else ())
    audience = replace(one.audience, unlisted=one.audience.externals, watched={"staff@example.gov": WATCHED})
    return replace(
        one,
        transaction=transaction,
        facts=facts,
        keys=keys(transaction, facts, one.source),
        identity=partial(batch_identity, transaction.sender, Addresses(transaction.addresses), facts),
        audience=audience if mail.kind == "watched" else one.audience,
        separate=mail.kind == "separate",
        returning=mail.kind == "returning",
        source=replace(one.source, places=(Place(one.source.mailbox, agency="DOA" if mail.text else None),)),
        by_agency=bool(mail.text),
        earlier=frozenset({EARLIER}),
        gathering=Gathering(mail.gathering == "opens", 20, 300) if mail.gathering else None,
    )


def _answering(one: Arrival, mail: Mail) -> Arrival:
    """A report about a message that the first sender may have sent."""
    facts = replace(one.facts, automatic=True, answers=(f"{mail.message}@x",))
    recipients = (replace_address(one, "0@doa.example.gov"),)
    return replace(one, facts=facts, transaction=replace(one.transaction, sender="", recipients=recipients))


def replace_address(one: Arrival, address: str) -> Any:
    return one.transaction.recipients[0]._replace(address=address)


# -- playing a case ----------------------------------------------------------------------------------------------


def play(store: Store, case: Case, cuts: frozenset[int]) -> tuple[list[Any], dict[str, list[Any]]]:
    """Outcomes of what comes, and all rows at the end; the database is then as it was."""
    with store.database.engine.connect() as connection, connection.begin() as transaction:
        if case.permit is not None:
            scope = Scope(senders=frozenset({"0@doa.example.gov"}))
            given = Grant("approval", ("approval",), scope, 0.0, CIO.at + 1e6, ceiling=12, uses=case.permit or None)
            permits.grant(connection, given, CIO)
        for place in case.before:
            _decide_and_seal(connection, store.secret, case.mails[place])
        if case.approves:
            _approve(connection)
        ends = sorted({cut for cut in cuts if cut < len(case.coming)} | {len(case.coming)})
        outcomes: list[Any] = []
        for start, end in zip([0, *ends], ends, strict=False):
            pending = [_pending(store.secret, case.mails[place]) for place in case.coming[start:end]]
            outcomes += decide(connection, store.secret, pending)
        found = _all_rows(connection)
        transaction.rollback()
    return _told(outcomes, found)


def _pending(secret: bytes, mail: Mail) -> PendingDecision:
    one = brought(mail)
    return PendingDecision(one, hash_arrival(secret, one), judge(mail))


def _decide_and_seal(connection: Connection, secret: bytes, mail: Mail) -> None:
    one, (outcome,) = brought(mail), decide(connection, secret, [_pending(secret, mail)])
    if isinstance(outcome, Outcome) and outcome.batch is not None and not outcome.repeated:
        digest = body_digest(one)
        batches.store_whole(connection, digest, one.transaction.content, 0.0)
        assert batches.seal(connection, outcome.batch, digest)


def _approve(connection: Connection) -> None:
    for held in views.list_mailings(connection):
        if held.state == "held":
            kept = batch_views.find_batches(connection, held.key, BatchState.HELD)
            given = Grant("approval", ("approval",), Scope(), 0.0, CIO.at + 1e6, ceiling=10, mailing_key=held.key)
            mailings.approve(connection, held, kept, given, CIO)


def _all_rows(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for table in metadata.sorted_tables:
        rows = connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
        found[table.name] = [{**row, "once": ""} if "once" in row else dict(row) for row in rows]  # it has an id in it
    return found


def _told(outcomes: list[Any], found: dict[str, list[dict[str, Any]]]) -> tuple[list[Any], dict[str, list[Any]]]:
    """Outcomes and rows with ids by rank: which ids are given out is nobody's business, their order is."""
    given = [each for each in outcomes if isinstance(each, Outcome)]
    ids = {name: [row["id"] for row in rows] for name, rows in found.items() if rows and "id" in rows[0]}
    ids["mailings"] = [*ids.get("mailings", ()), *(each.key for each in given if each.key)]
    ranks = {id: rank for table in ids for rank, id in enumerate((table, id) for id in sorted({*ids[table]}))}

    def ranked(table: str, id: Any) -> Any:
        return [ranks[table, each] for each in id] if isinstance(id, list) else ranks.get((table, id))

    def told(outcome: Outcome) -> Outcome:
        key, batch = ranked("mailings", outcome.key), ranked("batches", outcome.batch)
        return replace(outcome, key=key, batch=batch, flight=ranked("flights", outcome.flight))

    rows = {
        name: sorted(
            (
                {column: ranked(_IDS[column] or name, value) if column in _IDS else value for column, value in row}
                for row in (each.items() for each in rows)
            ),
            key=repr,
        )
        for name, rows in found.items()
    }
    return [told(each) if isinstance(each, Outcome) else repr(each) for each in outcomes], rows


_IDS = {  # columns with ids, and of which table; None for their own
    "id": None,
    "mailing_id": "mailings",
    "merged_into": "mailings",
    "batch_id": "batches",
    "permit_id": "permits",
    "permits": "permits",
    "matter_id": "mailings",
}


def assert_same_however_cut(store: Store, case: Case) -> None:
    one_by_one = play(store, case, frozenset(range(1, len(case.coming))))
    assert play(store, case, frozenset()) == one_by_one
    assert play(store, case, case.cuts) == one_by_one


on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
with_fixture = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def coming(*mails: Mail, permit: int | None = None) -> Case:
    """A case of these and nothing before them."""
    return Case(list(mails), [], list(range(len(mails))), permit=permit)


TURNS_OUT_TO_BE_ONE = coming(
    Mail(subject=1, message=0),
    Mail(subject=2, message=1, people=frozenset({1})),
    Mail(subject=1, message=1, people=frozenset({2}), says="reject"),
    Mail(subject=1, message=0, people=frozenset({4})),
    Mail(subject=1, message=1, people=frozenset({3})),
    Mail(subject=2, message=1, people=frozenset({5})),
)
A_GATHER_AND_A_PERMIT = coming(
    Mail(gathering="opens"),
    Mail(gathering="joins", people=frozenset({1})),
    Mail(gathering="joins", people=frozenset(range(8))),
    Mail(gathering="joins", people=frozenset({1})),
    permit=1,
)
SENT_AGAIN_AFTER_IT_GREW = coming(Mail(gathering="opens"), Mail(people=frozenset({1, 2})), Mail(gathering="opens"))
ANSWERED = coming(Mail(message=1), Mail(message=1, kind="answers"))
COUNTED_BEFORE_A_RULE_ASKED = coming(Mail(people=frozenset({1, 2})), Mail(people=frozenset({3}), kind="watched"))
AN_EARLIER_ONE = coming(
    Mail(subject=1, people=frozenset(range(5))), Mail(subject=2, people=frozenset(range(9, 14)), says="warn")
)


REFUSED_AND_MERGED = coming(
    Mail(subject=1, message=1, people=frozenset({1})),
    Mail(subject=2, message=2, people=frozenset({2}), gathering="opens"),
    Mail(subject=1, message=2, people=frozenset(range(9)), says="mass"),
    Mail(subject=2, message=3, people=frozenset({3}), says="mass"),
    Mail(subject=0, message=2, people=frozenset({4}), says="mass"),
    Mail(subject=1, message=3, people=frozenset({5})),
)


@on_sqlite
@settings(with_fixture, max_examples=80)
@given(case=cases())
@example(TURNS_OUT_TO_BE_ONE)
@example(A_GATHER_AND_A_PERMIT)
@example(SENT_AGAIN_AFTER_IT_GREW)
@example(ANSWERED)
@example(COUNTED_BEFORE_A_RULE_ASKED)
@example(AN_EARLIER_ONE)
@example(REFUSED_AND_MERGED)
def test_it_is_the_same_however_it_is_cut(store: Store, case: Case) -> None:
    assert_same_however_cut(store, case)


@on_sqlite
@settings(with_fixture, max_examples=50)
@given(case=cases())
@example(TURNS_OUT_TO_BE_ONE)
def test_what_is_refused_leaves_nothing(store: Store, case: Case) -> None:
    """As though it had never come: also what was merged for it, and in the midst of others.

    What is refused for how far its mailing reaches is remembered (test_refused_parts.py), so here nothing is.
    """
    case = case._replace(mails=[each._replace(says="reject") if each.says == "mass" else each for each in case.mails])
    outcomes, rows = play(store, case, case.cuts)
    passed = [place for place, outcome in zip(case.coming, outcomes, strict=True) if not is_refused(outcome)]
    assert play(store, case._replace(coming=passed), frozenset())[1] == rows


def is_refused(outcome: Outcome | str) -> bool:
    return isinstance(outcome, str) or outcome.verdict.action in (Action.REJECT, Action.DEFER)


@on_postgres
@seed(16)
@settings(with_fixture, max_examples=12, phases=[Phase.generate])
@given(case=cases())
def test_it_is_the_same_on_postgres(store: Store, case: Case) -> None:
    assert_same_however_cut(store, case)


# -- what a group costs, and what one of it costs the others -----------------------------------------------------


async def test_twenty_share_their_statements(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    for name in ("_execute", "_execute_many"):
        real = getattr(statements, name)
        monkeypatch.setattr(statements, name, lambda *args, real=real: said.append(args[1]) or real(*args))
    ones = [arrival(people(2, start=10 * n), subject=f"s{n}", message_id=f"{n}@x") for n in range(20)]
    outcomes = await asyncio.gather(*(store.decide(one, limit(2000)) for one in ones))
    assert len({outcome.key for outcome in outcomes}) == 20
    assert all(outcome.counts.users == 2 for outcome in outcomes)
    assert len(said) < 2 * len(ones), "one after another they are six each"


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


async def test_one_that_cannot_be_written_fails_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(connection: Connection, mailing_id: int, arrival: Arrival, *rest: Any) -> int:
        raise KeyError(f"a fault of ours with {arrival.facts.message_id}")

    monkeypatch.setattr(import_module("gatekeeper.store.decide"), "keep_batch", broken)
    ones = [arrival(people(3, start=10 * n), subject=f"s{n}", message_id=f"{n}@x") for n in range(3)]
    first, failed, last = await asyncio.gather(
        *(store.decide(one, limit(2 if place == 1 else 2000)) for place, one in enumerate(ones)), return_exceptions=True
    )
    assert isinstance(failed, KeyError)
    assert (first.counts.users, last.counts.users) == (3, 3)
    assert "a fault of ours with 1@x" in caplog.text
    assert store.call(views.list_mailings) == [], "nothing is left of what failed"


async def test_ids_are_never_given_twice(store: Store) -> None:
    """Also where mailings are opened otherwise between: as successors of closed ones, by the database's own count."""
    keys = []
    for number in range(3):
        one = arrival(people(4, start=number), subject=f"s{number}", message_id=f"{number}@x")
        keys.append((await store.decide(one, always(Action.RELAY))).key)
        keys.append(store.call(partial(open_successor, mailing_id=keys[-1])))
    assert len(set(keys)) == 6
