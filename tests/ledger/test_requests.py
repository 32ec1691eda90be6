"""An agency asks in advance, the right people decide, and the gate obeys at the next message."""

from __future__ import annotations

from datetime import date
from functools import partial

import pytest
from sqlalchemy import update

from gatekeeper.ledger.lists import Sought
from gatekeeper.ledger.service import Exempted, LedgerError, NotAllowed, NotFound, Terms, Wanted
from gatekeeper.message import read_facts
from gatekeeper.model import Scope
from gatekeeper.store import permits
from gatekeeper.store.db import schema
from tests.ledger.scene import CIO, DEPUTY, HEAD, RULES, SENDER, TEXT, TODAY, Scene, written
from tests.store.arrivals import people

DAY = 86_400.0
CONTENT = written(SENDER, "Open enrolment")


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path)


async def test_that_a_request_was_received_lets_nothing_pass_and_its_approval_does(scene):
    """Clauses M3 and S1: an agency asks for a specific use; asking is not being allowed."""
    case = scene.ask()
    assert (case.request.state, case.request.rules, case.missing) == ("submitted", ("approval",), ("approver",))
    assert "Held for approval" in (await scene.send(subject="Open enrolment")).text
    approved = scene.service.approve_request(1, CIO)
    assert (approved.request.state, approved.permit) == ("approved", "P-1")
    await scene.rechecks.run_due()  # what waits for it is released
    assert (scene.mailing().state, len(scene.releases())) == ("released", 1)
    assert scene.service.show_request(1).request.state == "used" and scene.permit().mailings == ("M-1",)


async def test_an_approved_mailing_passes_at_once_and_uses_its_permit_up(scene):
    scene.ask()
    scene.service.approve_request(1, CIO)
    everyone = people(240)
    assert "queued" in (await scene.send(everyone)).text
    assert (scene.permit().state, scene.permit().used, len(scene.hop.added)) == ("used", 1, 1)
    assert "queued" in (await scene.send(everyone[:50])).text  # the same mailing goes on
    scene.now += 1.5 * DAY  # within the window, and another mailing
    assert "Held for approval as M-2" in (await scene.send(everyone)).text
    assert "its uses are used up" in scene.mailing(2).reasons[0].text


DIFFERENCES = [
    ("users", {"recipients": people(241)}, "241 users, permit allows 240"),
    ("agencies", {"recipients": [*people(239), "x@deq.example.gov"]}, "reaches agencies that it does not name: DEQ"),
    ("subject", {"subject": "Something else"}, "the subject is not 'Open enrolment'"),
    ("sender", {"sender": "other@doa.example.gov"}, f"the sender is not {SENDER}"),
    ("forged", {"authenticated": False}, "the sender is not authenticated"),
]


@pytest.mark.parametrize(("name", "given", "difference"), DIFFERENCES, ids=[name for name, *_ in DIFFERENCES])
async def test_a_mailing_that_differs_from_its_permit_is_held_and_says_how(store, tmp_path, name, given, difference):
    deq = "  DEQ: {name: Environment, domains: [deq.example.gov]}\nlists:"
    scene = Scene(store, tmp_path, RULES.replace("lists:", deq, 1))
    scene.ask()
    scene.service.approve_request(1, CIO)
    assert "Held for approval" in (await scene.send(**given)).text
    (reason,) = scene.mailing().reasons
    assert "not covered by P-1" in reason.text and difference in reason.text
    assert scene.hop.added == []


async def test_a_day_late_is_held(scene):
    """The planned day and two working days more: Monday to Wednesday."""
    scene.ask()
    scene.service.approve_request(1, CIO)
    scene.now += 3 * DAY
    await scene.send()
    assert "its last day is over" in scene.mailing().reasons[0].text


