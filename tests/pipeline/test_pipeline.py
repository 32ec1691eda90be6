"""The line that every message goes through, with a real store behind it and a relay that a test looks at."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import select, update

from gatekeeper import notices
from gatekeeper.message import read_facts
from gatekeeper.model import Client, Place, Recipient, Refusal, Transaction
from gatekeeper.outbox.letterhead import once_name
from gatekeeper.pipeline.outage import Outage
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.pipeline.reading import _has_long_header
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from gatekeeper.smtp.replies import reply
from gatekeeper.store import Database, Store, StoreError, jobs, views
from gatekeeper.store.db.schema import batches, mailings
from gatekeeper.store.db.schema import jobs as job_rows
from tests.peers.gate import RULES
from tests.store.arrivals import people

TAKEN = reply(250, "queued as 17", "2.0.0")
PDF = (
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n"
    b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n%PDF\r\n--b--\r\n"
)


class NextHop:
    """What `relay` is: it keeps the header that it is given and whether a list is hidden, and answers."""

    def __init__(self, answer=TAKEN, pause=0.0):
        self.answer, self.pause, self.added, self.hidden = answer, pause, [], []

    async def __call__(self, added, *, blind=False):
        await asyncio.sleep(self.pause)
        self.added.append(added)
        self.hidden.append(blind)
        return self.answer


def message(recipients, sender="clerk@doa.example.gov", subject="lunch", rest=b"\r\nHello\r\n", **more):
    head = f"From: {sender or 'clerk@doa.example.gov'}\r\nMessage-ID: <{subject}@x>\r\n"
    head += f"Subject: {subject}\r\n" if subject else ""
    return Transaction(
        listener="smtp",
        client=Client("127.0.0.1", "mx.example.gov", "mx.example.gov"),
        sender=sender,
        recipients=tuple(Recipient(address, more.get("parameters", ())) for address in recipients),
        content=head.encode() + rest,
        authenticated=True,
    )


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture
def make(store, rules):
    def make(**changes):
        judging = {"rules": rules, "mode": "enforce", "outage_allowance": 0, "public_url": "", "hostname": "gate"}
        return Pipeline(Judging(**judging | changes), ActivePolicy(rules), store)

    return make


def held(store):
    return store.call(partial(views.list_mailings, state="held"))


def queued(store):
    return [job["kind"] for job in store.call(jobs.waiting_jobs)]


async def test_ordinary_mail_gets_the_next_hops_reply_and_a_received_field(make, store):
    hop = NextHop()
    assert await make().receive(message(people(1)), hop) is TAKEN
    (added,) = hop.added
    assert added.startswith(b"Received: from mx.example.gov (mx.example.gov [127.0.0.1])") and added.count(b"\r\n") == 3
    assert queued(store) == []


async def test_the_next_hops_refusal_is_ours(make):
    refusal = reply(554, "no", "5.7.1")
    assert await make().receive(message(people(1)), NextHop(refusal)) is refusal


async def test_mass_mail_over_both_limits_is_held_and_its_sender_told_once(make, store):
    """Clause M1; a 250's text is read by nobody, so the sender gets a notice, and one however many batches."""
    hop, pipeline = NextHop(), make(public_url="https://gate.example.gov/")
    for start in (0, 2400):
        answer = await pipeline.receive(message(people(2400, start=start), subject="enrolment"), hop)
        assert answer.code == 250 and "Held for approval as M-1: not sent yet, " in answer.text
        assert "do not resend; https://gate.example.gov/mailings/M-1" in answer.text
    assert hop.added == [] and queued(store) == ["notice"]
    assert [(mailing.counts.users, mailing.batches) for mailing in held(store)] == [(4800, 2)]


async def test_a_refusal_says_everything_at_once(make, store):
    """Clause C9."""
    visible = b"To: " + ", ".join(people(300)).encode() + b"\r\n\r\nhello\r\n"
    answer = await make().receive(message(people(300), subject="", rest=visible), NextHop())
    assert answer.code == 550 and answer.text.endswith("(subject, blind-copy)") and "Add a subject line" in answer.text
    assert store.call(views.list_mailings) == []


