"""Replies and reports about mail that the gate has passed are not counted; on SQLite and on Postgres."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import select, update

from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from gatekeeper.store import views
from gatekeeper.store.db.schema import mailings
from tests.pipeline.test_pipeline import NextHop
from tests.server.test_automatic import FEW, STATUS, reply, report
from tests.store.arrivals import NOON, people

LIST = "news-bounces+one=example.org@lists.example.gov"


class Scene:
    """A gate at a time of ours."""

    def __init__(self, store, folder, rules=FEW):
        self.store, self.now = store, NOON.timestamp()
        path = folder / "rules.yaml"
        path.write_text(rules)
        judging = Judging(path, "enforce", 0, "", "gate.example.gov")
        self.pipeline = Pipeline(judging, ActivePolicy(path), store, clock=lambda: self.now)

    async def take(self, lines, sender, to, **more):
        content = "".join(f"{line}\r\n" for line in lines).encode()
        client = Client("192.0.2.1", "mx.example.gov", "mx.example.gov")
        recipients = tuple(map(Recipient, to))
        transaction = Transaction("smtp", client, sender, recipients, content, authenticated=True, **more)
        return (await self.pipeline.receive(transaction, NextHop())).text

    async def write(self, author, number, sender=None, to=("one@example.org",), **more):
        """Somebody's own mail; returns its Message-ID."""
        lines = [f"From: {author}", f"Subject: matter {number}", f"Message-ID: <{number}@x>", "", f"About {number}"]
        await self.take(lines, author if sender is None else sender, to, **more)
        return f"{number}@x"

    def counted(self):
        """Mailings that are mass or held, with their users."""
        return sorted(mailing.counts.users for mailing in self.store.call(partial(views.list_mailings)))


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path)


@pytest.mark.parametrize("answer", ["a reply", "a report"])
async def test_answers_to_mail_that_passed_are_not_counted(scene, answer):
    for number, person in enumerate(people(30)):
        about = await scene.write(person, number)
        lines = reply(about) if answer == "a reply" else report("delivery-status", STATUS, about)
        assert "queued" in await scene.take(lines, "", [person])
    assert scene.counted() == []


async def test_an_answer_goes_to_whom_its_cause_came_from(scene):
    """Who has one message of many people's cannot answer all others with it."""
    about = await scene.write("user0@doa.example.gov", 1)
    said = [await scene.take(reply(about), "", [person]) for person in people(30)]
    assert ["queued" in each for each in said] == [True] * 21 + [False] * 9
    assert scene.counted() == [29]  # all but the one who wrote


async def test_reports_go_to_mail_from_where_that_is_another_than_from(scene):
    """VERP, applications, and logins that are no mailbox."""
    for number, person in enumerate(people(30)):
        about = await scene.write("editor@doa.example.gov", number, sender=person)
        assert "queued" in await scene.take(report("delivery-status", STATUS, about), "", [person])
        about = await scene.write(person, f"login{number}", login="jdoe")
        assert "queued" in await scene.take(reply(about), "", [person])
    assert scene.counted() == []


async def test_aliases_and_case_make_no_difference(scene):
    about = await scene.write("Jo+tag@DOA.example.gov", 1)
    for person in ("jo@doa.example.gov", "JO+tag@doa.example.gov"):
        await scene.take(reply(about), "", [person])
    for person in people(20):
        assert "queued" in await scene.take(reply(), "", [person])
    assert scene.counted() == [20]


async def test_what_answers_mail_that_never_left_is_counted(scene):
    about = await scene.write("head@doa.example.gov", 1, to=people(30))
    assert scene.counted() == [30]
    await scene.take(reply(about), "", ["head@doa.example.gov"])
    for person in people(20):
        await scene.take(reply(), "", [person])
    assert scene.counted() == [21, 30]


async def test_that_a_mailing_counts_people_says_nothing_of_whether_it_has_left(store, scene):
    """A successor counts whom the closed mailing before it has reached; mail that joins it and is held has not left."""
    about = await scene.write("jo@doa.example.gov", 1)
    store.call(lambda connection: connection.execute(update(mailings).values(relayed=0)))
    for _ in range(2):
        await scene.take(reply(about), "", ["jo@doa.example.gov"])
    found = store.call(lambda connection: connection.execute(select(mailings.c.id).where(mailings.c.id != 1)).all())
    assert found, "the answer is counted, in a mailing of its own"


async def test_a_resend_of_a_kept_answer_is_no_second_copy(scene):
    for person in people(20):
        await scene.take(reply(), "", [person])
    first = await scene.take(reply(), "", ["last@doa.example.gov"])
    assert "Held" in first and await scene.take(reply(), "", ["last@doa.example.gov"]) == first
    (mailing,) = scene.store.call(partial(views.list_mailings))
    assert (mailing.counts.users, mailing.batches) == (21, 1)
