"""`gatekeeper queue`: what waits to be sent, also by the names that `postqueue -j` of Postfix has."""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial
from pathlib import Path

from click.testing import CliRunner

from gatekeeper.cli import main
from gatekeeper.ledger.service import LedgerService
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.rules import parse_ruleset
from gatekeeper.store import jobs
from tests.peers.gate import RULES
from tests.store.arrivals import NOON, arrival, limit, people

OF_POSTFIX = {"queue_name", "queue_id", "arrival_time", "message_size", "sender", "recipients"}


def listed(database_url):
    done = CliRunner().invoke(main, ["queue", "--json", "--database", database_url])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def noon():
    return NOON.timestamp()


async def release(store):
    """A mailing that was held and is approved; its arrival."""
    one = arrival(people(2400))
    outcome = await store.decide(one, limit(2000))
    await store.keep(one, outcome.batch)
    letterhead = Letterhead(parse_ruleset(RULES, "rules.yaml", Path()), "gate.example.gov")
    LedgerService(store, letterhead, noon).approve(int(outcome.mailing[2:]), "cio@example.gov")
    return one


async def test_what_waits_is_told_as_postqueue_tells_it(store, database_url):
    assert listed(database_url) == []
    one = await release(store)
    (waiting,) = (each for each in listed(database_url) if each["kind"] == "release")
    assert waiting.keys() >= OF_POSTFIX
    assert waiting["queue_name"] == "incoming" and waiting["queue_id"] == str(waiting["id"])
    assert waiting["sender"] == "head@doa.example.gov" and waiting["mailing"] == "M-1"
    assert waiting["message_size"] == len(one.transaction.content)
    assert waiting["arrival_time"] == int(noon())
    assert datetime.fromisoformat(waiting["queued_at"]).timestamp() == noon()
    assert [each["address"] for each in waiting["recipients"]] == people(2400)
    assert {each["delay_reason"] for each in waiting["recipients"]} == {""}


async def test_the_queue_is_named_by_what_becomes_of_it(store, database_url):
    await release(store)
    now = store.now()
    leased = store.call(partial(jobs.lease, now=now, seconds=600.0, limit=9))
    assert {each["queue_name"] for each in listed(database_url)} == {"active"}
    for job in leased:
        store.call(partial(jobs.put_off, job=job, due=now + 60, error="451 4.4.1 no answer"))
    assert {each["queue_name"] for each in listed(database_url)} == {"deferred"}
    (waiting,) = (each for each in listed(database_url) if each["kind"] == "release")
    assert {each["delay_reason"] for each in waiting["recipients"]} == {"451 4.4.1 no answer"}
    assert waiting["attempts"] == 1


async def test_what_was_given_up_stays_in_the_queue(store, database_url):
    await release(store)
    now = store.now()
    for job in store.call(partial(jobs.lease, now=now, seconds=600.0, limit=9)):
        store.call(partial(jobs.finish, job=job, error="554 5.7.1 no"))
    done = CliRunner().invoke(main, ["queue", "--database", database_url])
    assert "failed  recipients of M-1\n        554 5.7.1 no\n" in done.output
    (failed,) = (each for each in listed(database_url) if each["kind"] == "release")
    assert (failed["state"], failed["queue_name"], failed["mailing"]) == ("failed", "failed", "M-1")


def retried(database_url, *words):
    return CliRunner().invoke(main, ["queue", "retry", *words, "--database", database_url])


async def test_what_waits_is_tried_at_once(store, database_url):
    await release(store)
    assert retried(database_url).output == "nothing waits for a further try\n"
    now = store.now()
    first, *others = store.call(partial(jobs.lease, now=now, seconds=600.0, limit=9))
    assert others
    assert retried(database_url).output == "nothing waits for a further try\n"  # somebody is at work on them
    for job in (first, *others):
        store.call(partial(jobs.put_off, job=job, due=now + 1800, error="451 4.4.1 no answer"))
    assert retried(database_url, str(first.id)).output == "tried now: 1\n"
    assert [each["id"] for each in listed(database_url) if each["queue_name"] == "incoming"] == [first.id]
    assert retried(database_url).output == f"tried now: {len(others)}\n"
    assert len(store.call(partial(jobs.lease, now=now + 1, seconds=600.0, limit=9))) == 1 + len(others)


async def test_what_does_not_wait_cannot_be_retried(store, database_url):
    await release(store)
    for job in store.call(partial(jobs.lease, now=store.now(), seconds=600.0, limit=9)):
        store.call(partial(jobs.finish, job=job, error="554 5.7.1 no"))
    done = retried(database_url, "1")
    assert done.exit_code == 65 and "1: expected the id of what waits for a further try" in done.stderr
    assert retried(database_url, "x").exit_code == 64