async def test_a_warning_is_relayed_with_a_header_and_one_notice(make, store):
    """Clause C9: attachments are to be avoided."""
    hop, pipeline = NextHop(), make()
    for _ in range(2):
        assert await pipeline.receive(message(people(300), rest=PDF), hop) is TAKEN
    assert all(b"\r\nX-Gatekeeper-Warning: " in added for added in hop.added) and queued(store) == ["notice"]


async def test_a_notice_that_cannot_be_made_changes_no_reply(make, monkeypatch):
    def fail(*_):
        raise FileNotFoundError("no template")

    monkeypatch.setattr(notices, "warning_notice", fail)
    monkeypatch.setattr(notices, "held_notice", fail)
    pipeline = make()
    assert await pipeline.receive(message(people(300), rest=PDF), NextHop()) is TAKEN
    assert (await pipeline.receive(message(people(2400), subject="b"), NextHop())).code == 250


@pytest.mark.parametrize(
    "change",
    [
        {"sender": ""},
        {"parameters": ("NOTIFY=NEVER",)},
        {"rest": b"List-Id: <staff.example.gov>\r\n\r\nhello\r\n"},
        {"sender": "someone@example.org"},
    ],
    ids=["null sender", "NOTIFY=NEVER", "a list", "an outsider"],
)
async def test_who_is_not_told(make, store, change):
    answer = await make().receive(message(people(2400), **change), NextHop())
    assert answer.code == 250 and queued(store) == [] and len(held(store)) == 1


async def test_a_fault_of_the_report_costs_no_reply(make, caplog):
    """A client that heard of a fault would send again what the next hop has already."""

    def broken(run):
        raise ZeroDivisionError

    hop, pipeline = NextHop(), make()
    pipeline.report = broken
    assert await pipeline.receive(message(people(1)), hop) is TAKEN
    assert len(hop.added) == 1 and "not reported" in caplog.text


async def test_observing_relays_and_counts_what_enforcing_would_hold(make, store):
    hop = NextHop()
    assert await make(mode="observe").receive(message(people(2400)), hop) is TAKEN
    assert await make(mode="observe").receive(message(people(300), subject=""), hop) is TAKEN
    assert len(hop.added) == 2 and held(store) == [] and queued(store) == []


@pytest.mark.parametrize("how", ["enforces", "by setting", "for a time", "for its agency"])
async def test_where_the_gate_observes_nothing_is_hidden(make, rules, how):
    """However it came to observe, the message passes as it came."""
    text = rules.read_text().replace("then: reject\n    say: Move", "then: warn\n    repair: blind\n    say: Move")
    rules.write_text(text + ("enforce: [DPHHS]\n" if how == "for its agency" else ""))
    hop, pipeline = NextHop(), make(mode="observe" if how == "by setting" else "enforce")
    pipeline.mode.until = time.time() + 60 if how == "for a time" else 0.0
    visible = b"To: " + ", ".join(people(300)).encode() + b"\r\n\r\nhello\r\n"
    assert await pipeline.receive(message(people(300), rest=visible), hop) is TAKEN
    assert hop.hidden == [how == "enforces"]


@pytest.mark.parametrize("url", ["sqlite:////nowhere/gate.db", "postgresql://postgres@127.0.0.1:1/gate"])
async def test_without_the_database_nothing_is_acknowledged(make, url):
    hop, pipeline = NextHop(), make()
    pipeline.store = Store(Database(url, 0.3))
    for number in (1, 2400):
        answer = await pipeline.receive(message(people(number)), hop)
        assert str(answer).startswith("451 4.3.0")
    assert hop.added == []


@pytest.mark.parametrize("rotates", ["From", "MAIL FROM"])
async def test_an_outage_allowance_is_one_however_names_rotate(make, store, rotates):
    """Promise 10: no wish of a sender makes it smaller."""
    pipeline, hop = make(outage_allowance=5), NextHop()
    pipeline.store = Store(Database("sqlite:////nowhere/gate.db", 0.3))
    for number in range(9):
        other, stays = f"a{number}@doa.example.gov", "clerk@doa.example.gov"
        author, sender = (other, stays) if rotates == "From" else (stays, other)
        came = message(people(1), sender=author)
        await pipeline.receive(replace(came, sender=sender), hop)
    assert len(hop.added) == 5


