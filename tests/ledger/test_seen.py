"""What somebody approves is what they saw: versions, stale yeses, growth, parts; on both databases."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from gatekeeper.background.reminders import Reminders
from gatekeeper.ledger.service import LedgerError, Narrowed, Sought, Stale, Terms, Wanted
from gatekeeper.message.mailing_keys import keys
from gatekeeper.policy import agreement
from gatekeeper.store import versions
from tests.ledger.scene import CIO, DEPUTY, HEAD, RULES, SENDER, TEXT, Scene
from tests.notices.queued import take_mails
from tests.notices.reading import read, text_of
from tests.store.arrivals import arrival, limit, people

OTHER = b"Everybody gets a free phone, click here and say who you are and where you keep your money, all of you.\n"
TWO = RULES + "    ask: {any: 2, of: [approver]}\n"
LIKE = TEXT.replace(b"colleagues", b"friends")
STATE_OF_MONTANA = RULES.replace("  DPHHS:", "  OPI: {name: Schools, domains: [opi.example.gov]}\n  DPHHS:")


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, STATE_OF_MONTANA)


@pytest.fixture
def two(store, tmp_path):
    return Scene(store, tmp_path, TWO)


def version(scene, number=1):
    return scene.service.show(number).mailing.version


def sent_to(scene):
    """How many recipients are on their way."""
    case = scene.service.show(1)
    return sum(batch.tally.recipients for batch in case.batches if batch.state == "released")


def said(error):
    return " ".join(error.value.differences)


# -- approving what was seen -------------------------------------------------------------------------------------


async def test_what_came_after_somebody_looked_is_not_sent_and_each_difference_is_named(scene):
    await scene.send()
    seen = version(scene)
    await scene.send(people(400, "opi.example.gov"), text=OTHER)
    with pytest.raises(Stale) as error:
        scene.service.approve(1, CIO, seen=seen)
    text = said(error)
    assert "240 users then, 640 now" in text and "OPI" in text and "other content" in text
    assert (scene.mailing().state, sent_to(scene), scene.releases()) == ("held", 0, [])
    decision = scene.service.approve(1, CIO, seen=version(scene))
    assert decision.mailing.state == "released" and sent_to(scene) == 640


async def test_a_rule_that_holds_it_since_is_a_difference(store, tmp_path):
    more = "  - {id: huge, when: {users: {over: 300}}, then: hold, say: It is huge.}\n"
    scene = Scene(store, tmp_path, RULES + more)
    await scene.send()
    seen = version(scene)
    await scene.send(people(301))
    with pytest.raises(Stale, match="rules that did not hold it then: huge"):
        scene.service.approve(1, CIO, seen=seen)


async def test_people_outside_are_a_difference(scene):
    await scene.send()
    seen = version(scene)
    await scene.send(["a@example.org", "b@example.org"])
    with pytest.raises(Stale, match="0 people outside then, 2 now"):
        scene.service.approve(1, CIO, terms=Terms(max_users=900), seen=seen)


async def test_growth_within_the_terms_is_no_difference(scene):
    await scene.send()
    seen = version(scene)
    await scene.send(people(10, start=240))
    with pytest.raises(Stale, match="240 users then, 250 now"):
        scene.service.approve(1, CIO, seen=seen)
    decision = scene.service.approve(1, CIO, terms=Terms(max_users=300), seen=seen)
    assert decision.mailing.state == "released" and scene.permit().ceiling == 300


async def test_content_that_varies_is_covered_by_a_template_and_other_content_is_not(scene):
    await scene.send()
    seen = version(scene)
    await scene.send(text=LIKE)
    with pytest.raises(Stale, match="1 message of other content, in batch 2"):
        scene.service.approve(1, CIO, seen=seen)
    template = Terms(binding="template")
    await scene.send(text=OTHER)
    with pytest.raises(Stale, match=r"1 message of other content, in batch 3 \(the content has other links"):
        scene.service.approve(1, CIO, terms=template, seen=seen)


async def test_messages_that_differ_by_more_than_a_template_allows_are_bound_exactly(scene):
    await scene.send()
    await scene.send(text=TEXT + b"Please send all your money to our new office\n")
    with pytest.raises(LedgerError, match=r"its messages differ .* 9 words changed.*: expected --binding exact"):
        scene.service.approve(1, CIO, terms=Terms(binding="template"))


async def test_numbers_that_vary_among_what_was_approved_may_be_any_of_these(scene):
    for number in (b"4711 0815", b"4711 0816"):
        await scene.send(text=TEXT + b"Your number is " + number)
    scene.service.approve(1, CIO, terms=Terms(binding="template", uses=9))
    for number, told in ((b"4711 0816", "queued"), (b"4711 0817", "Held")):
        assert told in (await scene.send(text=TEXT + b"Your  number is " + number)).text


async def test_more_of_the_same_kind_is_released_by_a_template(scene):
    await scene.send()
    seen = version(scene)
    await scene.send(text=LIKE)
    assert scene.service.approve(1, CIO, terms=Terms(binding="template"), seen=seen).mailing.state == "released"


async def test_a_version_that_nobody_was_shown_is_an_error(scene):
    await scene.send()
    for verb in (scene.service.approve, scene.service.deny):
        with pytest.raises(LedgerError, match="--seen nonsense is no version of it"):
            verb(1, CIO, "because", seen="nonsense")
    await scene.send(subject="Another", text=OTHER)
    with pytest.raises(LedgerError):
        scene.service.approve(1, CIO, seen=version(scene, 2))
    assert scene.mailing().state == "held"


async def test_who_closes_a_mailing_by_what_they_saw_is_told_what_came_since(scene):
    await scene.send()
    seen = version(scene)
    await scene.send(people(1, start=240))
    for verb, by in (
        (scene.service.deny, CIO),
        (scene.service.ask_changes, CIO),
        (scene.service.withdraw, SENDER),
    ):
        with pytest.raises(Stale, match="240 users then, 241 now"):
            verb(1, by, "no", seen=seen)
    assert scene.service.deny(1, CIO, "no", seen=version(scene)).mailing.state == "denied"


async def test_what_arrives_after_an_approval_is_held_unless_its_terms_cover_it(scene):
    await scene.send()
    scene.service.approve(1, CIO, terms=Terms(max_users=245))
    assert "Held" not in (await scene.send(people(5, start=240))).text
    assert "Held for approval as M-1" in (await scene.send(people(1), text=OTHER)).text
    seen = version(scene)
    scene.service.approve(1, CIO, seen=seen)
    assert "Held for approval as M-1" in (await scene.send(people(1, start=245))).text


# -- versions ----------------------------------------------------------------------------------------------------


async def test_a_version_changes_with_what_is_to_be_seen_and_with_nothing_else(scene):
    await scene.send()
    first = version(scene)
    await scene.send()  # the same to the same people: held again, with nothing new
    assert version(scene) == first
    reminders = Reminders(scene.store, scene.letterhead, clock=scene.clock)
    for days in (0.01, 4, 8):  # told, reminded, passed on
        scene.now += days * 86_400
        await reminders.attend()
    acts = [event.act for event in scene.service.show(1).events]
    assert "told" in acts and "reminded" in acts and version(scene) == first
    found = [first]
    for change in (
        {"recipients": people(1, start=240)},
        {"recipients": people(9, "opi.example.gov")},
        {"text": OTHER},
    ):
        scene.now = scene.now - 12 * 86_400  # within a day of its beginning
        await scene.send(**change)
        found.append(version(scene))
    assert len(set(found)) == 4
    assert scene.service.mailings().rows[0].version == found[-1]


async def test_anothers_decision_is_another_version(two):
    await two.send()
    first = version(two)
    two.service.approve(1, CIO)
    second = version(two)
    two.service.approve(1, DEPUTY)
    assert len({first, second, version(two)}) == 3


async def test_becoming_held_again_with_nothing_new_is_no_change(scene):
    await scene.send()
    scene.service.approve(1, CIO)
    released = version(scene)
    scene.now += 5 * 86_400  # the permit's last day is over
    scene.store.call(partial(_begin_now, now=scene.now))
    assert "Held" in (await scene.send()).text
    assert (scene.mailing().state, version(scene)) == ("held", released)


def _begin_now(connection, now):
    connection.exec_driver_sql(f"UPDATE mailings SET started_at = {now}")


async def test_becoming_held_is_no_change_to_who_saw_it_being_gathered(store, tmp_path):
    gathering = RULES.replace("gather: off", "gather: {at: [120], quiet: 20s, limit: 5m}")
    scene = Scene(store, tmp_path, gathering)
    await scene.send(people(120))
    assert scene.mailing().state == "gathering"
    seen = version(scene)
    await scene.send(people(120, start=120))
    assert scene.mailing().state == "held"
    with pytest.raises(Stale) as error:
        scene.service.approve(1, CIO, seen=seen)
    assert error.value.differences == ("120 users then, 240 now",)
    assert scene.service.approve(1, CIO, terms=Terms(max_users=240), seen=seen).mailing.state == "released"


async def test_a_batch_that_an_earlier_program_kept_is_known_by_its_id(scene):
    """Nodes are upgraded one after the other: what an older one keeps has no place."""
    await scene.send()
    seen = version(scene)
    await scene.send(text=OTHER)
    scene.store.call(lambda connection: connection.exec_driver_sql("UPDATE batches SET place = NULL"))
    with pytest.raises(Stale, match="1 message of other content, in batch 2"):
        scene.service.approve(1, CIO, seen=seen)
    assert scene.service.approve(1, CIO, seen=seen, only_seen=True).mailing.state == "held"
    assert sent_to(scene) == 240


async def test_a_version_from_a_list_is_as_good(scene):
    await scene.send()
    (listed,) = scene.service.mailings(Sought(("held",))).rows
    await scene.send(text=OTHER)
    with pytest.raises(Stale, match="other content"):
        scene.service.approve(1, CIO, seen=listed.version)


async def test_states_are_forgotten_after_a_while(scene):
    await scene.send()
    seen = version(scene)
    await scene.send(text=OTHER)
    scene.store.call(partial(versions.forget, before=scene.now + 1))
    with pytest.raises(LedgerError, match="expected the version of `show --json`"):
        scene.service.approve(1, CIO, seen=seen)


async def test_a_version_that_is_shown_again_is_kept_for_longer(scene):
    await scene.send()
    seen = version(scene)
    scene.now += 2 * 86_400.0
    assert version(scene) == seen
    scene.now -= 2 * 86_400.0
    scene.store.call(partial(versions.forget, before=scene.now + 86_400.0))
    await scene.send(text=OTHER)
    with pytest.raises(Stale, match="other content"):
        scene.service.approve(1, CIO, seen=seen)


async def test_what_was_seen_of_a_mailing_is_nothing_of_the_one_that_it_becomes_part_of(store, scene):
    """Two held mailings to the same people turn out to be one: who has seen the second has not seen the first."""
    for number, digest in ((1, "a" * 8), (2, "b" * 8)):
        await held(store, f"Q{number}", f"{number}@x", subject=f"Subject {number}", digest=digest)
    await held(store, "Q2", "2@x", subject="Subject 2", digest="b" * 8, start=1)
    seen = version(scene, 2)
    await held(store, "Q1", "2@x", subject="Neither", digest="b" * 8, start=2)
    assert scene.mailing(2).id == "M-1"
    with pytest.raises(Stale, match="it is another mailing since"):
        scene.service.approve(2, CIO, seen=seen)
    for only_seen in (False, True):
        with pytest.raises(Stale):
            scene.service.approve(1, CIO, seen=seen, only_seen=only_seen)
    assert grown(scene)[-1].text == "240 to 242 users; 3 batches, 1 of other content"


async def held(store, queue_id, message_id, start=0, **more):
    one = arrival(people(240, start=start), message_id=message_id, **more)
    transaction = replace(one.transaction, upstream=f"{queue_id}@192.0.2.1")
    one = replace(one, transaction=transaction, keys=keys(transaction, one.facts, one.source))
    outcome = await store.decide(one, limit(200))
    assert outcome.batch and await store.keep(one, outcome.batch)


# -- yeses -------------------------------------------------------------------------------------------------------


async def test_a_yes_from_before_it_changed_counts_no_longer_and_can_be_given_again(two):
    await two.send()
    assert two.service.approve(1, CIO).missing
    await two.send(people(10, start=240), text=OTHER)
    case = two.service.show(1)
    assert (case.agreements.people, case.agreements.earlier) == ((), (CIO,)) and case.missing
    assert two.service.approve(1, DEPUTY).missing, "the first yes was to something else"
    assert (two.mailing().state, two.releases()) == ("held", [])
    assert two.service.approve(1, CIO).mailing.state == "released"
    assert sent_to(two) == 250


async def test_a_yes_is_kept_with_what_was_seen(two):
    await two.send()
    two.service.approve(1, CIO, terms=Terms(max_users=260))
    (yes,) = [event.details for event in two.service.show(1).events if event.act == "agreed"]
    assert (yes["seen"]["users"], yes["seen"]["agencies"], yes["seen"]["rules"]) == (
        240,
        ["DOA", "DPHHS"],
        ["approval"],
    )
    assert yes["terms"]["max_users"] == 260 and len(yes["seen"]["contents"]) == 1
    two.service.approve(1, DEPUTY)
    (last,) = [event.details for event in two.service.show(1).events if event.act == "approved"]
    assert last["seen"]["contents"] == yes["seen"]["contents"]


async def test_a_yes_whose_terms_cover_the_growth_still_counts_and_the_strictest_terms_hold(two):
    await two.send()
    two.service.approve(1, CIO, terms=Terms(max_users=300))
    await two.send(people(10, start=240))
    decision = two.service.approve(1, DEPUTY)
    assert decision.mailing.state == "released" and two.permit().ceiling == 250


async def test_a_yes_by_an_old_page_is_refused_though_another_is_missing(two):
    await two.send()
    seen = version(two)
    await two.send(text=OTHER)
    with pytest.raises(Stale):
        two.service.approve(1, CIO, seen=seen)
    assert not [event for event in two.service.show(1).events if event.act == "agreed"]


async def test_whose_yes_is_to_an_earlier_state_is_told_so_with_the_others(two):
    await two.send()
    reminders = Reminders(two.store, two.letterhead, clock=two.clock)
    two.now += 60
    await reminders.attend()
    two.service.approve(1, CIO)
    await two.send(text=OTHER)
    two.now += 5 * 86_400
    await reminders.attend()
    letters = {job.recipient: text_of(read(job.content)) for job in take_mails(two.store, two.now + 1)}
    assert f"Agreed to an earlier state: {CIO}" in " ".join(letters[CIO].split())
    assert f"Agreed to an earlier state: {CIO}" in " ".join(letters[DEPUTY].split())


# -- growth ------------------------------------------------------------------------------------------------------


def grown(scene):
    return [event for event in scene.service.show(1).events if event.act == "grew"]


async def test_what_arrives_for_a_held_mailing_is_in_its_timeline(scene):
    await scene.send()
    assert grown(scene) == []
    scene.now += 3600
    await scene.send(people(10, "opi.example.gov"), text=OTHER)
    (event,) = grown(scene)
    assert event.text == "240 to 250 users, also in OPI; 1 batch, 1 of other content"


async def test_many_batches_of_one_burst_are_one_event_that_says_by_how_much_it_grew(scene):
    await scene.send()
    for number in range(10):
        await scene.send(people(1, start=240 + number))
        scene.now += 4
    (event,) = grown(scene)
    assert event.text == "240 to 250 users; 10 batches"
    for number in range(23):
        await scene.send(people(1, start=250 + number))
        scene.now += 4
    events = grown(scene)
    assert len(events) == 3 and sum(event.details["batches"] for event in events) == 33
    spans = [event.details["users"] for event in events]
    assert spans[0][0] == 240 and spans[-1][1] == 273
    assert all(one[1] == other[0] for one, other in pairwise(spans))


async def test_what_came_before_and_after_a_yes_are_two_events(two):
    await two.send()
    await two.send(people(1, start=240))
    two.service.approve(1, CIO)
    await two.send(people(1, start=241))
    acts = [event.act for event in two.service.show(1).events if event.act in ("grew", "agreed", "held")]
    assert acts == ["held", "grew", "agreed", "grew"]


async def test_who_does_not_say_what_they_saw_is_told_what_came_in_the_last_minute(scene):
    await scene.send()
    scene.now += 3600
    await scene.send(people(10, start=240))
    scene.now += 59
    current = version(scene)
    decision = scene.service.approve(1, CIO)
    assert "240 to 250 users; 1 batch" in decision.grew and f"--seen {current}" in decision.grew
    assert decision.mailing.state == "released"


async def test_becoming_held_and_what_came_longer_ago_are_not_told(scene):
    await scene.send()
    await scene.send(people(10, start=240))
    scene.now += 61
    assert scene.service.deny(1, CIO, "no").grew == ""


# -- only what was seen ------------------------------------------------------------------------------------------


async def test_only_what_was_seen_is_sent_and_the_rest_stays_held(scene):
    await scene.send()
    seen = version(scene)
    await scene.send(people(400, "opi.example.gov"), text=OTHER)
    decision = scene.service.approve(1, CIO, seen=seen, only_seen=True)
    assert (decision.mailing.state, decision.permit) == ("held", "P-1")
    case = scene.service.show(1)
    assert [batch.state for batch in case.batches] == ["released", "held"] and sent_to(scene) == 240
    assert (scene.permit().ceiling, scene.permit().agencies) == (240, ("DOA", "DPHHS"))
    with pytest.raises(LedgerError, match="nothing of what was seen is held any more"):
        scene.service.approve(1, CIO, seen=seen, only_seen=True)
    assert scene.service.deny(1, CIO, "a fraud").mailing.state == "denied"
    assert [batch.state for batch in scene.service.show(1).batches] == ["released", "returned"]


async def test_who_was_not_sent_a_part_is_not_said_to_have_it(scene):
    """What was sent in part is counted in the successor of the rest, and nobody else is."""
    await scene.send()
    seen = version(scene)
    await scene.send(people(400, "opi.example.gov"), text=OTHER)
    scene.service.approve(1, CIO, seen=seen, only_seen=True)
    scene.service.deny(1, CIO, "a fraud")
    assert "Held for approval as M-2" in (await scene.send(people(1, start=240))).text
    assert (scene.mailing(2).counts.users, scene.mailing(2).reached_before) == (241, 240)


async def test_who_keeps_adding_does_not_make_every_yes_stale(two):
    await two.send()
    seen = version(two)
    await two.send(text=OTHER)
    assert two.service.approve(1, CIO, seen=seen, only_seen=True).missing
    await two.send(people(5, start=240), text=OTHER + b"And more.\n")
    decision = two.service.approve(1, DEPUTY, seen=seen, only_seen=True)
    assert decision.permit and sent_to(two) == 240
    case = two.service.show(1)
    assert case.mailing.state == "held" and case.agreements.people == () and case.missing
    assert two.service.approve(1, CIO).missing, "the yeses to a part are used up with it"


async def test_only_what_was_seen_where_nothing_came_is_all_of_it(scene):
    await scene.send()
    seen = version(scene)
    await scene.send()
    assert scene.service.approve(1, CIO, seen=seen, only_seen=True).mailing.state == "released"
    assert sent_to(scene) == 480


async def test_only_what_was_seen_is_all_of_it_where_just_another_has_agreed_since(two):
    await two.send()
    seen = version(two)
    assert two.service.approve(1, CIO, seen=seen, only_seen=True).missing
    assert two.service.approve(1, DEPUTY, seen=seen, only_seen=True).mailing.state == "released"


async def test_only_what_was_seen_needs_a_version(scene):
    await scene.send()
    with pytest.raises(LedgerError, match="expected the version"):
        scene.service.approve(1, CIO, only_seen=True)


def letters(scene):
    """The text of each mail that is queued, by recipient; and its subject before it."""
    mails = {job.recipient: read(job.content) for job in take_mails(scene.store, scene.now + 1)}
    return {to: " ".join(f"{mail['Subject']} | {text_of(mail)}".split()) for to, mail in mails.items()}


async def test_the_sender_learns_who_has_a_part_already_when_the_rest_is_held_and_when_it_is_denied(scene):
    await scene.send(people(150))
    await scene.send(people(110, start=150))
    text = letters(scene)[SENDER]
    assert "150 people have your message already. To the others it has not been sent yet." in text
    assert "Your message has not been sent yet" not in text and "Reaches: 260 users" in text
    scene.service.deny(1, CIO, "no")
    text = letters(scene)[SENDER]
    assert text.startswith("Not sent to everybody, not approved (M-1)"), text
    assert "150 people have your message already." in text and "and 100 other recipients" in text


async def test_where_nobody_has_it_the_sender_is_told_so(scene):
    await scene.send()
    assert "| Your message has not been sent yet. It is held" in letters(scene)[SENDER]
    scene.service.deny(1, CIO, "no")
    text = letters(scene)[SENDER]
    assert text.startswith("Not sent, not approved (M-1)") and "already" not in text and "on its way" not in text


async def test_the_report_of_a_denial_says_what_a_part_that_was_approved_has_reached(scene):
    await scene.send()
    seen = version(scene)
    await scene.send(people(400, "opi.example.gov"), text=OTHER)
    scene.service.approve(1, CIO, seen=seen, only_seen=True)
    letters(scene)
    scene.service.deny(1, CIO, "a fraud")
    text = letters(scene)[SENDER]
    assert "Not sent to everybody" in text and "Your message is on its way to 240 recipients." in text


async def test_the_sender_of_a_part_learns_that_it_is_one_and_of_all_who_agreed(two):
    await two.send()
    seen = version(two)
    await two.send(text=OTHER)
    two.service.approve(1, CIO, seen=seen, only_seen=True)
    letters(two)
    decision = two.service.approve(1, DEPUTY, seen=seen, only_seen=True)
    assert (decision.sending, decision.still_held) == (240, 240)
    text = letters(two)[SENDER]
    assert text.startswith("A part is approved (M-1)")
    assert f"A part of your message was approved by {CIO} and {DEPUTY}. It goes to 240 recipients" in text
    assert "What came after they had looked at it, for 240 recipients, is still held" in text
    two.service.approve(1, CIO)
    decision = two.service.approve(1, DEPUTY)
    assert (decision.sending, decision.still_held) == (240, 0)
    text = letters(two)[SENDER]
    assert text.startswith("Approved (M-1)") and "still held" not in text
    assert f"Your message was approved by {CIO} and {DEPUTY}. It goes to 240 recipients, as soon as the" in text


# -- requests and permits ----------------------------------------------------------------------------------------


def test_a_request_that_was_changed_since_it_was_looked_at(scene):
    request = scene.ask().request
    assert scene.service.requests().rows[0].version == request.version == scene.service.show_request(1).request.version
    scene.service.submit_again(1, Wanted(users=500, subject="Another"), HEAD)
    with pytest.raises(Stale) as error:
        scene.service.approve_request(1, CIO, seen=request.version)
    assert "240 users then, 500 now" in said(error) and "subject was Open enrolment, is Another" in said(error)
    for verb in (scene.service.deny_request, scene.service.ask_changes_of_request):
        with pytest.raises(Stale):
            verb(1, CIO, "no", seen=request.version)
    with pytest.raises(Stale):
        scene.service.withdraw_request(1, HEAD, seen=request.version)
    now = scene.service.show_request(1).request.version
    assert scene.service.approve_request(1, CIO, seen=now).permit == "P-1"
    with pytest.raises(Stale):
        scene.service.revoke_request(1, CIO, "no", seen=request.version)


def test_a_request_that_grew_is_covered_by_a_ceiling(scene):
    seen = scene.ask().request.version
    scene.service.submit_again(1, Wanted(users=500), HEAD)
    assert scene.service.approve_request(1, CIO, terms=Terms(max_users=240), seen=seen).permit == "P-1"
    assert scene.permit().ceiling == 240


def test_a_yes_to_a_request_from_before_it_was_changed_is_to_an_earlier_state(two):
    two.ask()
    assert two.service.approve_request(1, CIO).missing
    assert two.service.show_request(1).agreements.people == (CIO,)
    two.service.submit_again(1, Wanted(users=500), HEAD)  # at the same moment: the order counts, not the clock
    case = two.service.show_request(1)
    assert (case.agreements.people, case.agreements.earlier) == ((), (CIO,))
    assert two.service.approve_request(1, DEPUTY).missing
    assert two.service.approve_request(1, CIO).permit == "P-1"


async def test_a_permit_that_was_narrowed_since_it_was_looked_at(scene):
    await scene.send()
    scene.service.approve(1, CIO, terms=Terms(max_users=500))
    seen = scene.service.show_permit(1).permit.version
    assert scene.service.permits().rows[0].version == seen
    scene.service.narrow(1, CIO, "fewer", Narrowed(max_users=400))
    with pytest.raises(Stale, match="max users was 500, is 400"):
        scene.service.narrow(1, CIO, "fewer still", Narrowed(max_users=300), seen)
    with pytest.raises(Stale):
        scene.service.revoke(1, CIO, "no", seen)
    now = scene.service.show_permit(1).permit.version
    assert scene.service.revoke(1, CIO, "no", now).permit.state == "revoked"


async def test_messages_are_compared_once_and_not_while_others_wait(two, monkeypatch):
    """Whoever adds hundreds of bodies to a mailing that was agreed to by its kind must not stop the gate."""
    await two.send()
    two.service.approve(1, CIO, terms=Terms(binding="template"))
    for number in range(12):
        await two.send(people(1), text=OTHER + b"Number %d of them all.\n" % number)
    read, locked = [], []
    count = agreement.read_likeness
    monkeypatch.setattr(agreement, "read_likeness", lambda content: read.append(bool(locked)) or count(content))
    call = two.store.call
    monkeypatch.setattr(two.store, "call", lambda function: _locked(call, function, locked))
    agreement._likenesses.clear()
    for _ in range(3):
        assert two.service.show(1).agreements.earlier == (CIO,)
    assert read == [False, False], "what was seen, and the first that is unlike it"


async def test_what_a_template_binds_to_is_read_before_the_lock(scene, monkeypatch):
    await scene.send()
    for text in (LIKE, LIKE.replace(b"friends", b"fellows")):
        await scene.send(people(1), text=text)
    read, locked = [], []
    count, call = agreement.read_likeness, scene.store.call
    monkeypatch.setattr(agreement, "read_likeness", lambda content: read.append(bool(locked)) or count(content))
    monkeypatch.setattr(scene.store, "call", lambda function: _locked(call, function, locked))
    agreement._likenesses.clear()
    scene.service.approve(1, CIO, terms=Terms(binding="template"))
    assert read == [False] * 3


def _locked(call, function, locked):
    locked.append(True)
    try:
        return call(function)
    finally:
        locked.pop()
