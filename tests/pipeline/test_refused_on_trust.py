"""Recipients whom the next hop refused after their client was told that they are taken (--rcpt trust)."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes
from functools import partial

import pytest

from gatekeeper.model import Recipient, Refusal
from gatekeeper.smtp.replies import reply
from gatekeeper.store import StoreError, jobs
from tests.pipeline.test_pipeline import TAKEN, NextHop, make, message, queued, rules  # noqa: F401 - fixtures
from tests.store.arrivals import people

REFUSED = (
    Refusal(Recipient("gone@example.org"), "550 5.1.1 no such user"),
    Refusal(Recipient("full@example.org", ("NOTIFY=FAILURE",)), "552 5.2.2 mailbox full"),
    Refusal(Recipient("quiet@example.org", ("NOTIFY=NEVER",)), "550 5.1.1 no such user"),
)


def refused_of(transaction, *refused):
    return replace(transaction, refused=refused or REFUSED)


def reports(store):
    return [job for job in store.call(partial(jobs.lease, now=9e9, seconds=0, limit=50)) if job.kind == jobs.DSN]


async def test_the_sender_gets_one_report_which_is_kept_before_the_message_is_passed_on(make, store):  # noqa: F811
    class Looking(NextHop):
        async def __call__(self, added, *, blind=False):
            assert queued(store) == ["dsn"]
            return await super().__call__(added, blind=blind)

    assert await make().receive(refused_of(message(people(1))), Looking()) is TAKEN
    (report,) = reports(store)
    assert report.recipient == "clerk@doa.example.gov"
    told = message_from_bytes(report.content)
    assert told["To"] == "<clerk@doa.example.gov>" and told.get_content_type() == "multipart/report"
    text = report.content.decode()
    assert "gone@example.org: 550 5.1.1 no such user" in text and "full@example.org" in text
    assert "Status: 5.1.1" in text and "Status: 5.2.2" in text and "quiet@example.org" not in text


@pytest.mark.parametrize(
    ("sender", "refused"), [("", REFUSED), ("clerk@doa.example.gov", REFUSED[2:])], ids=["null sender", "NOTIFY=NEVER"]
)
async def test_who_wants_no_report_gets_none(make, store, sender, refused):  # noqa: F811
    transaction = refused_of(message(people(1), sender=sender), *refused)
    assert await make().receive(transaction, NextHop()) is TAKEN
    assert queued(store) == []


async def test_a_client_that_sends_again_brings_no_second_report(make, store):  # noqa: F811
    pipeline, later = make(), reply(451, "later", "4.4.2")
    assert await pipeline.receive(refused_of(message(people(1))), NextHop(later)) is later
    assert await pipeline.receive(refused_of(message(people(1))), NextHop()) is TAKEN
    assert queued(store) == ["dsn"]


async def test_those_of_a_held_message_are_reported_at_once_and_not_kept(make, store):  # noqa: F811
    answer = await make().receive(refused_of(message(people(2600), subject="enrolment")), NextHop())
    assert "Held for approval as M-1" in answer.text
    assert sorted(queued(store)) == ["dsn", "notice"]
    (report,) = reports(store)
    assert b"M-1" in report.content and b"gone@example.org" in report.content


async def test_those_of_a_refused_message_are_not_reported_as_its_client_is_told_of_all(make, store):  # noqa: F811
    visible = b"To: " + ", ".join(people(300)).encode() + b"\r\n\r\nhello\r\n"
    answer = await make().receive(refused_of(message(people(300), subject="", rest=visible)), NextHop())
    assert answer.code == 550 and queued(store) == []


async def test_without_a_place_for_the_report_nothing_is_passed_on(make, store, monkeypatch):  # noqa: F811
    """Not even by --outage-allowance: nobody would learn of those who were refused."""
    hop, pipeline = NextHop(), make(outage_allowance=100)

    async def fail(work):
        raise StoreError("a fault that a test makes")

    monkeypatch.setattr(store, "run", fail)
    assert (await pipeline.receive(refused_of(message(people(1))), hop)).code == 451
    monkeypatch.setattr(store, "decide", lambda *given: fail(None))
    assert (await pipeline.receive(refused_of(message(people(1), subject="other")), hop)).code == 451
    assert hop.added == []
    assert await pipeline.receive(message(people(1), subject="whole"), hop) is TAKEN


async def test_those_who_were_refused_are_not_counted(make, store):  # noqa: F811
    seen = []
    pipeline = make()
    pipeline.report = seen.append
    inside = tuple(Refusal(Recipient(address), "550 5.1.1 no") for address in people(5000, start=10))
    await pipeline.receive(refused_of(message(people(3)), *inside), NextHop())
    assert seen[0].outcome.counts.users == 3