async def test_an_outage_allowance_lets_small_mail_pass_and_mass_mail_never(make, store):
    pipeline, hop = make(outage_allowance=5), NextHop()
    pipeline.store = Store(Database("sqlite:////nowhere/gate.db", 0.3))
    assert await pipeline.receive(message(people(3)), hop) is TAKEN
    assert (await pipeline.receive(message(people(3)), hop)).code == 451  # six people of one source in an hour
    assert (await pipeline.receive(message(people(3), sender="b@doa.example.gov"), hop)) is TAKEN
    wide = make(outage_allowance=100_000)
    wide.store = pipeline.store
    assert (await wide.receive(message(people(300)), hop)).code == 451  # mass mail
    assert len(hop.added) == 2


@pytest.fixture
def rules_with_scope(rules):
    outside = '  MUS: {name: University, domains: ["*.univ.example.edu"]}\nscope: {except: [MUS]}\npeople:\n'
    rules.write_text(RULES.replace("people:\n", outside, 1))
    return rules


async def test_senders_outside_the_scope_are_relayed_and_their_recipients_counted(store, rules_with_scope):
    """Clause M9."""
    rules = rules_with_scope
    pipeline = Pipeline(Judging(rules, "enforce", 0, "", "gate"), ActivePolicy(rules), store)
    hop = NextHop()
    assert await pipeline.receive(message(people(2400), sender="dean@cs.univ.example.edu"), hop) is TAKEN
    students = people(2400, "cs.univ.example.edu", "doa.example.gov")
    assert "Held" in (await pipeline.receive(message(students), hop)).text


