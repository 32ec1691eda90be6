"""Who asked is told the terms of the permit, at every change of state, in order; and where no request is needed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gatekeeper.ledger.service import LedgerError, Narrowed, Terms
from gatekeeper.store import jobs
from tests.background.test_reminders_of_requests import DAY, Told
from tests.ledger.scene import CIO, DEPUTY, HEAD, TODAY, limited
from tests.notices.reading import read, text_of


@pytest.fixture
def scene(store, tmp_path):
    return Told(store, tmp_path)


async def to_head(scene, days=0.0):
    return [mail for reader, mail in await scene.after(days) if reader == HEAD]


async def test_an_approval_tells_the_terms(scene):
    scene.ask(planned=TODAY + timedelta(days=7))
    (received,) = await to_head(scene)
    assert f"Who decides: {CIO} or {DEPUTY} (approver)" in text_of(received)
    assert "If nobody decides: it lapses after Wednesday 2 December 2026." in text_of(received)
    scene.service.approve_request(1, CIO, "", Terms(max_users=250))
    (mail,) = await to_head(scene)
    for words in (
        "Permit: P-1",
        "Valid from: Monday 30 November 2026, 00:00 MST",
        "Until: Wednesday 2 December 2026, 23:59 MST",
        "For: 1 mailing, to at most 250 users",
        "Content: any message with this subject",
    ):
        assert words in text_of(mail), words


async def test_each_change_is_told_in_order(scene):
    scene.ask()
    scene.service.approve_request(1, CIO, "", Terms())
    await scene.send()
    mails = await to_head(scene)
    assert [mail["Subject"].partition(" (")[0] for mail in mails] == ["Received", "Approved", "Used"]
    assert "the next letter says what" in text_of(mails[1]) and "Used by: M-1" in text_of(mails[2])
    assert "has been sent" not in text_of(mails[2])
    assert mails[1]["References"] == mails[2]["References"] == mails[0]["Message-ID"]


async def test_no_later_letter_leaves_before_an_earlier_one(scene):
    """The queue sends several at once, and a next hop may put one off."""
    scene.ask()
    scene.service.approve_request(1, CIO, "", Terms())
    scene.now += 3
    await scene.reminders.attend()

    def put_off(connection):
        leased = jobs.lease(connection, scene.now + 1, 0.0, 50)
        for job in leased:
            if job.recipient == HEAD:
                jobs.put_off(connection, job, scene.now + 60, "451")
            else:
                jobs.finish(connection, job)
        return [read(job.content)["Subject"] for job in leased if job.recipient == HEAD]

    assert scene.store.call(put_off) == ["Received (R-1): Open enrolment"]
    assert scene.store.call(put_off) == []
    scene.now += 100
    assert [mail["Subject"].partition(" (")[0] for mail in await to_head(scene)] == ["Received", "Approved"]


async def test_what_is_taken_from_a_permit_is_told(scene):
    scene.ask()
    scene.service.approve_request(1, CIO, "", Terms())
    await scene.after()
    scene.service.narrow(1, DEPUTY, "fewer seats", Narrowed(max_users=210))
    (mail,) = await to_head(scene)
    assert "For: 1 mailing, to at most 210 users" in text_of(mail) and f"narrowed by {DEPUTY}" in text_of(mail)
    scene.service.revoke(1, DEPUTY, "the form is wrong")
    (mail,) = await to_head(scene)
    assert mail["Subject"].startswith("Revoked (R-1)") and "They say: the form is wrong" in text_of(mail)
    assert scene.service.show_request(1).request.state == "revoked"


# -- not needed --------------------------------------------------------------------------------------------------


async def test_a_request_that_no_rule_would_hold_is_not_needed(scene):
    case = scene.ask(users=150, planned=TODAY + timedelta(days=7))
    assert (case.request.state, case.needs, case.permits) == ("unneeded", (), ())
    mails = await scene.after()
    assert [(reader, mail["Subject"]) for reader, mail in mails] == [(HEAD, "Not needed (R-1): Open enrolment")]
    assert "no rule would hold it: you may send it without asking" in text_of(mails[0][1])
    assert "nothing may be sent" not in text_of(mails[0][1])
    with pytest.raises(LedgerError, match="R-1: it is unneeded"):
        scene.service.approve_request(1, CIO)
    assert await scene.after(30) == []  # and never expires


async def test_it_is_needed_once_the_rules_say_so(scene, tmp_path):
    scene.ask(users=150, planned=TODAY + timedelta(days=7))
    await scene.after()
    (tmp_path / "rules.yaml").write_text(limited(100))
    scene.active_policy.reload()
    subjects = await scene.subjects(0.01)
    assert f"{HEAD}: Needed now (R-1): Open enrolment" in subjects
    assert f"{CIO}: Waits for your decision (R-1): Open enrolment" in subjects + await scene.subjects()
    scene.service.approve_request(1, CIO)


async def test_after_its_day_nothing_more_is_said(scene, tmp_path):
    scene.ask(users=150, planned=TODAY)
    await scene.after()
    scene.now += 2 * DAY
    (tmp_path / "rules.yaml").write_text(limited(100))
    scene.active_policy.reload()
    assert await scene.after() == []


async def test_what_was_changed_may_be_needed_no_more_and_again(scene):
    scene.ask()
    scene.service.ask_changes_of_request(1, CIO, "fewer people")
    scene.service.submit_again(1, scene.nothing_new(users=150), HEAD)
    assert scene.service.show_request(1).request.state == "unneeded"
    scene.service.submit_again(1, scene.nothing_new(users=250), HEAD)
    assert scene.service.show_request(1).request.state == "submitted"