async def test_one_byte_changed_is_held_where_content_binds_and_a_forger_may_send_the_very_content_only(scene):
    scene.ask(content=CONTENT)
    assert scene.service.read_request(1, CIO) == CONTENT
    scene.service.approve_request(1, CIO)
    await scene.send(text=TEXT + b".")
    assert "the content is not what was approved" in scene.mailing().reasons[0].text
    assert "queued" in (await scene.send(authenticated=False, subject="Open enrolment")).text


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        (TEXT.replace(b"Dear colleagues", b"Dear Ann"), None),
        (TEXT.replace(b"?for=you", b"?for=ann"), None),
        (TEXT.replace(b"benefits.example.gov", b"benefits.example.org"), "the content has other links"),
        (TEXT.replace(b"/guide", b"/guides"), "the content has other links"),
        (b"Buy now\nhttps://benefits.example.gov/enrolment/guide\n", "the content is not like what was approved"),
        (TEXT + b"IBAN DE89 3704 0044 0532 0130 00\n", "a number or an address that was not approved (8937040044"),
        (TEXT + b"Write to eve@evil.example\n", "a number or an address that was not approved (eve@evil.example)"),
        (TEXT + b"tel:+14065550100\n", "the content has other links than what was approved (tel:14065550100)"),
        (TEXT + b"Please send all your money to our new office\n", "9 words changed"),
    ],
)
async def test_a_template_covers_what_varies_and_not_another_link(scene, text, difference):
    scene.ask(content=CONTENT)
    scene.service.approve_request(1, CIO, terms=Terms(binding="template"))
    reply = await scene.send(text=text)
    if difference is None:
        assert "queued" in reply.text
    else:
        assert "Held" in reply.text and difference in scene.mailing().reasons[0].text


async def test_a_request_from_before_whole_texts_were_compared_is_read_again_when_it_is_approved(scene):
    scene.ask(content=CONTENT)
    old = {"digest": read_facts(CONTENT).content_digest, "fingerprints": ["0-ab"], "links": [], "attachments": []}
    scene.store.call(lambda connection: connection.execute(update(schema.requests).values(content=old)))
    scene.service.approve_request(1, CIO, terms=Terms(binding="template"))
    assert "queued" in (await scene.send(text=TEXT.replace(b"Dear colleagues", b"Dear Ann"))).text


async def test_a_template_permit_from_before_whole_texts_were_compared_covers_nothing(scene):
    scene.ask(content=CONTENT)
    scene.service.approve_request(1, CIO, terms=Terms(binding="template"))
    old = {"likeness": None, "fingerprints": ["0-ab"]}
    scene.store.call(lambda connection: connection.execute(update(schema.permits).values(**old)))
    await scene.send()
    assert "it was given before whole texts were compared, and has to be given again" in scene.mailing().reasons[0].text


async def test_what_is_too_long_is_bound_exactly_only(scene):
    scene.ask(content=written(SENDER, "Open enrolment", b"many words " * 10_001))
    with pytest.raises(LedgerError, match=r"cannot be bound to a template .* expected --binding exact"):
        scene.service.approve_request(1, CIO, terms=Terms(binding="template"))


async def test_late_requests_are_flagged_with_the_earliest_day_or_refused(store, tmp_path):
    """Clause M2: five working days, and Thanksgiving is none of them."""
    scene = Scene(store, tmp_path, RULES.replace("5 working days", "5 working days, calendar: US-MT"))
    late = scene.ask(planned=date(2026, 11, 30)).request
    assert (late.late, late.earliest) == (True, date(2026, 12, 1))
    assert not scene.ask(planned=date(2026, 12, 1)).request.late
    strict = Scene(store, tmp_path, RULES.replace("5 working days", "5 working days, late: refuse"))
    with pytest.raises(LedgerError, match=r"too late: the earliest day that can be planned now is 2026-11-30"):
        strict.ask()


async def test_who_may_ask_and_who_may_decide(scene):
    """Clause S1: the department head or a designee asks; nobody decides their own."""
    wanted = Wanted("DPHHS", (SENDER,), "x", users=1, planned=TODAY)
    with pytest.raises(NotAllowed, match=r"head@doa\.example\.gov may not ask for DPHHS"):
        scene.service.submit(wanted, HEAD)
    scene.ask(senders=(DEPUTY,))
    with pytest.raises(NotAllowed, match="nobody decides their own"):
        scene.service.approve_request(1, DEPUTY)
    with pytest.raises(NotAllowed, match="may not decide it"):
        scene.service.approve_request(1, "somebody@example.org")
    with pytest.raises(NotFound, match="R-9: no such request"):
        scene.service.deny_request(9, CIO, "no")


async def test_changes_are_asked_and_answered_under_the_same_number(scene):
    """Clause S2: the CIO recommends changes to the proposal."""
    scene.ask()
    assert scene.service.ask_changes_of_request(1, CIO, "fewer").request.state == "changes"
    with pytest.raises(LedgerError, match="R-1: it is changes; approve is for a request that is submitted"):
        scene.service.approve_request(1, CIO)
    again = scene.service.submit_again(1, Wanted(users=230), HEAD)
    assert (again.request.state, again.request.draft.users, again.request.draft.subject) == (
        "submitted",
        230,
        "Open enrolment",
    )
    acts = [(event.act, event.by) for event in again.events]
    assert acts == [("submitted", HEAD), ("changes asked", CIO), ("submitted again", HEAD)]


