"""Requests for a later day, with several senders, decided by two at once, and what their form refuses."""

from __future__ import annotations

import asyncio
import random
from datetime import date, timedelta

import pytest

from gatekeeper.ledger.service import LedgerError, NotAllowed, Terms
from tests.ledger.scene import CIO, DEPUTY, HEAD, RULES, SENDER, TODAY, Scene, written
from tests.ledger.test_races import race
from tests.store.arrivals import people

DAY = 86_400.0
OTHER = "letters@doa.example.gov"
OWNER = "registrar@univ.example.edu"
OWNED = RULES.replace("people:\n", f"people:\n  {OWNER}: {{roles: [owner], of: [registrar]}}\n", 1)
MONDAY = TODAY + timedelta(days=7)


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, OWNED)


def forward(scene, days):
    scene.now += days * DAY


# -- days other than today ---------------------------------------------------------------------------------------


async def test_a_permit_is_not_used_before_its_first_day_and_is_from_its_first_hour_on(scene):
    """Planned for Monday in a week; Denver's Monday begins at 7 by UTC."""
    scene.ask(planned=MONDAY)
    scene.service.approve_request(1, CIO)
    assert "Held for approval as M-1" in (await scene.send()).text
    assert "its first day is to come: it begins 2026-11-30 07:00 UTC" in scene.mailing().reasons[0].text
    await scene.rechecks.run_due()
    forward(scene, 6)
    await scene.rechecks.run_due()
    assert (scene.mailing().state, scene.permit().used) == ("held", 0), "the Sunday before"
    forward(scene, 1)
    await scene.rechecks.run_due()
    assert (scene.mailing().state, scene.permit().mailings) == ("released", ("M-1",))


async def test_of_two_permits_that_begin_on_different_days_neither_day_is_missed(scene):
    """A later one that is given last does not put off the look at the first."""
    await scene.send()
    for day, subject in ((MONDAY, "Open enrolment"), (MONDAY + timedelta(days=2), "Something else")):
        scene.ask(planned=day, subject=subject)
        scene.service.approve_request(len(scene.service.requests().rows), CIO)
    forward(scene, 7)
    await scene.rechecks.run_due()
    assert (scene.mailing().state, scene.permit(1).mailings) == ("released", ("M-1",))


@pytest.mark.parametrize(("days", "passes"), [(6, False), (7, True), (9, True), (10, False)])
async def test_the_window_is_the_planned_day_and_two_working_days_more(scene, days, passes):
    """Monday to Wednesday of the next week, asked for and approved a week before."""
    scene.ask(planned=MONDAY)
    scene.service.approve_request(1, CIO)
    forward(scene, days)
    assert ("queued" in (await scene.send()).text) is passes


async def test_a_request_is_decided_by_the_rules_of_its_planned_day(store, tmp_path):
    """A rule that begins before that day holds it, one that is over by then does not."""
    for during, states in (
        ("from: 2026-11-28", ["unneeded", "submitted"]),
        ("until: 2026-11-28", ["submitted", "unneeded"]),
    ):
        rules = RULES.replace("    then: hold\n", f"    then: hold\n    during: {{{during}}}\n")
        scene = Scene(store, tmp_path, rules)
        assert [scene.ask(planned=day).request.state for day in (TODAY, MONDAY)] == states
    with pytest.raises(LedgerError, match="R-4: it is unneeded"):
        scene.service.approve_request(4, CIO)


async def test_a_request_for_a_day_that_no_calendar_knows_is_refused_when_it_is_approved(scene):
    scene.ask(planned=date.max)
    with pytest.raises(LedgerError, match="expected a day before 3000"):
        scene.service.approve_request(1, CIO)


async def test_approved_by_one_today_and_by_the_other_tomorrow(store, tmp_path):
    """Both count: a yes does not grow old with the day."""
    scene = Scene(store, tmp_path, RULES.replace("    then: hold\n", "    then: hold\n    ask: [approver, head]\n"))
    scene.ask(planned=MONDAY)
    scene.service.approve_request(1, CIO)
    forward(scene, 1)
    assert scene.service.approve_request(1, "chief@doa.example.gov").request.state == "approved"


# -- two senders -------------------------------------------------------------------------------------------------


async def test_each_of_two_senders_may_send_it_and_nobody_else(scene):
    scene.ask(senders=(SENDER, OTHER))
    scene.service.approve_request(1, CIO, terms=Terms(uses=2))
    for sender in (SENDER, OTHER):
        assert "queued" in (await scene.send(sender=sender, text=sender.encode())).text
    assert scene.permit().mailings == ("M-1", "M-2")
    assert "Held" in (await scene.send(sender="third@doa.example.gov", text=b"a third")).text


async def test_of_two_senders_neither_decides(store, tmp_path):
    """Nobody decides their own (S1), also where somebody else sends it as well."""
    scene = Scene(
        store,
        tmp_path,
        OWNED.replace("deputy@example.gov: {", f"{OTHER}: {{roles: [approver]}}\n  deputy@example.gov: {{"),
    )
    scene.ask(senders=(SENDER, OTHER))
    with pytest.raises(NotAllowed, match="nobody decides their own"):
        scene.service.approve_request(1, OTHER)
    assert scene.service.approve_request(1, CIO).request.state == "approved"


# -- who may take it back, and who is asked ------------------------------------------------------------------------


