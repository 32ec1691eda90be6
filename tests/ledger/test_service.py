"""What people do with a held mailing, and what follows from it, on both databases."""

from __future__ import annotations

import email
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from gatekeeper.ledger.service import LedgerError, LedgerService, NotAllowed, NotFound, Terms
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.rules import parse_ruleset
from gatekeeper.store import batches, cleanup, jobs
from gatekeeper.store.arrival import body_digest
from tests.store.arrivals import NOON, arrival, limit, people

RULES = """\
version: 1
title: Mass electronic mail
contact: servicedesk@example.gov
timezone: America/Denver
agencies:
  DOA: {name: Administration, domains: [doa.example.gov]}
  DPHHS: {name: Health, domains: [dphhs.example.gov]}
people:
  cio@example.gov: {roles: [approver], final: true}
  head@doa.example.gov: {roles: [requester, approver], of: [DOA]}
  admin@example.gov: {roles: [admin]}
  hr@example.gov: {roles: [owner]}
rules:
  - id: approval
    when: {users: {over: 200}, agencies: {over: 1}}
    then: hold
    say: It reaches {users} users.
"""
CIO = "cio@example.gov"
NOW = NOON.timestamp()


@pytest.fixture
def service(store):
    ruleset = parse_ruleset(RULES, "rules.yaml", Path("."))
    return LedgerService(store, Letterhead(ruleset, "gate.example.gov"), clock=lambda: NOW + 60)


async def hold(store, recipients=None, **more):
    one = arrival(recipients or people(240), **more)
    outcome = await store.decide(one, limit(200))
    assert outcome.batch is not None and await store.keep(one, outcome.batch)
    return outcome


def queued(store):
    leased = store.call(partial(jobs.lease, now=NOW + 61, seconds=60, limit=50))
    return {job.kind: job for job in leased}


async def test_an_approval_sends_the_batches_on_and_lets_the_same_pass_later(store, service):
    await hold(store)
    decision = service.approve(1, CIO, "go ahead")
    assert (decision.mailing.state, decision.permit, decision.missing) == ("released", "P-1", ())
    found = queued(store)
    release = store.call(partial(jobs.open_release, batch_id=found["release"].batch_id))
    assert len(release.waiting) == 240 and b"Approved" in found["notice"].content
    again = await store.decide(arrival(people(10), sender="head@doa.example.gov", message_id="2@x"), limit(200))
    assert again.verdict.action == "relay" and again.mailing == "M-1"


async def test_a_mailing_that_outgrows_its_permit_is_held_again(store, service):
    await hold(store)
    service.approve(1, CIO)
    more = await store.decide(arrival(people(250), message_id="2@x"), limit(200))
    assert more.verdict.action == "hold" and more.mailing == "M-1" and service.show(1).mailing.state == "held"


async def test_a_denial_is_one_report_with_the_reason_whatever_the_number_of_batches(store, service):  # C4
    everyone = people(260)
    await hold(store, everyone[:240])
    await hold(store, everyone[240:250])
    await hold(store, everyone[250:])
    assert service.deny(1, CIO, "personal advertisement").mailing.state == "denied"
    found = queued(store)
    assert set(found) == {"dsn"} and found["dsn"].recipient == "head@doa.example.gov"
    report = email.message_from_bytes(found["dsn"].content)
    assert report.get_content_type() == "multipart/report" and "personal advertisement" in str(report)
    assert str(report).count("Final-Recipient:") == 260


async def test_after_a_denial_the_same_mail_is_a_new_mailing(store, service):
    await hold(store)
    service.deny(1, CIO, "no")
    assert (await hold(store, message_id="2@x")).mailing == "M-2"
    assert (await hold(store)).mailing == "M-2"  # and a resend of what was returned is no resend of what is kept


async def test_a_withdrawal_is_the_senders(store, service):
    await hold(store)
    with pytest.raises(NotAllowed, match=r"M-1: cio@example\.gov may not withdraw it"):
        service.withdraw(1, CIO)
    assert service.withdraw(1, "HEAD@doa.example.gov", "typo").mailing.state == "withdrawn"