async def test_a_final_denial_is_final_and_another_may_be_appealed_once(scene):
    """Clause S2: the CIO's word is final."""
    scene.ask()
    assert scene.service.deny_request(1, CIO, "no").request.final
    with pytest.raises(NotAllowed, match=r"R-1: cio@example\.gov denied it, whose decision is final"):
        scene.service.submit_again(1, Wanted(), HEAD, "please", appeal=True)
    scene.ask()
    scene.service.deny_request(2, DEPUTY, "no")
    assert scene.service.submit_again(2, Wanted(), HEAD, "please", appeal=True).request.state == "submitted"
    with pytest.raises(NotAllowed, match="nobody decides their own"):
        scene.service.approve_request(2, DEPUTY)  # somebody else looks at it
    scene.service.deny_request(2, CIO, "no")
    with pytest.raises(NotAllowed, match="whose decision is final"):
        scene.service.submit_again(2, Wanted(), HEAD, "please", appeal=True)


async def test_a_request_that_no_rule_would_hold_needs_nobody(scene):
    case = scene.ask(users=200)
    assert (case.needs, case.request.rules, case.request.state) == ((), (), "unneeded")
    with pytest.raises(LedgerError, match="R-1: it is unneeded"):
        scene.service.approve_request(1, CIO, terms=Terms(max_users=240))
    assert scene.permit() is None


async def test_everyone_named_must_agree_and_the_strictest_of_what_they_say_counts(store, tmp_path):
    """Clauses C8 and T7: the head of the agency is among those who must agree."""
    text = RULES.replace("    then: hold\n", "    then: hold\n    ask: [approver, head]\n")
    scene = Scene(store, tmp_path, text)
    scene.ask()
    first = scene.service.approve_request(1, CIO, terms=Terms(max_users=230))
    assert (first.request.state, first.missing) == ("submitted", ("head",))
    scene.service.approve_request(1, "chief@doa.example.gov")
    assert scene.permit().ceiling == 230


async def test_an_exception_is_a_standing_permit_that_ends(scene):
    """Clause M8."""
    scene.ask(exception=True, planned=None, subject="")
    with pytest.raises(LedgerError, match="an exception stands until it ends"):
        scene.service.approve_request(1, CIO)
    scene.service.approve_request(1, CIO, terms=Terms(until=date(2026, 12, 31)))
    for subject in ("one", "two"):
        assert "queued" in (await scene.send(subject=subject, text=subject.encode())).text
    assert (scene.permit().kind, scene.permit().state, scene.permit().used) == ("exception", "in force", 2)


async def test_a_withdrawn_request_has_no_permit_any_more(scene):
    scene.ask()
    scene.service.approve_request(1, CIO)
    assert scene.service.withdraw_request(1, HEAD).request.state == "withdrawn"
    await scene.send()
    assert "it was revoked" in scene.mailing().reasons[0].text


async def test_of_several_permits_that_cover_one_without_a_count_of_uses_is_used(store, tmp_path):
    rule = "  - {id: pdf, when: {mass: true, attachments: {over: 0}}, then: hold, say: No files.}\n"
    scene = Scene(store, tmp_path, RULES + rule)
    scene.service.grant_exception(Exempted(Scope(frozenset({SENDER})), TODAY, ("approval",)), CIO, "it may")
    scene.ask()
    scene.service.approve_request(1, CIO)
    assert scene.permit(2).rules == ("approval", "pdf")
    await scene.send(text=TEXT)
    assert scene.permit(1).mailings == ("M-1",) and scene.permit(2).mailings == ()  # the standing one first


async def test_an_approved_request_that_nobody_used_in_time_expires_with_its_permit(scene):
    scene.ask()
    scene.service.approve_request(1, CIO)
    scene.now += 5 * DAY
    scene.store.call(partial(permits.expire_permits, now=scene.now))
    assert (scene.service.show_request(1).request.state, scene.permit().state) == ("expired", "expired")
    await scene.send()
    assert "its last day is over" in scene.mailing().reasons[0].text


@pytest.mark.parametrize("by", [HEAD, SENDER, "stranger@example.gov"])
def test_who_may_not_decide_neither_approves_nor_denies_nor_sends_back(scene, by):
    """Clauses M1, S2: the one who asks least of all."""
    scene.ask()
    for verb in (scene.service.approve_request, scene.service.deny_request, scene.service.ask_changes_of_request):
        with pytest.raises(NotAllowed):
            verb(1, by, "because")
    assert [each.state for each in scene.service.requests(Sought(), CIO).rows] == ["submitted"]