async def test_a_stranger_withdraws_no_request_and_those_who_may_do(scene):
    for by in ("eve@dphhs.example.gov", OWNER, "head@dphhs.example.gov"):
        scene.ask()
        with pytest.raises(NotAllowed, match=rf"R-1: {by} may not withdraw it; {HEAD} or an admin may"):
            scene.service.withdraw_request(1, by)
    assert scene.service.withdraw_request(1, HEAD).request.state == "withdrawn"
    assert scene.service.withdraw_request(2, DEPUTY).request.state == "withdrawn", "an admin"
    assert scene.service.show_request(3).request.state == "submitted"


async def test_one_more_is_asked_about_a_request_and_then_must_agree(scene):
    """Policy T7: an owner who is asked only when needed."""
    scene.ask(planned=MONDAY, content=written(SENDER, "Open enrolment"))
    with pytest.raises(NotAllowed, match="does not stand under people"):
        scene.service.ask_about_request(1, CIO, "nobody@example.org")
    with pytest.raises(NotAllowed, match="may not decide it"):
        scene.service.ask_about_request(1, HEAD.replace("head", "clerk"), OWNER)
    assert OWNER in scene.service.ask_about_request(1, CIO, OWNER).missing
    assert scene.service.approve_request(1, CIO).request.state == "submitted", "the owner's is missing"
    approved = scene.service.approve_request(1, OWNER)
    assert (approved.request.state, approved.permit) == ("approved", "P-1")


async def test_about_a_request_that_is_decided_nobody_is_asked(scene):
    scene.ask()
    scene.service.deny_request(1, CIO, "no")
    with pytest.raises(LedgerError, match="R-1: it is denied"):
        scene.service.ask_about_request(1, CIO, OWNER)


# -- two acts at once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
async def test_of_two_who_decide_a_request_at_once_one_does(scene, seed):
    scene.ask()
    service = scene.service
    won = await asyncio.to_thread(
        race,
        {
            "approve": lambda: service.approve_request(1, CIO),
            "deny": lambda: service.deny_request(1, DEPUTY, "no"),
            "changes": lambda: service.ask_changes_of_request(1, DEPUTY, "fewer"),
        },
        random.Random(seed),
    )
    assert len(won) == 1
    state = scene.service.show_request(1).request.state
    assert state == {"approve": "approved", "deny": "denied", "changes": "changes"}[next(iter(won))]
    assert (scene.permit() is not None) is (state == "approved")


@pytest.mark.parametrize("seed", range(3))
async def test_approved_and_withdrawn_at_once_it_has_no_permit_in_force(scene, seed):
    scene.ask()
    service = scene.service
    acts = {"approve": lambda: service.approve_request(1, CIO), "withdraw": lambda: service.withdraw_request(1, HEAD)}
    won = await asyncio.to_thread(race, acts, random.Random(seed))
    assert "withdraw" in won and service.show_request(1).request.state == "withdrawn"
    assert [permit.state for permit in service.permits().rows] in ([], ["revoked"])
    assert "Held" in (await scene.send(people(240))).text


# -- what the form refuses ---------------------------------------------------------------------------------------

REFUSED = {
    "an agency that is none": (
        {"agency": "NONE"},
        "agency 'NONE': expected the id of an agency of rules.yaml: DOA, DPHHS",
    ),
    "no sender": ({"senders": ()}, "a request needs a sender"),
    "a sender that is none": ({"senders": (SENDER, "news")}, "sender 'news': expected an address, the id of an agency"),
    "no users": ({"users": 0}, "the number of users that it is to reach at most: 1 or more"),
    "no subject": ({"subject": " "}, "needs the subject line of the mailing"),
    "no day": ({"planned": None}, "needs the day on which it is planned"),
    "yesterday": ({"planned": TODAY - timedelta(days=1)}, "planned for 2026-11-22, which has passed"),
    "needed before it is planned": (
        {"planned": MONDAY, "needed_by": MONDAY - timedelta(days=1)},
        "needed by 2026-11-29, before it is planned: expected 2026-11-30 or later",
    ),
    "an audience that is none": ({"audiences": ("DOA", "everybody")}, "audience 'everybody': expected the address of"),
}


@pytest.mark.parametrize("named", REFUSED)
async def test_what_is_wrong_in_a_request_is_refused_and_nothing_of_it_kept(scene, named):
    given, told = REFUSED[named]
    with pytest.raises((LedgerError, NotAllowed), match=told.replace("(", r"\(")):
        scene.ask(**given)
    assert scene.service.requests().rows == []


GIVEN = {
    "one user": {"users": 1},
    "today": {"planned": TODAY},
    "needed on the day that it is planned": {"planned": MONDAY, "needed_by": MONDAY},
    "an exception without subject and day": {"exception": True, "subject": "", "planned": None},
    "a group and an agency as senders": {"senders": ("group:press", "DOA")},
    "a list": {"audiences": ("Class@univ.example.edu",)},
}


@pytest.mark.parametrize("named", GIVEN)
async def test_what_is_just_right_is_taken(scene, named):
    assert scene.ask(**GIVEN[named]).request.id == "R-1"


async def test_what_is_submitted_again_keeps_what_is_not_said(scene):
    scene.ask(
        planned=MONDAY, needed_by=date(2026, 12, 4), senders=(SENDER, OTHER), content=written(SENDER, "Open enrolment")
    )
    scene.service.ask_changes_of_request(1, CIO, "fewer")
    before = scene.service.show_request(1).request.draft
    after = scene.service.submit_again(1, scene.nothing_new(users=210), HEAD).request.draft
    names = ("agency", "senders", "subject", "purpose", "audiences", "planned", "needed_by", "exception", "content")
    assert [getattr(after, name) for name in names] == [getattr(before, name) for name in names]
    assert (before.users, after.users) == (240, 210)
