"""Mail that comes cut up waits until it is whole, and leaves whole or not at all."""

from __future__ import annotations

import asyncio
import email
import itertools
import json
from functools import partial

import pytest

from gatekeeper.audit.record import Frame, Record
from gatekeeper.audit.recorder import Auditor
from gatekeeper.audit.replay import Replayer
from gatekeeper.background.gathering import GatherRunner
from gatekeeper.ledger.service import LedgerService
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.policy.mode import Mode
from gatekeeper.settings import Judging
from gatekeeper.store import audit_chain, gathering, jobs, views
from tests.peers.gate import RULES
from tests.pipeline.test_pipeline import PDF, TAKEN, NextHop, message
from tests.store.arrivals import NOON, people

GATHER = "mailing: {source: sender, within: 24h, gather: {at: [50, 100], quiet: 20s, limit: 5m}}\n"


class Gate:
    """A pipeline, its gathers, and the time."""

    def __init__(self, store, rules):
        self.now = NOON.timestamp()
        self.rules, self.store, self.hop = rules, store, NextHop()
        self.active_policy = ActivePolicy(rules)
        judging = Judging(rules, "enforce", 0, "", "gate.example.gov")
        self.pipeline = Pipeline(judging, self.active_policy, store, clock=self.clock)
        self.gathers = GatherRunner(self.active_policy, store, self.letterhead, clock=self.clock)
        self.service = LedgerService(store, self.letterhead(), self.clock)

    def clock(self):
        return self.now

    def letterhead(self):
        return Letterhead(self.active_policy.current.ruleset, "gate.example.gov")

    async def send(self, recipients, **more):
        return await self.pipeline.receive(message(recipients, **more), self.hop)

    async def cut(self, everyone, size, **more):
        cuts = [everyone[start : start + size] for start in range(0, len(everyone), size)]
        return [await self.send(cut, **more) for cut in cuts]

    async def pass_time(self, seconds):
        self.now += seconds
        await self.gathers.end_due()

    def mailing(self, number=1):
        return self.store.call(partial(views.find_mailing, number=number))

    def queued(self):
        leased = self.store.call(partial(jobs.lease, now=self.now, seconds=1, limit=500))
        return [job.kind for job in leased]


@pytest.fixture
def gate(store, tmp_path):
    rules = tmp_path / "rules.yaml"
    lines = [GATHER if line.startswith("mailing:") else line for line in RULES.splitlines(keepends=True)]
    rules.write_text("".join(lines).replace("users: {over: 2000}", "users: {over: 400}"))
    return Gate(store, rules)


WATCHED = (
    "  - {id: all-day, mode: observe, when: {sender_users: {over: 400, within: 24h}}, then: hold, say: Much mail.}\n"
)


async def test_what_else_its_sender_wrote_that_day_is_no_part_of_a_gathered_mailing(gate):
    gate.rules.write_text(gate.rules.read_text() + WATCHED)
    gate.active_policy.reload()
    await gate.send(people(300), subject="Minutes")
    await gate.cut([f"other{number}@dphhs.example.gov" for number in range(200)], 50, subject="Agenda")
    await gate.pass_time(30)
    agenda = gate.mailing(2)
    assert (agenda.state, agenda.counts.users) == ("open", 200)
    assert gate.queued().count("release") == 4


async def test_many_in_cuts_of_fifty_are_one_mailing_and_none_of_it_leaves(gate):
    replies = await gate.cut(people(600), 50)
    assert str(replies[0]) == "250 2.0.0 M-1 not sent yet: counting recipients, up to 5 minutes; do not resend"
    assert "Held for approval as M-1" in replies[-1].text and gate.hop.added == []
    mailing = gate.mailing()
    assert (mailing.state, mailing.counts.users, mailing.batches, mailing.sent) == ("held", 600, 12, 0)
    gate.service.approve(1, "cio@example.gov")
    assert gate.queued().count("release") == 12


async def test_what_stays_below_the_limit_is_sent_when_all_has_been_quiet(gate):
    everyone = people(390)
    await gate.cut(everyone[:200], 50)
    await gate.pass_time(19)
    await gate.cut(everyone[200:], 50)  # the last one is smaller, and joins
    assert gate.mailing().state == "gathering" and gate.queued() == []
    await gate.pass_time(19)
    assert gate.mailing().state == "gathering"
    await gate.pass_time(2)
    mailing = gate.mailing()
    assert (mailing.state, mailing.counts.users, mailing.batches) == ("open", 390, 8)
    assert gate.hop.added == [] and gate.queued().count("release") == 8


