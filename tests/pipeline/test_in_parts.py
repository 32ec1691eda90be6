"""Mail to more recipients than the next hop takes at once: all are counted, and where it passes each gets it once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from sqlalchemy import select

from gatekeeper.ledger.service import LedgerService
from gatekeeper.ledger.terms import Terms
from gatekeeper.lifecycle import RecipientState
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.rules import parse_ruleset
from gatekeeper.smtp.replies import reply
from gatekeeper.store import StoreError, cleanup, jobs, views
from gatekeeper.store.db.schema import batch_recipients, batches, bodies, mailings
from tests.peers.gate import RULES
from tests.pipeline.test_pipeline import PDF, TAKEN, NextHop, held, make, message, queued, rules  # noqa: F401 - fixtures
from tests.store.arrivals import people

GATHER = RULES.replace("within: 24h}", "within: 24h, gather: {at: [250], quiet: 1s, limit: 4s}}")
NO = reply(554, "looks like spam", "5.7.1")


def beyond(transaction, number):
    return replace(transaction, beyond=number)


def waiting(store):
    """The recipients of each release that waits."""
    return [job["recipients"] for job in store.call(jobs.waiting_jobs) if job["kind"] == "release"]


def rows(store, table):
    return store.call(lambda connection: list(connection.execute(select(table)).mappings()))


async def test_the_first_part_is_relayed_and_the_rest_is_queued(make, store):  # noqa: F811
    hop, everyone = NextHop(), people(250)
    assert await make().receive(beyond(message(everyone), 150), hop) is TAKEN
    assert len(hop.added) == 1 and waiting(store) == [everyone[100:]]
    (mailing,) = store.call(views.list_mailings)
    assert (mailing.counts.users, mailing.state, mailing.sent, mailing.batches) == (250, "open", 100, 1)
    (batch,) = rows(store, batches)
    assert (batch["state"], batch["recipients"], batch["trace"]) == ("released", 150, hop.added[0])
    assert [body["complete"] for body in rows(store, bodies)] == [True]


async def test_the_rest_is_durable_before_the_first_part_goes(make, store):  # noqa: F811
    class Looking(NextHop):
        async def __call__(self, added, *, blind=False):
            assert [batch["state"] for batch in rows(store, batches)] == ["passing"] and waiting(store) == []
            assert store.call(views.list_mailings)[0].batches == 0, "nobody was told of it"
            assert rows(store, bodies)
            return await super().__call__(added, blind=blind)

    assert await make().receive(beyond(message(people(250)), 150), Looking()) is TAKEN
    assert len(waiting(store)) == 1


async def test_a_first_part_that_is_refused_leaves_nothing_behind(make, store):  # noqa: F811
    for answer in (NO, reply(451, "later", "4.4.2")):
        assert await make().receive(beyond(message(people(150, start=300)), 50), NextHop(answer)) is answer
        assert rows(store, batches) == rows(store, batch_recipients) == [] and queued(store) == []
    (mailing,) = rows(store, mailings)
    assert (mailing["sender"], mailing["subject"], mailing["users"]) == (None, None, 150)
    assert await make().receive(beyond(message(people(150, start=300)), 50), NextHop()) is TAKEN
    assert len(waiting(store)) == 1 and len(rows(store, mailings)) == 1


async def test_a_warning_stands_before_every_part_and_a_list_is_hidden_in_all(make, store, rules):  # noqa: F811
    rules.write_text(RULES.replace("then: reject\n    say: Move", "then: warn\n    repair: blind\n    say: Move"))
    visible = b"To: " + ", ".join(people(300)).encode() + b"\r\n" + PDF
    hop = NextHop()
    assert await make().receive(beyond(message(people(300), rest=visible), 100), hop) is TAKEN
    (batch,) = rows(store, batches)
    assert b"X-Gatekeeper-Warning: " in batch["trace"] and batch["trace"] == hop.added[0] and hop.hidden == [True]
    (job,) = store.call(partial(jobs.lease, now=9e9, seconds=0, limit=50))[:1]
    assert store.call(partial(jobs.open_release, batch_id=job.batch_id)).blind


async def test_all_are_counted_and_where_they_are_too_many_none_goes(make, store):  # noqa: F811
    hop, everyone = NextHop(), people(2400)
    answer = await make().receive(beyond(message(everyone, subject="enrolment"), 2300), hop)
    assert "Held for approval as M-1" in answer.text and hop.added == []
    assert [(each.counts.users, each.batches) for each in held(store)] == [(2400, 1)]
    (batch,) = rows(store, batches)
    assert (batch["state"], batch["recipients"]) == ("held", 2400)


async def test_a_refusal_keeps_nothing(make, store):  # noqa: F811
    answer = await make().receive(beyond(message(people(300), subject=""), 200), NextHop())
    assert answer.code == 550 and rows(store, batches) == []


async def test_gathered_mail_is_gathered_whole(make, store, rules):  # noqa: F811
    rules.write_text(GATHER)
    hop = NextHop()
    answer = await make().receive(beyond(message(people(250)), 150), hop)
    assert "not sent yet: counting recipients" in answer.text and hop.added == []
    (batch,) = rows(store, batches)
    assert (batch["state"], batch["recipients"]) == ("gathered", 250)


async def test_a_resend_of_what_was_taken_is_no_second_copy(make, store):  # noqa: F811
    pipeline, hop, mail = make(), NextHop(), beyond(message(people(250)), 150)
    await pipeline.receive(mail, hop)
    answer = await pipeline.receive(replace(mail, beyond=0), hop)
    assert str(answer) == "250 2.0.0 M-1 taken before: it is sent once; do not resend"
    assert len(hop.added) == len(waiting(store)) == 1


async def test_a_client_that_was_cut_off_before_sends_all_again(make, store):  # noqa: F811
    """As after a crash: a rest of which nobody was told is not a batch that is kept, and is removed later."""

    class Crash(Exception):
        pass

    class Crashing(NextHop):
        async def __call__(self, added, *, blind=False):
            raise Crash

    mail = beyond(message(people(250)), 150)
    assert (await make().receive(mail, Crashing())).code == 451
    assert await make().receive(mail, NextHop()) is TAKEN
    assert sorted(each["state"] for each in rows(store, batches)) == ["passing", "released"]
    assert store.call(partial(cleanup.forget_unsealed, before=9e9)) == 1
    assert [each["state"] for each in rows(store, batches)] == ["released"]
    (mailing,) = store.call(views.list_mailings)
    assert mailing.sender == "clerk@doa.example.gov" and len(waiting(store)) == 1


async def test_a_database_that_is_away_when_the_first_part_is_taken_is_waited_for(make, store, monkeypatch):  # noqa: F811
    real, failures = store.run, iter([StoreError("away")] * 3)

    class Failing(NextHop):
        async def __call__(self, added, *, blind=False):
            monkeypatch.setattr(store, "run", run)
            return await super().__call__(added, blind=blind)

    async def run(work):
        for error in failures:
            raise error
        return await real(work)

    monkeypatch.setattr("gatekeeper.pipeline.in_parts._AGAIN_SECONDS", 0.01)
    hop = Failing()
    assert await make().receive(beyond(message(people(250)), 150), hop) is TAKEN
    assert len(hop.added) == len(waiting(store)) == 1


async def test_without_the_database_nobody_is_left_out(make, store, monkeypatch):  # noqa: F811
    async def fail(*given):
        raise StoreError("a fault that a test makes")

    hop = NextHop()
    monkeypatch.setattr(store, "decide", fail)
    assert (await make(outage_allowance=900).receive(beyond(message(people(9)), 5), hop)).code == 451
    assert hop.added == []


async def test_nothing_is_left_of_it_where_it_ends_as_ordinary_mail(make, store):  # noqa: F811
    await make().receive(beyond(message(people(150)), 50), NextHop())
    (job,) = store.call(partial(jobs.lease, now=9e9, seconds=0, limit=50))
    answers = dict.fromkeys(range(50), (RecipientState.SENT, "250 ok"))

    def end(connection):
        jobs.record_answers(connection, job.batch_id, answers, 1.0)
        assert jobs.close_batch_if_done(connection, job.batch_id)
        jobs.finish(connection, job)

    store.call(end)
    assert store.call(partial(cleanup.forget_passed, now=9e9)) == 1
    assert rows(store, batch_recipients) == []
    (mailing,) = rows(store, mailings)
    assert (mailing["sender"], mailing["relayed"]) == (None, 150)


async def test_a_permit_that_is_revoked_while_the_first_part_is_at_the_next_hop_stops_the_rest(
    make,  # noqa: F811
    store,
    tmp_path,
):
    letterhead = Letterhead(parse_ruleset(RULES, "rules.yaml", tmp_path), "gate.example.gov")
    everyone = people(2600)
    await make().receive(message(everyone[:2400], subject="enrolment"), NextHop())
    service = LedgerService(store, letterhead)
    service.approve(1, "cio@example.gov", terms=Terms(max_users=5000))
    revoking = []

    class Revoking(NextHop):
        async def __call__(self, added, *, blind=False):
            work = asyncio.to_thread(service.revoke, 1, "cio@example.gov", "changed my mind")
            revoking.append(asyncio.create_task(work))  # it waits for what is on its way
            async with asyncio.timeout(10):
                while not held(store):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            return await super().__call__(added, blind=blind)

    hop = Revoking()
    answer = await make().receive(beyond(message(everyone[2400:], subject="enrolment"), 100), hop)
    assert answer is TAKEN and len(hop.added) == 1
    effect = (await revoking[0]).stopped
    assert (effect.stopped, effect.sent) == (2500, 100)
    states = sorted((each["state"], each["recipients"]) for each in rows(store, batches))
    assert states == [("held", 100), ("held", 2400)]
    assert [each.state for each in held(store)] == ["held"]
