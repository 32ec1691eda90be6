"""Emergencies, exceptions, suspensions, narrowing and revoking; what the ledger tells rules."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import date
from functools import partial

import pytest

from gatekeeper.background.delivery_queue import Queue
from gatekeeper.background.reminders import Reminders
from gatekeeper.delivery.recipients import RecipientResult, Result
from gatekeeper.ledger.service import Exempted, LedgerError, Narrowed, NotAllowed, Sought, Terms
from gatekeeper.ledger.sight import asked_for_agencies
from gatekeeper.model import Scope
from gatekeeper.smtp.replies import reply
from gatekeeper.store import Database, Store, jobs
from gatekeeper.store import permits as stored_permits
from tests.ledger.scene import CIO, DEPUTY, HEAD, RULES, SENDER, Scene
from tests.peers import wait_for
from tests.store.arrivals import people

DAY, UNTIL = 86_400.0, date(2026, 12, 31)


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path)


class Hop:
    """A next hop that takes its time, and remembers whom it was given."""

    most_recipients = None

    def __init__(self):
        self.taken, self.busy, self.go = [], asyncio.Event(), asyncio.Event()

    async def deliver(self, sender, parameters, recipients, content):
        if not sender:
            return tuple(RecipientResult(each, Result.DELIVERED, reply(250, "ok", "2.0.0")) for each in recipients)
        self.busy.set()
        await self.go.wait()
        self.taken += [each.address for each in recipients]
        return tuple(RecipientResult(each, Result.DELIVERED, reply(250, "ok", "2.0.0")) for each in recipients)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# -- emergencies -------------------------------------------------------------------------------------------------


async def test_an_emergency_acts_on_mail_that_arrives_after_it_and_waits_for_its_review(scene):
    """Clause M1: except in an emergency, which the agency declares itself and which is reviewed afterwards."""
    await scene.send(people(240))
    scene.now += 1
    case = scene.service.declare_emergency("DOA", HEAD, "Flood", 4)
    assert (case.permit.kind, case.permit.review, case.permit.uses) == ("emergency", "open", None)
    await scene.rechecks.run_due()
    assert scene.mailing().state == "held"  # it came before
    assert "queued" in (await scene.send(people(230))).text
    assert "queued" in (await scene.send(people(300), subject="Another", text=b"Stay away from the river")).text
    assert [each.id for each in scene.service.permits(Sought(review="open")).rows] == ["P-1"]
    scene.now += 4 * 3600 + 1
    assert "Held" in (await scene.send(people(300), subject="Third", text=b"The water has gone")).text
    with pytest.raises(NotAllowed, match="nobody decides their own"):
        scene.service.review_permit(1, HEAD, "fine")
    assert scene.service.review_permit(1, CIO, "fine").permit.review == "closed"
    assert scene.service.permits(Sought(review="open")).rows == []


DOAS, OTHERS = "boss@doa.example.gov", "boss@dphhs.example.gov"
LIMITED = f"  {DOAS}: {{roles: [approver], of: [DOA]}}\n  {OTHERS}: {{roles: [approver], of: [DPHHS]}}\nmailing:"


@pytest.fixture
def limited(store, tmp_path):
    """Two approvers more, each of one agency."""
    return Scene(store, tmp_path, RULES.replace("mailing:", LIMITED, 1))


async def test_who_takes_back_what_one_agency_may_send_is_no_approver_of_another(limited):
    await limited.send()
    limited.service.approve(1, CIO)
    limited.ask(subject="Another")
    limited.service.approve_request(1, CIO)
    for number in (1, 2):
        with pytest.raises(NotAllowed, match=rf"P-{number}: .* who may: boss@doa\.example\.gov, cio@"):
            limited.service.revoke(number, OTHERS, "not ours")
        assert limited.service.look_at_permit(number, OTHERS).may == frozenset()
    with pytest.raises(NotAllowed, match="R-1: "):
        limited.service.revoke_request(1, OTHERS, "not ours")
    limited.service.revoke(1, DOAS, "the form is wrong")
    limited.service.revoke_request(1, DOAS, "the form is wrong")
    assert {limited.permit(number).state for number in (1, 2)} == {"revoked"}


def test_an_approver_of_one_agency_declares_no_emergency_of_another(limited):
    with pytest.raises(NotAllowed, match="may not declare an emergency of DOA"):
        limited.service.declare_emergency("DOA", OTHERS, "Water", 2)
    assert limited.service.declare_emergency("DOA", DOAS, "Water", 2).permit.state == "in force"
    ruleset = limited.letterhead().ruleset
    assert [asked_for_agencies(ruleset, by) for by in (OTHERS, DOAS, CIO)] == [["DPHHS"], ["DOA"], ["DOA", "DPHHS"]]


async def test_who_may_declare_an_emergency_and_for_how_long(scene):
    with pytest.raises(NotAllowed, match="may not declare an emergency of DPHHS"):
        scene.service.declare_emergency("DPHHS", HEAD, "Flood", 4)
    with pytest.raises(LedgerError, match="an emergency is short"):
        scene.service.declare_emergency("DOA", HEAD, "Flood", 100)
    with pytest.raises(LedgerError, match="needs a reason"):
        scene.service.declare_emergency("DOA", CIO, " ", 1)


# -- exceptions, designated senders ------------------------------------------------------------------------------


async def test_an_instructor_may_write_to_the_students_of_a_class_and_to_nobody_else(store, tmp_path):
    """Clause T8: exemption by sender and list; clause C8: designated senders by list."""
    rule = RULES.replace("{users: {over: 200}, agencies: {over: 1}}", "{users: {over: 1}}")
    rule = rule.replace("    then: hold\n", "    unless: {designated: true}\n    then: hold\n")
    scene = Scene(store, tmp_path, rule)
    send = partial(scene.send, sender="clerk@doa.example.gov")
    assert "queued" in (await send(["class@univ.example.edu"], subject="one")).text
    assert "Held" in (await send(["class@univ.example.edu"], subject="two", authenticated=False)).text
    assert "Held" in (await send(["class@univ.example.edu", *people(9)], subject="three")).text
    assert "Held" in (await scene.send(["class@univ.example.edu"], subject="four")).text
    exempted = Exempted(Scope(frozenset({SENDER})), UNTIL, lists=("class@univ.example.edu",))
    scene.service.grant_exception(exempted, CIO, "teaches")
    assert "queued" in (await scene.send(["class@univ.example.edu"], subject="five")).text


async def test_designated_senders_of_an_agency(store, tmp_path):
    """Clause C8: a department head names the key individuals who send mass mail."""
    rules = RULES.replace("head: chief@doa.example.gov", f"head: chief@doa.example.gov, senders: [{SENDER}]")
    scene = Scene(
        store, tmp_path, rules.replace("    then: hold\n", "    unless: {designated: true}\n    then: hold\n")
    )
    assert "queued" in (await scene.send()).text
    assert "Held" in (await scene.send(sender="jo@doa.example.gov")).text


async def test_an_exception_needs_everyone_whom_the_rules_ask(store, tmp_path):
    scene = Scene(store, tmp_path, RULES.replace("    then: hold\n", f"    then: hold\n    ask: [approver, {HEAD}]\n"))
    with pytest.raises(NotAllowed, match=r"also needs the yes of head@doa\.example\.gov"):
        scene.service.grant_exception(Exempted(Scope(frozenset({SENDER})), UNTIL), CIO, "why not")


async def test_what_is_for_a_group_of_senders_is_for_its_members_alone(store, tmp_path):
    """Clause S1: approval may be agency-wide, for groups of employees, or for one employee."""
    scene = Scene(store, tmp_path, RULES + f"groups:\n  newsroom: [{SENDER}, editor@doa.example.gov]\n")
    scene.service.grant_exception(Exempted(Scope(groups=frozenset({"newsroom"})), UNTIL), CIO, "writes the news")
    assert scene.permit().scope == Scope(groups=frozenset({"newsroom"}))
    for number, sender in enumerate((SENDER, "editor@doa.example.gov")):
        text = b"The news of day %d" % number
        assert "queued" in (await scene.send(sender=sender, subject=f"news {number} of ours", text=text)).text
    assert "Held" in (await scene.send(sender="clerk@doa.example.gov", subject="no news", text=b"Anything")).text
    forged = await scene.send(sender="editor@doa.example.gov", subject="forged", text=b"Pay here", authenticated=False)
    assert "Held" in forged.text
    assert scene.mailing(4).reasons[0].rule == "approval"
    scene.service.revoke(1, CIO, "No longer")
    assert "Held" in (await scene.send(subject="more news", text=b"And yet more")).text


async def test_a_request_for_a_group_gives_a_permit_for_the_group(store, tmp_path):
    """Clause S1."""
    scene = Scene(store, tmp_path, RULES + f"groups:\n  newsroom: [{SENDER}]\n  desk: [clerk@doa.example.gov]\n")
    scene.ask(senders=("group:newsroom",))
    scene.service.approve_request(1, CIO)
    other = await scene.send(sender="clerk@doa.example.gov")
    assert "Held" in other.text and "the sender is not" in scene.mailing().reasons[0].text
    assert "queued" in (await scene.send()).text
    assert scene.permit().mailings == ("M-2",)


# -- a use that goes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["deny", "withdraw"])
async def test_a_mailing_that_is_closed_before_any_of_it_was_sent_gives_its_use_back(scene, closed):
    colleague = "jo@doa.example.gov"
    await scene.send(people(240))
    scene.ask(senders=(SENDER, colleague))
    scene.service.approve_request(1, CIO)
    await scene.rechecks.run_due()
    assert (scene.permit().used, scene.permit().state, scene.mailing().state) == (1, "used", "released")
    scene.service.narrow(1, CIO, "Fewer", Narrowed(max_users=230))  # before the queue has sent any of it
    assert scene.mailing().state == "held"
    if closed == "deny":
        scene.service.deny(1, DEPUTY, "Too many")
    else:
        scene.service.withdraw(1, SENDER, "Never mind")
    assert (scene.permit().used, scene.permit().state, scene.permit().mailings) == (0, "in force", ())
    assert scene.service.show_request(1).request.state == "approved"
    assert "queued" in (await scene.send(people(230), sender=colleague)).text
    assert (scene.permit().used, scene.permit().state) == (1, "used")
    assert scene.service.show_request(1).request.state == "used"


async def test_a_mailing_of_which_something_was_sent_keeps_its_use(scene):
    scene.ask()
    scene.service.approve_request(1, CIO)
    assert "queued" in (await scene.send(people(210))).text
    assert "Held" in (await scene.send(people(250))).text  # the same mailing has outgrown its permit
    assert scene.mailing().state == "held"
    scene.service.deny(1, DEPUTY, "Too many")
    assert (scene.permit().used, scene.permit().state) == (1, "used")
    assert "Held" in (await scene.send(people(240), text=b"Once more")).text


# -- suspensions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), [("sender", SENDER), ("agency", "DOA"), ("group", "newsroom")])
async def test_mass_mail_of_who_is_suspended_is_refused_and_other_mail_passes(store, tmp_path, kind, name):
    """Clause C10: violations have consequences."""
    scene = Scene(store, tmp_path, RULES + f"groups:\n  newsroom: [{SENDER}]\n")
    scene.service.suspend(kind, name, CIO, "Chain letters", UNTIL)
    refused = await scene.send(people(30))
    assert refused.code == 550 and "suspended until 2026-12-31: Chain letters" in refused.text
    assert "queued" in (await scene.send(people(3), subject="lunch")).text
    assert "queued" in (await scene.send(people(30), sender="x@dphhs.example.gov")).text
    assert [each.state for each in scene.service.suspensions("in force")] == ["in force"]
    scene.service.end_suspension(1, DEPUTY)
    assert "queued" in (await scene.send(people(30))).text


@pytest.mark.parametrize(("kind", "name"), [("sender", SENDER), ("agency", "DOA"), ("group", "newsroom")])
async def test_another_name_in_from_is_no_way_around_a_suspension(store, tmp_path, kind, name):
    """Clause C10: who is suspended is known by every name that the message is sent under."""
    scene = Scene(store, tmp_path, RULES + f"groups:\n  newsroom: [{SENDER}]\n")
    scene.service.suspend(kind, name, CIO, "Chain letters", UNTIL)
    other = scene.message(people(30), sender="x@dphhs.example.gov")
    sender_field = replace(other, content=f"Sender: {SENDER}\r\n".encode() + other.content)
    for forged in (
        replace(other, sender=SENDER),
        sender_field,
        replace(other, sender="", content=sender_field.content),
    ):
        assert "suspended until" in (await scene.pipeline.receive(forged, scene.hop)).text
    own_login = replace(other, sender=SENDER, login="x@dphhs.example.gov")
    assert "queued" in (await scene.pipeline.receive(own_login, scene.hop)).text


async def test_a_suspension_ends_by_itself_and_a_rule_of_its_own_decides(store, tmp_path):
    rule = "  - {id: chains, when: {mass: true, suspended: true}, then: hold, say: Ask us first.}\n"
    scene = Scene(store, tmp_path, RULES + rule)
    scene.service.suspend("sender", SENDER, CIO, "Chain letters", date(2026, 11, 24))
    assert "Held for approval" in (await scene.send(people(30))).text
    scene.now += 3 * DAY
    assert "queued" in (await scene.send(people(30), subject="new", text=b"something else")).text
    with pytest.raises(NotAllowed, match="may not suspend anybody"):
        scene.service.suspend("sender", SENDER, HEAD, "Chain letters", UNTIL)


# -- what rules see ----------------------------------------------------------------------------------------------


async def test_earlier_mass_mailings_of_the_source_and_to_an_audience_are_counted(store, tmp_path):
    """Clause T4: the office may limit number and frequency."""
    rules = RULES + (
        "  - {id: often, when: {mass: true, earlier: {within: 7d, at_least: 2}}, then: reject, say: Twice a week.}\n"
        "  - {id: tired, when: {mass: true, agencies: {includes: DPHHS}, earlier: {to: DPHHS, within: 7d, at_least: 3}}"
        ", then: reject, say: DPHHS has had enough.}\n"
    )
    scene = Scene(store, tmp_path, rules)
    for number in range(2):
        text = b"text number %d" % number
        assert (await scene.send(people(30), subject=f"matter {number} of ours", text=text)).code == 250
    again = await scene.send(people(30), subject="a third matter", text=b"and again")
    assert again.code == 550 and "(often)" in again.text
    other = partial(scene.send, people(30), sender="jo@dphhs.example.gov")
    assert (await other(subject="ours", text=b"ours")).code == 250
    assert "(tired)" in (await other(subject="more of ours", text=b"more")).text
    assert (await scene.send(people(5), subject="lunch")).code == 250
    scene.now += 8 * DAY
    assert (await scene.send(people(30), subject="a fourth matter", text=b"a new week")).code == 250


async def test_the_purpose_is_the_approved_requests_else_the_senders(store, tmp_path):
    """Clause T2: what a mailing is for."""
    rules = RULES.replace("people:\n", f"senders:\n  {SENDER}: {{purpose: newsletter}}\npeople:\n", 1)
    rules += "  - {id: news, when: {mass: true, purpose: newsletter}, then: reject, say: No newsletters.}\n"
    scene = Scene(store, tmp_path, rules)
    assert "(news)" in (await scene.send(people(30))).text
    scene.ask(users=230)
    assert "(news)" in (await scene.send(people(30))).text  # M3: asking is not being allowed
    scene.service.approve_request(1, CIO)
    assert (await scene.send(people(30))).code == 250


# -- taking back -------------------------------------------------------------------------------------------------


async def test_revoking_stops_what_has_not_left_waits_for_what_is_on_its_way_and_says_both(scene, monkeypatch):
    """Clause S5: the CIO may cancel any use; clause S3: what is not yet sent obeys at once."""
    monkeypatch.setattr("gatekeeper.background.delivery_queue._GROUP", 50)
    await scene.send(people(240))
    scene.service.approve(1, CIO)
    hop = Hop()
    queue = Queue(scene.store, hop, scene.letterhead, 60, clock=scene.clock)
    queue.start()
    await asyncio.wait_for(hop.busy.wait(), 30)  # the first group is on its way
    looks = []
    service = scene.service
    object.__setattr__(service, "pause", lambda seconds: looks.append(len(hop.taken)))
    revoking = asyncio.create_task(asyncio.to_thread(service.revoke, 1, DEPUTY, "The form is wrong"))
    await until(lambda: looks)
    assert not revoking.done() and hop.taken == []
    hop.go.set()
    case = await asyncio.wait_for(revoking, 30)
    sent = len(hop.taken)
    assert (case.stopped.sent, case.stopped.stopped) == (sent, 240 - sent) == (50, 190)
    await asyncio.sleep(0.1)
    assert len(hop.taken) == sent and scene.mailing().state == "held"
    assert "P-1 was revoked: The form is wrong" in scene.mailing().reasons[0].text
    scene.service.approve(1, CIO)  # anew: to the others, and to nobody twice
    queue.poke()
    await until(lambda: len(hop.taken) == 240)
    await queue.stop(10)
    assert sorted(hop.taken) == sorted(people(240))


@pytest.mark.parametrize("closed", ["deny", "withdraw"])
async def test_closing_waits_for_what_is_on_its_way_and_reports_only_the_others(scene, monkeypatch, closed):
    """What a revoke stopped is denied before the group that was on its way has been answered (S5)."""
    monkeypatch.setattr("gatekeeper.background.delivery_queue._GROUP", 50)
    await scene.send(people(240))
    scene.service.approve(1, CIO)
    hop, looks = Hop(), []
    queue = Queue(scene.store, hop, scene.letterhead, 60, clock=scene.clock)
    queue.start()
    await asyncio.wait_for(hop.busy.wait(), 30)
    service = scene.service
    object.__setattr__(service, "pause", lambda seconds: looks.append(time.sleep(0.01)))
    revoking = asyncio.create_task(asyncio.to_thread(service.revoke, 1, DEPUTY, "The form is wrong"))
    await until(lambda: looks)
    verb = partial(service.deny, 1, CIO, "No") if closed == "deny" else partial(service.withdraw, 1, SENDER, "No")
    closing = asyncio.create_task(asyncio.to_thread(verb))
    await asyncio.sleep(0.1)
    assert not closing.done() and not revoking.done()
    hop.go.set()
    stopped = (await asyncio.wait_for(revoking, 30)).stopped
    await asyncio.wait_for(closing, 30)
    assert (stopped.sent, stopped.stopped, len(hop.taken)) == (50, 190, 50)
    await queue.stop(10)
    assert sum(batch.tally.sent for batch in scene.service.show(1).batches) == 50
    assert (scene.permit().used, scene.permit().state) == (1, "revoked")


async def test_time_does_not_end_what_is_on_its_way(store, tmp_path, monkeypatch):
    monkeypatch.setattr("gatekeeper.background.delivery_queue._GROUP", 50)
    scene = Scene(store, tmp_path, RULES + "held: {expire: 1h}\n")
    await scene.send(people(240))
    scene.service.approve(1, CIO)
    hop = Hop()
    queue = Queue(store, hop, scene.letterhead, 9e9, clock=scene.clock)
    queue.start()
    await asyncio.wait_for(hop.busy.wait(), 30)
    service = scene.service
    revoking = asyncio.create_task(asyncio.to_thread(service.revoke, 1, DEPUTY, "The form is wrong"))
    await until(lambda: scene.mailing().state == "held")
    scene.now += 2 * 3600
    reminders = Reminders(store, scene.letterhead, clock=scene.clock)
    await reminders.attend()
    assert scene.mailing().state == "held"
    hop.go.set()
    await asyncio.wait_for(revoking, 30)
    await reminders.attend()
    assert scene.mailing().state == "expired"
    await queue.stop(10)


async def test_a_mailing_of_which_a_part_was_sent_keeps_its_use_when_the_rest_is_denied(scene, monkeypatch):
    monkeypatch.setattr("gatekeeper.background.delivery_queue._GROUP", 50)
    await scene.send(people(240))
    scene.ask()
    scene.service.approve_request(1, CIO)
    await scene.rechecks.run_due()
    hop = Hop()
    queue = Queue(scene.store, hop, scene.letterhead, 60, clock=scene.clock)
    queue.start()
    await asyncio.wait_for(hop.busy.wait(), 30)
    narrowing = asyncio.create_task(asyncio.to_thread(scene.service.narrow, 1, CIO, "Fewer", Narrowed(max_users=230)))
    await until(lambda: scene.mailing().state == "held")
    hop.go.set()
    assert (await asyncio.wait_for(narrowing, 30)).stopped.sent == 50
    await queue.stop(10)
    scene.service.deny(1, DEPUTY, "Too many")
    assert (scene.permit().used, scene.permit().state) == (1, "used")
    assert scene.service.show_request(1).request.state == "used"


@pytest.fixture
def postgres_scene(laid_out_url, tmp_path):
    """On Postgres, where others write while somebody reads."""
    store = Store(Database(laid_out_url, timeout=5))
    store.open()
    yield Scene(store, tmp_path)
    store.close()


async def test_what_was_sent_is_counted_though_it_ends_while_it_is_counted(postgres_scene, monkeypatch):
    scene = postgres_scene
    monkeypatch.setattr("gatekeeper.background.delivery_queue._GROUP", 50)
    await scene.send(people(240))
    scene.ask()
    scene.service.approve_request(1, CIO)
    await scene.rechecks.run_due()
    hop, loop = Hop(), asyncio.get_running_loop()
    queue = Queue(scene.store, hop, scene.letterhead, 60, clock=scene.clock)
    in_hand = stored_permits.in_hand

    def end_first(connection, batch_ids, now):
        """The group that is on its way arrives, and its answers are written, just before somebody looks for it."""
        if batch_ids and not hop.go.is_set():
            loop.call_soon_threadsafe(hop.go.set)
            wait_for(lambda: not in_hand(connection, batch_ids, now), lambda: "the job goes on")
        return in_hand(connection, batch_ids, now)

    monkeypatch.setattr(stored_permits, "in_hand", end_first)
    queue.start()
    await asyncio.wait_for(hop.busy.wait(), 30)
    narrowed = await asyncio.to_thread(scene.service.narrow, 1, CIO, "Fewer", Narrowed(max_users=230))
    assert narrowed.stopped.sent == 50
    await queue.stop(10)


async def test_a_message_that_a_permit_lets_pass_is_waited_for(scene):
    scene.ask()
    scene.service.approve_request(1, CIO)
    scene.hop.pause = 0.2
    sending = asyncio.create_task(scene.send(people(240)))
    await until(lambda: scene.permit().used)
    seen = []
    service = scene.service
    object.__setattr__(service, "pause", lambda seconds: seen.append(len(scene.hop.added)))
    case = await asyncio.to_thread(service.revoke_request, 1, CIO, "No")
    assert (await sending).code == 250 and len(scene.hop.added) == 1
    assert (case.stopped.sent, case.stopped.stopped, case.request.state) == (240, 0, "revoked")
    assert "it was revoked" in (await _held(scene, people(240)))[0].text


async def _held(scene, recipients):
    await scene.send(recipients)
    return scene.mailing().reasons


async def test_narrowing_holds_what_is_covered_no_more_and_releases_what_still_is(scene):
    """Clause S3: the CIO may re-evaluate and modify an approved use."""
    await scene.send(people(240))
    scene.service.approve(1, CIO)
    case = scene.service.narrow(1, CIO, "Fewer", Narrowed(max_users=230))
    assert (case.stopped.sent, case.stopped.stopped) == (0, 240) and scene.mailing().state == "held"
    await scene.rechecks.run_due()
    assert "240 users, permit allows 230" in scene.mailing().reasons[0].text
    with pytest.raises(LedgerError, match="P-1: it allows 230 users; narrowing cannot allow more"):
        scene.service.narrow(1, CIO, "More", Narrowed(max_users=900))
    scene.service.approve(1, CIO)
    scene.service.narrow(2, CIO, "Sooner", Narrowed(until=date(2026, 11, 24)))
    await scene.rechecks.run_due()
    assert scene.mailing().state == "released" and len(scene.releases()) == 1


async def test_an_approval_on_the_spot_may_allow_more_and_be_used_again(scene):
    await scene.send(people(240))
    with pytest.raises(LedgerError, match="it reaches 240 users; expected --max-users not below"):
        scene.service.approve(1, CIO, terms=Terms(max_users=200))
    scene.service.approve(1, CIO, terms=Terms(max_users=250, uses=2, until=UNTIL, binding="template"))
    assert "queued" in (await scene.send(people(250))).text
    scene.now += 2 * DAY
    assert "queued" in (await scene.send(people(250))).text  # another mailing
    assert (scene.permit().used, scene.permit().state) == (2, "used")


async def test_changes_asked_of_a_held_mailing_send_it_back(scene):
    """Clause S2: the CIO recommends changes."""
    await scene.send(people(240))
    assert scene.service.ask_changes(1, CIO, "Say whom to call").mailing.state == "returned"
    leased = scene.store.call(partial(jobs.lease, now=scene.now + 1, seconds=60, limit=50))
    reports = [job.content for job in leased if job.kind == jobs.DSN]
    assert len(reports) == 1 and b"Say whom to call" in reports[0]
