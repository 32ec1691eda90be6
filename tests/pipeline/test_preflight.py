"""May I? Mail to the preflight address is judged and answered, and goes nowhere (policy C3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import pytest

from gatekeeper.ledger.service import Exempted, LedgerService, Terms
from gatekeeper.model import Recipient, Scope
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from gatekeeper.store import jobs, views
from tests.notices.reading import read, text_of
from tests.peers.gate import RULES
from tests.peers.sink import Sink
from tests.pipeline.test_pipeline import PDF, NextHop, message
from tests.server.talking import open_door
from tests.store.arrivals import people

ASK = "may-i@example.gov"
SENDER = "clerk@doa.example.gov"
TO = b"To: May-I@example.gov\r\n\r\nHello\r\n"


@pytest.fixture
def pipeline(store, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(f"{RULES}preflight: {ASK}\n")
    return Pipeline(Judging(path, "enforce", 100, "", "gate.example.gov"), ActivePolicy(path), store)


def answers(store):
    """The answers that wait, by when they are due; nothing else is ever queued for them."""
    leased = store.call(partial(jobs.lease, now=9e9, seconds=0, limit=50))
    assert all(job.kind == "notice" and job.recipient == SENDER for job in leased)
    return [read(job.content) for job in leased]


async def test_mass_mail_is_answered_with_verdict_counts_and_reasons_and_goes_nowhere(pipeline, store):
    hop = NextHop()
    reply = await pipeline.receive(message([ASK, *people(2400)], subject="enrolment"), hop)  # C3
    assert reply.code == 250 and "sent to nobody" in reply.text and hop.added == []
    (answer,) = answers(store)
    assert answer["Subject"] == "This needs approval: enrolment" and answer["To"] == SENDER
    assert answer["References"] == "<enrolment@x>" and answer["Auto-Submitted"] == "auto-generated"
    text = text_of(answer)
    assert "it would be held until it is approved" in text and "2,400 users in 2 agencies" in text
    assert "2400 users" in text and "went to nobody" in text
    assert store.call(views.list_mailings) == []  # nothing of it is counted


async def test_every_part_of_a_message_that_names_the_address_goes_nowhere_and_is_answered_once(pipeline, store):
    hop, everyone = NextHop(), people(2400)
    for start in range(0, 2400, 50):
        assert (await pipeline.receive(message(everyone[start : start + 50], subject="cut", rest=TO), hop)).code == 250
    assert hop.added == []
    (answer,) = answers(store)
    assert "2,400 users in 2 agencies" in text_of(answer)


async def test_what_comes_after_the_answer_was_sent_is_answered_with_all_of_it(pipeline, store):
    await pipeline.receive(message(people(100), subject="late", rest=TO), NextHop())
    (job,) = store.call(partial(jobs.lease, now=9e9, seconds=60, limit=50))
    store.call(partial(jobs.finish, job=job))
    await pipeline.receive(message(people(100, start=100), subject="late", rest=TO), NextHop())
    (answer,) = answers(store)
    assert "200 users" in text_of(answer)


async def test_what_people_have_decided_and_what_was_sent_before_count(store, tmp_path):
    """Clause T4, and permits: whoever asks hears what would happen now, and using nothing up."""
    often = "  - {id: often, when: {mass: true, earlier: {within: 7d, at_least: 1}}, then: reject, say: Once a week.}\n"
    path = tmp_path / "rules.yaml"
    path.write_text(f"{RULES}{often}preflight: {ASK}\n")
    active_policy = ActivePolicy(path)
    pipeline = Pipeline(Judging(path, "enforce", 100, "", "gate.example.gov"), active_policy, store)
    service = LedgerService(store, Letterhead(active_policy.current.ruleset, "gate.example.gov"))
    wanted = Exempted(Scope(frozenset({SENDER})), date.today() + timedelta(days=30), subject="enrolment")
    service.grant_exception(wanted, "cio@example.gov", "every year")
    await pipeline.receive(message([ASK, *people(2400)], subject="enrolment"), NextHop())
    await pipeline.receive(message([ASK, *people(2400)], subject="other"), NextHop())
    covered, other = sorted(answers(store), key=lambda answer: answer["Subject"], reverse=True)
    assert covered["Subject"] == "You may send this: enrolment" and "allowed by P-1" in text_of(covered)
    assert other["Subject"] == "This needs approval: other"
    assert service.show_permit(1).permit.used == 0
    hop = NextHop()
    await pipeline.receive(message(people(300), subject="news"), hop)
    assert len(hop.added) == 1
    await pipeline.receive(message([ASK, *people(300, start=9)], subject="more news"), NextHop())
    assert "Please do not send this: more news" in [answer["Subject"] for answer in answers(store)]


async def test_a_permit_for_exact_content_is_taken_by_its_subject(pipeline, store):
    """The address that is asked changes the message."""
    service = LedgerService(store, Letterhead(pipeline.active_policy.current.ruleset, "gate.example.gov"))
    await pipeline.receive(message(people(2400), subject="enrolment"), NextHop())
    service.approve(1, "cio@example.gov", terms=Terms(uses=2))
    store.call(lambda connection: [jobs.finish(connection, job) for job in jobs.lease(connection, 9e9, 0, 50)])
    for subject in ("enrolment", "other"):
        await pipeline.receive(message([ASK, *people(2400)], subject=subject), NextHop())
    assert {answer["Subject"] for answer in answers(store)} == {
        "You may send this: enrolment",
        "This needs approval: other",
    }


@pytest.mark.parametrize(
    ("subject", "number", "rest", "headline"),
    [
        ("lunch", 2, b"\r\nHello\r\n", "You may send this: lunch"),
        ("report", 300, PDF, "You may send this, but please note: report"),
        ("", 300, b"\r\nHello\r\n", "Please do not send this: (no subject)"),
    ],
)
async def test_each_verdict_has_its_words(pipeline, store, subject, number, rest, headline):
    await pipeline.receive(message([ASK, *people(number)], subject=subject, rest=rest), NextHop())
    (answer,) = answers(store)
    assert answer["Subject"] == headline


@pytest.mark.parametrize(
    "change",
    [
        {"sender": ""},  # a bounce, or an answer: it never loops
        {"sender": "x@example.org", "content": b"From: x@example.org\r\nSubject: a\r\n\r\nb\r\n"},
        {"content": b"From: clerk@doa.example.gov\r\nList-Id: <all.example.gov>\r\nSubject: a\r\n\r\nb\r\n"},
        {"recipients": (Recipient(ASK, ("NOTIFY=NEVER",)),)},
    ],
)
async def test_who_cannot_be_told_is_refused_and_nothing_is_sent_to_anybody(pipeline, store, change):
    hop = NextHop()
    reply = await pipeline.receive(replace(message([ASK, *people(2)]), **change), hop)
    assert reply.code == 550 and hop.added == [] and answers(store) == []


async def test_without_the_database_it_goes_nowhere_either(pipeline, store, monkeypatch):
    monkeypatch.setattr("gatekeeper.pipeline.pipeline._DECISION_SECONDS", 0.5)  # a store that was closed never answers
    store.close()
    hop = NextHop()
    assert (await pipeline.receive(message([ASK, *people(2)]), hop)).code == 451 and hop.added == []


async def test_other_mail_passes(pipeline):
    hop = NextHop()
    await pipeline.receive(message(people(2)), hop)
    assert len(hop.added) == 1


async def test_no_next_hop_is_asked_about_the_address():
    sink = Sink(refuse={ASK: "550 5.1.1 no such user", "gone@example.gov": "550 5.1.1 no such user"})
    async with open_door(sink, is_ours=lambda address: address == ASK) as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        client.say(
            f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{ASK}>\r\nRCPT TO:<gone@example.gov>\r\nRCPT TO:<b@example.gov>\r\n"
        )
        assert [reply[:3] for reply in await client.replies(4)] == ["250", "250", "550", "250"]
        await client.ask("RSET")
        assert (await client.ask(f"RCPT TO:<{ASK}>"))[:3] == "503"
        assert (await client.ask(f"MAIL FROM:<{SENDER}>"))[:3] == "250"
        assert (await client.ask(f"RCPT TO:<{ASK}>"))[:3] == "250"
        assert (await client.ask("DATA"))[:3] == "354"