@pytest.mark.parametrize(
    ("octets", "beside"),
    [(100, False), (7_000, False), (9_000, True), (60_000, True)],
)
async def test_a_long_header_is_read_beside_the_loop(make, monkeypatch, octets, beside):
    """Whatever is in it, other clients are served meanwhile."""
    read_in = []

    def read(content):
        read_in.append(threading.current_thread())
        return read_facts(content)

    monkeypatch.setattr("gatekeeper.pipeline.reading.read_facts", read)
    pipeline = make()
    lines = b"X-Long: " + b"a\r\n " * (octets // 4)
    await pipeline.receive(message(people(2), rest=lines + b"a\r\n\r\nHello\r\n"), NextHop())
    assert [thread is not threading.main_thread() for thread in read_in] == [beside]


async def test_what_is_decided_again_and_again_while_it_is_stored_is_put_off_in_the_end(make, store, monkeypatch):
    """Each time somebody else decides about its mailing first; nothing is acknowledged that is not stored."""
    kept = []

    async def lost(arrival, batch):
        kept.append(batch)
        return False

    monkeypatch.setattr(store, "keep", lost)
    answer = await make().receive(message(people(2400), subject="enrolment"), NextHop())
    assert str(answer).startswith("451 4.3.0") and len(kept) > 1


async def test_what_is_decided_again_once_is_kept_the_second_time(make, store, monkeypatch):
    real, tries = store.keep, []

    async def lost_once(arrival, batch):
        tries.append(batch)
        return await real(arrival, batch) if len(tries) > 1 else False

    monkeypatch.setattr(store, "keep", lost_once)
    assert "Held" in (await make().receive(message(people(2400), subject="enrolment"), NextHop())).text
    assert len(tries) == 2


async def test_of_each_ordinary_mailing_that_is_warned_of_the_sender_is_told_once(make, store, rules):
    """They have no number by which one could be told from another."""
    rules.write_text(RULES.replace("when: {mass: true, attachments", "when: {attachments"))
    for subject, text in (("lunch", b"sandwiches by the river"), ("budget", b"figures for the coming year")):
        for start in (0, 5):
            await make().receive(
                message(people(3, start=start), subject=subject, rest=PDF.replace(b"hi", text).replace(b"%PDF", text)),
                NextHop(),
            )
    assert queued(store) == ["notice", "notice"]


@pytest.mark.parametrize("id", ["M-1", "1"], ids=["by number", "by key"])
async def test_a_notice_that_an_earlier_program_queued_is_not_queued_again(make, store, id):
    """Programs have named notices by the number of the mailing, and by its key: nodes are upgraded in mid-mailing."""
    await make().receive(message(people(300), rest=PDF), NextHop())
    name = once_name("warning", id, "clerk@doa.example.gov")
    store.call(lambda connection: connection.execute(update(job_rows).values(once=name)))
    await make().receive(message(people(300, start=300), rest=PDF), NextHop())
    assert queued(store) == ["notice"]


@pytest.mark.parametrize(("days", "again"), [(4.9, True), (5.1, False)])
async def test_what_was_sent_is_known_again_for_as_long_as_an_mta_tries(make, store, days, again):
    """Five days (RFC 5321 4.5.4.1): later the same message is another one."""
    taken, at = message(people(2400), subject="enrolment"), time.time()
    pipeline = make()
    pipeline.clock = lambda: at
    await pipeline.receive(taken, NextHop())
    store.call(lambda c: c.execute(update(batches).values(state="sent")))
    store.call(lambda c: c.execute(update(mailings).values(state="released")))
    pipeline.clock = lambda: at + days * 86_400
    hop = NextHop()
    assert ("M-1" in (await pipeline.receive(taken, hop)).text) is again and hop.added == []
    assert len(store.call(partial(views.list_mailings))) == (1 if again else 2)


@pytest.fixture
def told(monkeypatch):
    """What the pipeline logs: each line's subject and fields."""
    lines = []
    monkeypatch.setattr(
        "gatekeeper.pipeline.pipeline.event", lambda subject, fields, *_: lines.append((subject, dict(fields)))
    )
    return lines


async def test_a_line_about_a_transaction_names_it_as_its_own_line_does(make, told):
    """So that a passage id finds everything that was logged of it."""
    runs, pipeline = [], make()
    pipeline.report = runs.append
    refused = replace(message(people(3)), refused=(Refusal(Recipient("x@example.org"), "550 nobody"),))
    await pipeline.receive(refused, NextHop())
    await pipeline.receive(replace(message(people(9), subject="parts"), beyond=4), NextHop())
    assert told == [
        ("recipients refused by the next hop", {"id": runs[0].id, "nrcpt": 1}),
        ("sent on in parts", {"id": runs[1].id, "nrcpt": 4}),
    ]

    def fail(run):
        runs.append(run)
        raise RuntimeError("no disk for the log")

    pipeline.report = fail
    assert await pipeline.receive(message(people(1), subject="reported"), NextHop()) is TAKEN
    assert told[2] == ("not reported", {"id": runs[2].id})


async def test_the_notice_of_what_is_held_is_of_its_kind(make, store, told, monkeypatch):
    await make().receive(message(people(2400), subject="enrolment"), NextHop())
    assert queued(store) == ["notice"]
    (named,) = store.call(lambda c: c.execute(select(job_rows.c.once)).scalars().all())
    assert named.startswith("held:"), "by which another node knows it"

    def fail(*_, **__):
        raise StoreError("away")

    monkeypatch.setattr("gatekeeper.outbox.to_senders.queue_held_notice", fail)
    runs, pipeline = [], make()
    pipeline.report = runs.append
    await pipeline.receive(message(people(2400, start=3000), subject="picnic"), NextHop())
    assert told == [("a notice was not queued", {"id": runs[0].id, "notice": "held"})]


async def test_without_a_decision_the_line_says_why(make, store, monkeypatch):
    runs, pipeline = [], make()
    pipeline.report = runs.append

    async def decide(*given):
        raise next(errors)

    monkeypatch.setattr(store, "decide", decide)
    errors = iter([StoreError("the disk is away"), TimeoutError()])
    for said in ("the disk is away", "no decision in time"):
        answer = await pipeline.receive(message(people(1)), NextHop())
        assert answer.code == 451 and runs.pop().failure == said


def test_an_outage_allowance_begins_anew_with_each_hour():
    outage, one, other = Outage(5), Place("a@doa.example.gov"), Place("b@doa.example.gov")
    assert outage.admits([one], 5, 7_200.0) and not outage.admits([one], 1, 10_799.0)
    assert outage.admits([other], 5, 10_799.0) and not outage.admits([one, other], 1, 10_799.0)
    assert outage.admits([one], 5, 10_800.0) and not outage.admits([one], 1, 10_801.0)


@pytest.mark.parametrize(("before", "long"), [(8_187, False), (8_188, False), (8_189, True), (20_000, True)])
def test_where_a_header_begins_to_be_long(before, long):
    """It is 8192 octets, its empty line with them; of no message without a header."""
    content = b"X: " + b"a" * (before - 3) + b"\r\n\r\n" + b"b" * 9_000
    assert _has_long_header(content) is long
    assert not _has_long_header(b"\r\n\r\n" + b"b" * 9_000)