async def test_a_gather_ends_at_its_limit_however_busy_it_is(gate):
    everyone = people(370)
    for start in range(0, 285, 15):
        await gate.send(everyone[start : start + 100])
        await gate.pass_time(17)
    assert gate.mailing().batches == 19 and gate.queued().count("release") >= 17


async def test_other_mail_is_not_delayed(gate):
    await gate.send(people(50), subject="news")
    assert await gate.send(people(3), subject="lunch", sender="b@doa.example.gov") is TAKEN
    assert await gate.send(people(49), subject="dinner") is TAKEN


async def test_after_what_was_sent_only_what_stays_within_the_limit_follows(gate):
    everyone = people(600)
    await gate.cut(everyone[:350], 50)
    await gate.pass_time(21)
    assert gate.mailing().state == "open"
    replies = await gate.cut(everyone[350:], 50)
    assert "M-1 not sent yet: counting" in replies[0].text and "Held for approval" in replies[1].text
    mailing = gate.mailing()
    assert (mailing.state, mailing.counts.users, mailing.reached_before) == ("held", 600, 350)
    states = [batch.state for batch in gate.service.show(1).batches]
    assert states.count("released") == 7 and states.count("held") == 5


async def test_a_reject_that_is_only_known_at_the_end_is_one_report_with_all_reasons(gate):
    """Clause C9: it became mass mail only with the fifth batch, and has neither a subject nor a blind list."""
    to = b"To: " + ", ".join(people(21)).encode() + b"\r\n\r\nhello there\r\n"
    head = {"subject": "", "rest": b"Message-ID: <1@doa.example.gov>\r\n" + to}
    everyone = people(250)
    for start in range(0, 200, 50):
        assert (await gate.send(everyone[start : start + 50], **head)).code == 250
    assert (await gate.send(everyone[200:], **head)).code == 550  # its own additions are taken back
    await gate.pass_time(1)
    assert gate.mailing().counts.users == 200 and gate.mailing().state == "denied"
    (dsn,) = gate.store.call(partial(jobs.lease, now=gate.now, seconds=1, limit=50))
    report = str(email.message_from_bytes(dsn.content))
    assert report.count("Final-Recipient:") == 200 and "(subject)" in report and "(blind-copy)" in report


async def test_rules_that_came_into_force_meanwhile_govern_the_end(gate):
    await gate.cut(people(200), 50)
    gate.rules.write_text(gate.rules.read_text().replace("users: {over: 400}", "users: {over: 150}"))
    gate.active_policy.reload()
    await gate.pass_time(21)
    assert (gate.mailing().state, gate.mailing().batches) == ("held", 4) and gate.queued() == ["notice"]


async def test_a_refusal_at_the_end_is_one_report_for_all_batches(gate):
    await gate.cut(people(200), 50, rest=PDF)
    gate.rules.write_text(
        gate.rules.read_text().replace("then: warn", "then: reject").replace("over: 200}", "over: 99}")
    )
    gate.active_policy.reload()
    await gate.pass_time(21)
    assert (gate.mailing().state, gate.mailing().sent) == ("denied", 0)
    (dsn,) = gate.store.call(partial(jobs.lease, now=gate.now, seconds=1, limit=50))
    report = email.message_from_bytes(dsn.content)
    assert dsn.kind == "dsn" and str(report).count("Final-Recipient:") == 200 and "(attachments)" in str(report)


async def test_a_warning_at_the_end_is_in_every_batch_and_told_once(gate):
    await gate.cut(people(200), 50, rest=PDF)
    gate.rules.write_text(gate.rules.read_text().replace("over: 200}", "over: 99}"))
    gate.active_policy.reload()
    await gate.pass_time(21)
    assert all(b"X-Gatekeeper-Warning" in batch.trace for batch in gate.service.show(1).batches)
    assert gate.queued().count("notice") == 1


async def test_of_two_that_end_a_gather_one_does(gate):
    await gate.cut(people(200), 50)
    second = GatherRunner(gate.active_policy, gate.store, gate.letterhead, clock=gate.clock)
    gate.now += 21
    await asyncio.gather(gate.gathers.end_due(), second.end_due())
    assert gate.queued().count("release") == 4


async def test_a_batch_that_comes_while_the_rest_is_judged_is_judged_with_it(gate):
    await gate.cut(people(350), 50)
    gate.now += 21
    key = gate.store.call(partial(gathering.lease_gather, now=gate.now, seconds=20))
    read = await gate.store.read(partial(gathering.read_gathered, key=key))
    judging = partial(gate.gathers._judge, gathered=read, facts={}, policy=gate.active_policy.current)
    judged = await gate.store.read(judging)
    await gate.cut(people(100, start=350), 50)
    assert await gate.store.run(partial(gate.gathers._write, gathered=read, judged=judged)) is None
    assert gate.mailing().state == "held" and gate.mailing().sent == 0


