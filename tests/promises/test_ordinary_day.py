"""A day of machines' mail from shared senders, all with one legal disclaimer, holds nothing that is no mailing."""

from __future__ import annotations

import binascii
import random

import pytest

from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from gatekeeper.smtp.replies import reply
from gatekeeper.store import Database, Store, views
from tests.peers.gate import RULES
from tests.store.arrivals import NOON, people
from tests.store.databases import lay_out

DISCLAIMER = (
    "\r\n-- \r\nThis message and any attachment are confidential and intended solely for the addressee. If you have\r\n"
    "received it in error, notify the sender and delete it; any disclosure, copying or distribution is prohibited.\r\n"
)
SHARED = {"noreply@doa.example.gov", "tickets@doa.example.gov", "scanner@doa.example.gov", "root@doa.example.gov"}
WORDS = ("printer", "laptop", "badge", "payroll", "door", "vpn", "monitor", "keyboard", "account", "phone", "desk")
VERBS = ("fails", "stops", "blinks", "hangs", "needs", "lost", "wants", "opens", "closes", "waits", "repairs")


def password(rng, recipient):
    subject = "Your one-time password"
    return "noreply@doa.example.gov", subject, f"Your code is {rng.randrange(10**6):06d}. It is valid for ten minutes."


def ticket(rng, recipient):
    number, what = rng.randrange(10**6), f"{rng.choice(WORDS)} {rng.choice(VERBS)} {rng.choice(WORDS)}"
    text = f"Ticket {number} was opened: {what}, said {recipient}, since {rng.choice(WORDS)} {rng.choice(VERBS)}."
    return "tickets@doa.example.gov", f"[#{number}] {what}", text


def invitation(rng, recipient):
    organiser, what = f"clerk{rng.randrange(500)}@doa.example.gov", rng.choice(WORDS)
    text = f"{organiser} invites you to a review of the {what} at {rng.randrange(8, 17)}:00."
    return organiser, f"Invitation: {rng.choice(WORDS)} {what} review", text


def scan(rng, recipient):
    page = binascii.b2a_uu(rng.randbytes(45)).decode().rstrip()
    text = f"Scanned on {rng.choice(WORDS)}, {rng.randrange(1, 40)} pages."
    return "scanner@doa.example.gov", "", f"{text}\r\n\r\nbegin 644 scan.tif\r\n{page}\r\n`\r\nend\r\n"


def cron(rng, recipient):
    command = f"{rng.choice(WORDS)}-{rng.choice(VERBS)}"
    subject = f"Cron <root@{rng.choice(WORDS)}> {command}"
    return "root@doa.example.gov", subject, f"{command}: done, {rng.randrange(9**9)} rows"


KINDS = (password, ticket, invitation, scan, cron)


async def day(store, rules, text, number, seed):
    rules.write_text(text)
    pipeline = Pipeline(
        Judging(rules, "enforce", 0, "", "gate"), ActivePolicy(rules), store, clock=lambda: NOON.timestamp()
    )
    rng, passed, refused = random.Random(seed), 0, []

    async def relay(added):
        nonlocal passed
        passed += 1
        return reply(250, "ok", "2.0.0")

    for index, recipient in enumerate(people(number)):
        sender, subject, body = KINDS[index % len(KINDS)](rng, recipient)
        head = f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\nMessage-ID: <{index}@x>\r\n\r\n"
        transaction = Transaction(
            listener="smtp",
            client=Client("127.0.0.1", "app.example.gov", "app.example.gov"),
            sender=sender,
            recipients=(Recipient(recipient),),
            content=(head + body + DISCLAIMER).encode(),
            authenticated=True,
        )
        answer = await pipeline.receive(transaction, relay)
        refused += [sender] if not answer.ok else []
    return passed, refused


@pytest.fixture
def quick_store(tmp_path):
    store = Store(Database(lay_out(tmp_path / "gate.db"), 5))
    store.open()
    yield store
    store.close()


async def check_day(store, rules, number, limit, seed=20261122):
    scaled = RULES.replace("over: 2000", f"over: {limit}").replace("over: 200}", f"over: {limit // 10}}}")
    separate = f"mailing: {{source: sender, within: 24h, separate: [{', '.join(sorted(SHARED))}]}}"
    kept = scaled.replace("mailing: {source: sender, within: 24h}", separate)
    assert kept != scaled
    assert await day(store, rules, kept, number, seed) == (number, [])
    assert store.call(lambda c: views.list_mailings(c, state="held")) == []


async def check_day_without_separate(store, rules, number, limit, seed=20261122):
    """Passwords are one mailing: one subject and one text, to a fifth of all. So are scans of the same few words, which
    as mass mail are refused for want of a subject.
    """
    scaled = RULES.replace("over: 2000", f"over: {limit}").replace("over: 200}", f"over: {limit // 10}}}")
    passed, refused = await day(store, rules, scaled, number, seed)
    held = store.call(lambda c: views.list_mailings(c, state="held"))
    assert {(mailing.sender, mailing.subject) for mailing in held} <= {
        ("noreply@doa.example.gov", "Your one-time password")
    }
    assert passed == number - len(refused) - sum(mailing.batches for mailing in held)
    assert set(refused) <= {"scanner@doa.example.gov"}
    assert [mailing.counts.users for mailing in held] == [number // len(KINDS)]


async def test_with_separate_senders_nothing_is_held(tmp_path, quick_store):
    await check_day(quick_store, tmp_path / "rules.yaml", 500, 60)


async def test_without_them_only_what_is_one_mailing_is_held(tmp_path, quick_store):
    await check_day_without_separate(quick_store, tmp_path / "rules.yaml", 500, 60)


@pytest.mark.soak
async def test_twenty_thousand_with_separate_senders(tmp_path, quick_store):
    await check_day(quick_store, tmp_path / "rules.yaml", 20_000, 2000)


@pytest.mark.soak
async def test_twenty_thousand_without_them(tmp_path, quick_store):
    await check_day_without_separate(quick_store, tmp_path / "rules.yaml", 20_000, 2000)
