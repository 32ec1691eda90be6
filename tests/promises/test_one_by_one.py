"""2,300 messages of one recipient each are one mailing: 2,000 people get it, the rest is held with it (M1)."""

from __future__ import annotations

from functools import partial

import pytest

from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from gatekeeper.smtp.replies import reply
from gatekeeper.store import views
from tests.peers.gate import RULES
from tests.store.arrivals import NOON, people

TEXT = (
    "the benefits office opens enrolment for all employees on monday. please choose a health plan, a dental plan\r\n"
    "and your beneficiaries before the end of the month; whoever does not choose keeps the plan of last year.\r\n"
)


class Reached:
    """A next hop that remembers to whom mail went."""

    def __init__(self):
        self.people = set()

    def relay(self, recipient):
        async def taken(added):
            self.people.add(recipient)
            return reply(250, "ok", "2.0.0")

        return taken


def personal(number, recipient):
    """Mail merge: a greeting, a Message-ID and a subject for each."""
    head = f"From: Benefits <head@doa.example.gov>\r\nTo: {recipient}\r\nMessage-ID: <{number}@doa.example.gov>\r\n"
    return "head@doa.example.gov", head + f"Subject: Open enrolment\r\n\r\nDear User {number},\r\n{TEXT}"


def personal_subject(number, recipient):
    """The subject names the recipient too: only the text says that it is one mailing."""
    head = f"From: Benefits <head@doa.example.gov>\r\nTo: {recipient}\r\nMessage-ID: <{number}@doa.example.gov>\r\n"
    word = "".join(chr(ord("a") + int(digit)) for digit in str(number))
    return "head@doa.example.gov", head + f"Subject: {word}, your plan\r\n\r\nDear User {number},\r\n{TEXT}"


def verp(number, recipient):
    _, content = personal(number, recipient)
    local, _, domain = recipient.partition("@")
    return f"enrolment-bounces+{local}={domain}@doa.example.gov", content


def verp_without_from(number, recipient):
    sender, content = verp(number, recipient)
    return sender, content.partition("\r\n")[2]


def null_sender(number, recipient):
    return "", personal(number, recipient)[1]


def two_lists(number, recipient):
    """One message, sent through two lists, each under its own envelope sender."""
    head = "From: editor@doa.example.gov\r\nTo: everybody@doa.example.gov\r\nMessage-ID: <1@doa.example.gov>\r\n"
    return f"list{number % 2}-bounces@doa.example.gov", head + f"Subject: Open enrolment\r\n\r\n{TEXT}"


def two_logins(number, recipient):
    """The same by two list servers that log in: two sources, and one Message-ID with one content."""
    return two_lists(number, recipient)


async def send_all(store, rules, make, number, limit):
    scaled = RULES.replace("over: 2000", f"over: {limit}").replace("over: 200}", f"over: {limit // 10}}}")
    rules.write_text(scaled)
    judging = Judging(rules, "enforce", 0, "", "gate.example.gov")
    now = NOON.timestamp()
    pipeline = Pipeline(judging, ActivePolicy(rules), store, clock=lambda: now)
    reached = Reached()
    for index, recipient in enumerate(people(number)):
        sender, content = make(index, recipient)
        transaction = Transaction(
            listener="smtp",
            client=Client("127.0.0.1", "mx.example.gov", "mx.example.gov"),
            sender=sender,
            recipients=(Recipient(recipient),),
            content=content.encode(),
            login=f"list{index % 2}@doa.example.gov" if make is two_logins else None,
            authenticated=True,
        )
        assert (await pipeline.receive(transaction, reached.relay(recipient))).code == 250
    return reached.people


WAYS = [personal, personal_subject, verp, verp_without_from, null_sender, two_lists, two_logins]


async def check(store, rules, make, limit):
    number = limit * 23 // 20
    reached = await send_all(store, rules, make, number, limit)
    mailing = store.call(partial(views.find_mailing, number=1))
    assert len(reached) == limit and mailing.state == "held"
    assert (mailing.counts.users, mailing.batches, mailing.reached_before) == (number, number - limit, limit)


@pytest.mark.parametrize("make", WAYS)
async def test_what_comes_one_by_one_stops_at_the_limit(tmp_path, store, make):
    await check(store, tmp_path / "rules.yaml", make, 100)


@pytest.mark.soak
@pytest.mark.parametrize("make", WAYS)
async def test_two_thousand_three_hundred_stop_at_two_thousand(tmp_path, store, make):
    await check(store, tmp_path / "rules.yaml", make, 2000)