async def test_a_leased_gather_is_left_alone_until_the_lease_runs_out(gate):
    """A node that has taken it up and died keeps it for no longer; one that was only slow finds it ended."""
    await gate.cut(people(200), 50)
    gate.now += 21
    lease = partial(gathering.lease_gather, seconds=20)
    key = gate.store.call(partial(lease, now=gate.now))
    read = await gate.store.read(partial(gathering.read_gathered, key=key))
    assert gate.store.call(partial(lease, now=gate.now)) is None
    await gate.pass_time(19)
    assert gate.mailing().state == "gathering"
    await gate.pass_time(1)
    assert gate.mailing().state == "open" and gate.queued().count("release") == 4
    judging = partial(gate.gathers._judge, gathered=read, facts={}, policy=gate.active_policy.current)
    verdicts = await gate.store.read(judging)
    assert await gate.store.run(partial(gate.gathers._write, gathered=read, judged=verdicts)) is None


async def test_a_batch_that_comes_ends_the_lease_of_who_has_not_seen_it(gate):
    await gate.cut(people(200), 50)
    gate.now += 21
    assert gate.store.call(partial(gathering.lease_gather, now=gate.now, seconds=3600)) is not None
    await gate.cut(people(50, start=200), 50)
    await gate.pass_time(21)
    assert gate.mailing().state == "open" and gate.queued().count("release") == 5


async def test_a_resend_of_a_gathered_batch_gets_the_same_answer_and_no_second_copy(gate):
    first, again = await gate.send(people(50)), await gate.send(people(50))
    assert first == again and gate.mailing().batches == 1
    await gate.pass_time(21)
    assert await gate.send(people(50)) == first and gate.mailing().batches == 1


async def test_what_a_permit_covers_does_not_wait(gate):
    everyone = people(480)
    await gate.cut(everyone, 50)
    gate.service.approve(1, "cio@example.gov")
    assert await gate.send(everyone[:100], subject="lunch", rest=b"X-Copy: 2\r\n\r\nHello\r\n") is TAKEN


async def test_a_denied_mailings_successor_knows_who_was_reached(gate):
    everyone = people(650)
    await gate.cut(everyone[:350], 50)
    await gate.pass_time(21)
    await gate.cut(everyone[350:500], 50)
    gate.service.deny(1, "cio@example.gov", "enough")
    replies = await gate.cut(everyone[500:650], 50)
    assert "M-2 not sent yet: counting" in replies[0].text and "Held for approval as M-2" in replies[1].text
    assert gate.mailing(2).counts.users == 350 + 150 and gate.mailing(2).reached_before == 350


class Busy:
    """A store of which, while a gather is being judged, another batch of its mailing always comes."""

    def __init__(self, store, come):
        self.store, self.run, self.come = store, store.run, come

    async def read(self, function):
        found = await self.store.read(function)
        if function.func is not gathering.any_due:
            await self.come()
        return found