async def test_who_may_decide(store, service):
    await hold(store)
    with pytest.raises(NotAllowed, match="nobody decides their own"):
        service.approve(1, "head@doa.example.gov")
    for stranger in ("admin@example.gov", "somebody@example.org"):
        with pytest.raises(NotAllowed, match=r"who may: cio@example\.gov"):
            service.deny(1, stranger, "no")
    with pytest.raises(NotFound, match="M-7: no such mailing"):
        service.approve(7, CIO)
    with pytest.raises(LedgerError, match="a denial needs a reason"):
        service.deny(1, CIO, " ")


async def test_only_what_is_held_can_be_decided(store, service):
    await hold(store)
    service.approve(1, CIO)
    with pytest.raises(LedgerError, match="M-1: it is released; approve is for a mailing that is held"):
        service.approve(1, CIO)
    with pytest.raises(LedgerError, match="M-1: it is released; deny is for"):
        service.deny(1, CIO, "no")


async def test_each_person_named_must_agree(store):
    text = RULES + "    ask: [approver, hr@example.gov]\n"
    service = LedgerService(
        store, Letterhead(parse_ruleset(text, "rules.yaml", Path(".")), "gate"), clock=lambda: NOW + 60
    )
    await hold(store)
    first = service.approve(1, CIO)
    assert first.missing == ("hr@example.gov",) and first.mailing.state == "held" and "release" not in queued(store)
    assert service.approve(1, "hr@example.gov").mailing.state == "released"


async def test_the_timeline_says_who_did_what(store, service):
    await hold(store)
    service.approve(1, CIO, "go ahead")
    events = service.show(1).events
    assert [(event.act, event.by, event.text) for event in events] == [
        ("held", None, "approval"),
        ("approved", CIO, "go ahead"),
    ]


async def test_an_approval_stands_for_two_working_days_more(store, service):
    """A Monday's approval ends with Wednesday, by the organisation's clock."""
    await hold(store)
    service.approve(1, CIO)
    (permit,) = (await store.decide(arrival(people(5), message_id="2@x"), lambda c, s: _see(s))).verdict.reasons
    assert permit.text == "2026-11-26T06:59:59+00:00"


def _see(standing):
    from gatekeeper.model import Action, Reason, Verdict

    return Verdict(Action.RELAY, (Reason("seen", Action.RELAY, text=standing.permits[0].until.isoformat()),))


async def test_a_batch_decided_while_its_body_was_being_written_is_judged_again(store, service):
    everyone = people(250)
    await hold(store, everyone[:240])
    late = arrival(everyone[240:], message_id="2@x")
    outcome = await store.decide(late, limit(200))
    service.deny(1, CIO, "no")
    assert await store.keep(late, outcome.batch) is False
    again = await store.decide(late, limit(200))
    assert not again.repeated and again.verdict.action == "relay"  # 100 people, a mailing of their own


async def test_leftovers_are_forgotten(store):
    one = arrival(people(240))
    outcome = await store.decide(one, limit(200))
    await store.run(partial(batches.open_body, digest=body_digest(one), size=1, now=NOW))
    assert store.call(partial(cleanup.forget_unsealed, before=NOW)) == 0
    assert store.call(partial(cleanup.forget_unsealed, before=NOW + 1)) == 1
    assert store.call(partial(cleanup.forget_bodies, before=NOW + 1)) == 1
    again = await store.decide(one, limit(200))
    assert not again.repeated and again.batch != outcome.batch


async def test_an_export_is_for_who_reads_and_is_noted_before_a_byte_is_given(store, service):
    """Access to content is itself on record (policies S4, D4)."""
    await hold(store)
    with pytest.raises(NotAllowed, match=r"M-1: nobody@example\.org may not read it"):
        service.export(1, "nobody@example.org")
    assert service.show(1).events[-1].act == "held"
    assert [event.act for event in service.export(1, "admin@example.gov").case.events] == ["held", "exported"]


async def test_a_day_that_no_calendar_knows_is_refused(store, service):
    await hold(store)
    for act in (
        lambda day: service.approve(1, CIO, "fine", Terms(until=day)),
        lambda day: service.suspend("sender", "news@doa.example.gov", CIO, "why", day),
    ):
        with pytest.raises(LedgerError, match="9999-12-31: expected a day before 3000"):
            act(date(9999, 12, 31))
    assert service.show(1).mailing.state == "held"


async def test_what_nobody_sees_in_a_reason_is_marked(store, service):
    await hold(store)
    service.deny(1, CIO, "no\x00\x1b[2J \u202e\n  more", category="other")
    assert service.show(1).events[-1].text == "no[U+0000][U+001B][2J [U+202E] more"