@pytest.mark.parametrize(("others", "state"), [(100, "open"), (400, "held")])
async def test_a_gather_ends_at_its_limit_though_more_comes_whenever_it_is_judged(gate, others, state):
    await gate.cut(people(150), 50)
    numbers = itertools.count(150, others // 2)

    async def come():
        start = next(numbers)
        await gate.send(people(others // 2, start=start), rest=f"\r\nHello {start}\r\n".encode())

    gate.gathers.store = Busy(gate.store, come)
    await gate.pass_time(19)
    assert gate.mailing().state == "gathering"  # none of it is due
    gate.now += 300
    await gate.gathers.end_due()
    assert (
        gate.mailing().state == state and gate.queued().count("release") == (state == "open") * gate.mailing().batches
    )


async def test_a_gather_that_cannot_be_judged_does_not_keep_others_waiting(gate, monkeypatch):
    await gate.cut(people(50), 50, subject="first")
    gate.now += 1  # whichever began sooner is judged sooner
    await gate.cut(people(100), 50, subject="second")
    real, faults = GatherRunner.end, iter([RuntimeError("a fault")])

    async def end(gathers, key):
        for fault in faults:
            raise fault
        await real(gathers, key)

    monkeypatch.setattr(GatherRunner, "end", end)
    await gate.pass_time(21)
    assert (gate.mailing(1).state, gate.mailing(2).state) == ("gathering", "open")
    await gate.pass_time(gate.gathers.lease)
    assert gate.mailing(1).state == "open"


async def test_the_end_of_a_gather_is_recorded_batch_by_batch(gate, rules_with_links):
    """Judged again from the records alone, every batch gets the verdict it got."""
    auditor = gate.gathers.auditor = Auditor(gate.store)
    await gate.cut(people(150), 50)
    gate.rules.write_text(gate.rules.read_text() + rules_with_links)
    gate.active_policy.reload()
    await gate.pass_time(21)
    auditor.flush()
    records = recorded(gate.store)
    assert [(record.moment, record.verdict, record.done, record.mailing) for record in records] == [
        ("gathered", "hold", "hold", "M-1")
    ] * 3
    frames = {name: Frame.read(text) for name, text in gate.store.call(audit_chain.read_frames).items()}
    again = Replayer(gate.active_policy.current.ruleset)
    assert {again.replay(record, frames[record.frame]).action for record in records} == {"hold"}


@pytest.fixture
def rules_with_links():
    return "  - {id: new, when: {users: {over: 100}}, then: hold}\n"


def recorded(store):
    blocks = store.call(partial(audit_chain.blocks_between, since=0, until=1e12))
    lines = [line for block in blocks for line in store.call(partial(audit_chain.lines_of, block=block))]
    return [Record(*json.loads(line)) for line in lines if line.startswith(b"[")]


async def test_what_was_gathered_passes_when_the_gate_begins_to_observe(gate):
    await gate.cut(people(350), 50)
    gate.rules.write_text(gate.rules.read_text() + "  - {id: new, when: {users: {over: 100}}, then: hold}\n")
    gate.active_policy.reload()
    gate.gathers.mode = Mode(clock=gate.clock, until=gate.now + 60)
    await gate.pass_time(21)
    assert gate.mailing().state == "open" and gate.queued() == ["release"] * 7


async def test_what_was_gathered_passes_where_the_rules_no_longer_act_on_its_agency(gate):
    await gate.cut(people(150), 50)
    rules = gate.rules.read_text() + "  - {id: new, when: {users: {over: 100}}, then: reject}\nenforce: [DPHHS]\n"
    gate.rules.write_text(rules)
    gate.active_policy.reload()
    await gate.pass_time(21)
    assert gate.mailing().state == "open" and gate.queued() == ["release"] * 3


def hide_lists(rules):
    """Write rules by which a visible list of mass mail is hidden."""
    text = rules.read_text().replace("then: reject\n    say: Move", "then: warn\n    repair: blind\n    say: Move")
    rules.write_text(text)


VISIBLE = b"To: " + ", ".join(people(21)).encode() + b"\r\n\r\nhello\r\n"


def hidden(gate):
    """Whether the list is hidden in each of the batches that are being sent."""
    released = gate.store.call(partial(jobs.lease, now=gate.now, seconds=1, limit=500))
    ids = [job.batch_id for job in released if job.kind == "release"]
    return [gate.store.call(partial(jobs.open_release, batch_id=id)).blind for id in ids]


async def test_a_list_is_hidden_in_all_batches_though_the_first_were_not_mass_mail(gate):
    """Clause C9, in whichever way the mailing leaves."""
    hide_lists(gate.rules)
    gate.active_policy.reload()
    await gate.cut(people(250), 50, rest=VISIBLE)
    await gate.pass_time(21)
    assert hidden(gate) == [True] * 5


async def test_a_list_is_hidden_in_all_batches_that_a_later_one_has_held(gate):
    hide_lists(gate.rules)
    gate.active_policy.reload()
    await gate.cut(people(450), 50, rest=VISIBLE)
    gate.service.approve(1, "cio@example.gov")
    assert hidden(gate) == [True] * 9


async def test_a_list_is_hidden_in_all_batches_that_are_held_at_the_end_of_the_gather(gate):
    hide_lists(gate.rules)
    gate.active_policy.reload()
    await gate.cut(people(250), 50, rest=VISIBLE)
    gate.rules.write_text(gate.rules.read_text() + "  - {id: new, when: {users: {over: 100}}, then: hold}\n")
    gate.active_policy.reload()
    await gate.pass_time(21)
    gate.service.approve(1, "cio@example.gov")
    assert hidden(gate) == [True] * 5


@pytest.mark.parametrize(
    "rule", ["", "  - {id: new, when: {users: {over: 100}}, then: hold}\n"], ids=["passes", "would be held"]
)
async def test_nothing_is_hidden_in_what_was_gathered_when_the_gate_begins_to_observe(gate, rule):
    hide_lists(gate.rules)
    gate.active_policy.reload()
    await gate.cut(people(250), 50, rest=VISIBLE)
    gate.rules.write_text(gate.rules.read_text() + rule)
    gate.active_policy.reload()
    gate.gathers.mode = Mode(clock=gate.clock, until=gate.now + 60)
    await gate.pass_time(21)
    assert hidden(gate) == [False] * 5
