"""Legal holds: nothing in the scope of one is destroyed by any path, until the last is released (policies C7, D2)."""

from __future__ import annotations

import threading
import time
from datetime import date
from functools import partial

import pytest
from sqlalchemy import insert, select, update

from gatekeeper.api.preserves import shown_preserve_document
from gatekeeper.audit.preserving import lines_kept
from gatekeeper.audit.recorder import Auditor
from gatekeeper.background.reminders import Reminders
from gatekeeper.ledger.cases import CaseWanted
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound
from gatekeeper.ledger.preserves import PreserveWanted
from gatekeeper.lifecycle import BatchState
from gatekeeper.ops.metrics import Metrics
from gatekeeper.pipeline.transaction_report import Reporter
from gatekeeper.store import audit_ageing, audit_rows, cases, cleanup, jobs, preserved, removal, versions
from gatekeeper.store.audit_ageing import Ageing
from gatekeeper.store.db.schema import audit_blocks, batches, bodies, mailings, seen_states
from gatekeeper.store.db.schema import jobs as job_rows
from gatekeeper.store.preserves import Scope
from tests.ledger.scene import CIO, SENDER, Scene
from tests.ledger.test_cases import AUDITOR, RECORDS, SMITH, WITH_RECORDS
from tests.store.arrivals import people

DAY = 86_400.0
GATHERING = WITH_RECORDS.replace("gather: off", "gather: {from: 20, quiet: 1s, limit: 5s}").replace(
    "mass: {people: {over: 20}}", "mass: {people: {over: 100}}"
)
LAWSUIT, REQUEST = SMITH, CaseWanted("Records of the department", "request")
CASE = 1


@pytest.fixture
def scene(store, tmp_path):
    """A gate that gathers, and an open case."""
    made = Scene(store, tmp_path, GATHERING)
    made.service.open_case(REQUEST, RECORDS)
    return made


def hold(scene, by=RECORDS, reason="Smith v. State", case=CASE, **wanted):
    return scene.service.preserve(PreserveWanted(case, **wanted), by, reason).hold


def release(scene, number=1, by=RECORDS):
    return scene.service.release_preserve(number, by, "over").hold


async def passed(scene, **more):
    """Thirty people have got a gathered message, which is ordinary mail."""
    await scene.send(people(30), **more)
    scene.now += 10
    await scene.gathers.end_due()
    scene.store.call(lambda connection: connection.execute(update(batches).values(state=BatchState.SENT.value)))
    scene.store.call(lambda connection: connection.execute(update(job_rows).values(state="done")))
    scene.now += 3600


def forget(scene):
    return scene.store.call(partial(cleanup.forget_passed, now=scene.now))


def bodies_left(scene):
    return len(scene.store.call(lambda connection: connection.execute(select(bodies.c.digest)).all()))


IN_SCOPE = {
    "its sender": {"custodians": (SENDER,)},
    "somebody who got it": {"custodians": (people(1)[0],)},
    "its sender in capitals, beside others": {"custodians": ("x@example.gov", SENDER.upper())},
    "the agency of its sender": {"agencies": ("DOA",)},
    "an agency that it reached": {"audiences": ("DOA",)},
    "words of its subject": {"subjects": ("ENROL",)},
    "its number": {"mailings": (1,)},
    "its number, whatever else is said": {"mailings": (1,), "subjects": ("parking",)},
    "its day": {"custodians": (SENDER,), "since": date(2026, 11, 23), "until": date(2026, 11, 23)},
    "all that is said": {"custodians": (SENDER,), "agencies": ("DOA",), "subjects": ("open",)},
}
OUT_OF_SCOPE = {
    "others": {"custodians": ("nobody@doa.example.gov",)},
    "another agency": {"agencies": ("DPHHS",)},
    "a list": {"audiences": ("class@univ.example.edu",)},
    "other words": {"subjects": ("parking",)},
    "a later day": {"custodians": (SENDER,), "since": date(2026, 11, 24)},
    "an earlier day": {"custodians": (SENDER,), "until": date(2026, 11, 22)},
    "not all that is said": {"custodians": (SENDER,), "subjects": ("parking",)},
}


@pytest.mark.parametrize("wanted", IN_SCOPE.values(), ids=IN_SCOPE)
async def test_what_is_in_the_scope_is_not_forgotten_until_the_hold_is_released(scene, wanted):
    await passed(scene)
    hold(scene, **wanted)
    assert (forget(scene), bodies_left(scene), scene.mailing().subject) == (0, 1, "Open enrolment")
    assert scene.service.show_preserve(1, AUDITOR).kept.first == ("M-1",)
    release(scene)
    assert (forget(scene), bodies_left(scene), scene.mailing().subject) == (1, 0, "")


@pytest.mark.parametrize("wanted", OUT_OF_SCOPE.values(), ids=OUT_OF_SCOPE)
async def test_what_is_not_in_the_scope_goes_as_ever(scene, wanted):
    await passed(scene)
    hold(scene, **wanted)
    assert scene.service.show_preserve(1, AUDITOR).kept.mailings == 0
    assert (forget(scene), bodies_left(scene)) == (1, 0)


async def test_a_hold_is_in_force_for_what_comes_later(scene):
    hold(scene, custodians=(SENDER,))
    await passed(scene)
    assert (forget(scene), bodies_left(scene)) == (0, 1)


async def test_what_is_kept_keeps_others_from_nothing(scene):
    """More is kept than is looked at once."""
    hold(scene, custodians=("kept@doa.example.gov",))
    for number in range(25):
        await passed(scene, sender="kept@doa.example.gov", subject=f"Kept {number}", text=f"{number} ".encode() * 90)
    await passed(scene, sender="free@doa.example.gov", subject="Free", text=b"free " * 90)
    assert (forget(scene), forget(scene), bodies_left(scene)) == (1, 0, 25)


async def test_it_is_free_when_the_last_of_several_holds_is_released(scene):
    await passed(scene)
    hold(scene, custodians=(SENDER,))
    hold(scene, agencies=("DOA",))
    release(scene, 1)
    assert forget(scene) == 0
    release(scene, 2)
    assert forget(scene) == 1


async def test_what_belongs_to_an_open_case_is_not_forgotten(scene):
    await passed(scene)
    assert scene.service.add_to_case(1, [1], RECORDS, "responsive").items == ["M-1"]
    assert scene.service.add_to_case(1, [1], RECORDS).items == ["M-1"], "once"
    assert forget(scene) == 0
    scene.service.close_case(1, RECORDS)
    assert forget(scene) == 1


async def test_what_becomes_part_of_another_mailing_stays_preserved_with_it(scene):
    for subject in ("Open enrolment", "Flu shots"):
        await passed(scene, subject=subject, text=f"{subject} ".encode() * 60)
    hold(scene, mailings=(2,))
    scene.service.add_to_case(1, [2], RECORDS)
    merged = update(mailings).where(mailings.c.number == 2).values(merged_into=1)
    scene.store.call(lambda connection: connection.execute(merged))
    scene.store.call(partial(cases.move_items, other=2, target=1))
    assert scene.store.call(partial(preserved.kept, keys={1})) == {1: ("H-1", "C-1")}
    assert scene.service.show_preserve(1, RECORDS).kept.first == ("M-1",)


async def test_the_name_of_a_mailing_that_is_merged_goes_unless_it_is_preserved(scene):
    for subject in ("Open enrolment", "Flu shots", "Parking"):
        await passed(scene, subject=subject, text=f"{subject} ".encode() * 60)
    hold(scene, mailings=(2,))
    for number in (2, 3):
        scene.store.call(partial(removal.point_to, mailing=number, target=1))
    subjects = select(mailings.c.subject).order_by(mailings.c.id)
    assert scene.store.call(lambda c: c.execute(subjects).scalars().all()) == ["Open enrolment", "Flu shots", None]


# -- ordinary mail, of which there are hashes ----------------------------------------------------------------------


async def test_hashes_of_ordinary_mail_of_a_custodian_stay(scene):
    """Clause D2; the mail of others goes as ever (D4)."""
    got = "mary@doa.example.gov"
    await scene.send(["a@doa.example.gov"], sender=SENDER, subject="lunch", text=b"at noon? " * 30)
    await scene.send([got], sender="jo@doa.example.gov", subject="tea", text=b"at four? " * 30)
    await scene.send(["b@doa.example.gov"], sender="ann@doa.example.gov", subject="day", text=b"all day? " * 30)
    hold(scene, custodians=(SENDER,))
    hold(scene, custodians=(got,))
    scene.now += 10 * DAY
    ordinary = partial(cleanup.forget_ordinary, before=scene.now - DAY)
    assert scene.store.call(ordinary) == 1
    release(scene, 1)
    assert scene.store.call(ordinary) == 1
    release(scene, 2)
    assert scene.store.call(ordinary) == 1
    assert scene.store.call(lambda connection: connection.execute(select(mailings.c.id)).all()) == []


async def recorded_days(scene, *senders):
    """A block of records for each sender, on a day of its own."""
    auditor = Auditor(scene.store, "worker-1")
    scene.store.now = scene.clock
    scene.pipeline.report = Reporter(Metrics(), auditor).report
    for number, sender in enumerate(senders):
        await scene.send(people(2), sender=sender, subject=f"day {number}", text=f"{number} words ".encode() * 30)
        auditor.flush()
        scene.now += DAY
    auditor.stop()


def age(scene, days=30.0):
    ageing = Ageing(scene.now - days * DAY, keeps=lines_kept)
    return scene.store.call(partial(audit_ageing.age, ageing=ageing, now=scene.now))


def verified(scene):
    """The records that are gone from the middle of a chain, and what is wrong."""
    found, problems = scene.store.writer.read(audit_rows.verify_all)
    return [gap for one in found for gap in one.gaps], [one.problem for one in found if one.problem] + problems


async def test_records_of_a_custodian_stay_and_the_gap_behind_them_is_named(scene):
    await recorded_days(scene, "ann@doa.example.gov", SENDER, "jo@doa.example.gov", "kim@doa.example.gov")
    hold(scene, custodians=(SENDER,))
    scene.now += 40 * DAY
    aged = age(scene)
    assert (aged.records, len(aged.spared)) == (3, 1)
    assert age(scene).records == 0
    assert verified(scene) == (["records 3 to 3 have aged out", "records 4 to 4 have aged out"], [])
    release(scene)
    assert age(scene).records == 1
    assert verified(scene) == ([], [])


async def test_a_gap_that_no_act_explains_is_found(scene):
    await recorded_days(scene, "ann@doa.example.gov", SENDER, "jo@doa.example.gov")
    empty = update(audit_blocks).where(audit_blocks.c.first == 2, audit_blocks.c.chain_id != 1).values(payload=b"")
    scene.store.call(lambda connection: connection.execute(empty))
    gaps, problems = verified(scene)
    assert (gaps, problems) == ([], ["records 2 to 2 are gone, and no act says so"])


async def test_records_of_what_a_hold_keeps_stay_with_it(scene):
    await recorded_days(scene, "ann@doa.example.gov")
    await scene.send(people(240), subject="Flu shots")
    hold(scene, subjects=("flu",))
    scene.now += 40 * DAY
    before = scene.store.call(partial(preserved.kept, keys={2}))
    assert set(before.values()) == {("H-1",)}
    assert age(scene).records == 1


@pytest.mark.parametrize(
    "subject", ["Bu\u0308rger  VERSAMMLUNG", "B\u00fcrger\u00ad versamm\u200blung", "Burger versammlung"]
)
async def test_words_of_a_subject_are_in_the_scope_however_they_are_written(scene, subject):
    """Accents as letters of their own, blanks and what shows nothing lead nothing out of a hold."""
    await scene.send(people(240), subject=subject)
    hold(scene, subjects=("b\u00fcrger versammlung",))
    assert list(scene.store.call(partial(preserved.kept, keys={1})).values()) == [("H-1",)]


async def test_without_somebody_who_reads_records_none_goes_while_something_is_preserved(scene):
    await recorded_days(scene, "ann@doa.example.gov")
    hold(scene, custodians=(SENDER,))
    scene.now += 40 * DAY
    ageing = Ageing(scene.now - DAY)
    assert scene.store.call(partial(audit_ageing.age, ageing=ageing, now=scene.now)).records == 0


async def test_what_people_were_shown_stays_while_something_is_preserved(scene):
    scene.store.call(lambda c: c.execute(insert(seen_states).values(version="v", state={}, at=1.0)))
    hold(scene, custodians=(SENDER,))
    shown = lambda: scene.store.call(lambda c: c.execute(select(seen_states.c.version)).all())  # noqa: E731
    scene.store.call(partial(versions.forget, before=scene.now))
    assert len(shown()) == 1
    release(scene)
    scene.store.call(partial(versions.forget, before=scene.now))
    assert shown() == []


# -- in force when the command returns -----------------------------------------------------------------------------


def test_who_is_removing_something_is_waited_for(store, tmp_path):
    """On Postgres several write at once; SQLite has one writer."""
    scene = Scene(store, tmp_path, GATHERING)
    scene.service.open_case(REQUEST, RECORDS)
    if store.database.is_sqlite:
        return
    placed = threading.Thread(target=partial(hold, scene, custodians=(SENDER,)))
    with store.database.engine.begin() as connection:
        removal.free(connection, [1])
        placed.start()
        time.sleep(0.3)
        assert placed.is_alive(), "it is not in force for what this transaction removes"
    placed.join(10)
    assert not placed.is_alive() and scene.service.preserves(RECORDS)[0].state == "in force"


# -- who may -------------------------------------------------------------------------------------------------------


def test_a_hold_needs_a_case_that_is_open_a_reason_and_a_scope(scene):
    with pytest.raises(NotFound, match="C-9: no such case"):
        hold(scene, case=9, custodians=(SENDER,))
    with pytest.raises(LedgerError, match="a hold needs a reason"):
        hold(scene, reason=" ", custodians=(SENDER,))
    with pytest.raises(LedgerError, match="a hold needs a scope"):
        hold(scene, since=date(2026, 1, 1))
    for wanted, text in (
        ({"custodians": ("jo",)}, "custodian 'jo': expected an address"),
        ({"agencies": ("DOT",)}, "agency 'DOT': expected the id of an agency of rules.yaml: DOA, DPHHS"),
        ({"audiences": ("DOT",)}, "audience 'DOT': expected the id of an agency, or the address of a list"),
        ({"mailings": (7,)}, "M-7: no such mailing"),
        (
            {"subjects": ("x",), "since": date(2026, 2, 1), "until": date(2026, 1, 1)},
            "until 2026-01-01 is before since",
        ),
    ):
        with pytest.raises(LedgerError, match=text):
            hold(scene, **wanted)
    scene.service.close_case(1, RECORDS)
    with pytest.raises(LedgerError, match="C-1: it is closed"):
        hold(scene, custodians=(SENDER,))


@pytest.mark.parametrize("by", [CIO, AUDITOR])
def test_only_a_records_officer_places_and_releases(scene, by):
    with pytest.raises(NotAllowed, match="may not place a hold; who may"):
        hold(scene, by=by, custodians=(SENDER,))
    hold(scene, custodians=(SENDER,))
    with pytest.raises(NotAllowed, match="may not"):
        release(scene, by=by)
    assert release(scene).state == "released"
    with pytest.raises(LedgerError, match="H-1: it is released"):
        release(scene)


def test_the_hold_of_a_lawsuit_is_released_by_two_people(scene):
    scene.service.open_case(LAWSUIT, RECORDS)
    hold(scene, case=2, custodians=(SENDER,))
    with pytest.raises(NotAllowed, match="may not release a hold"):
        release(scene, by=AUDITOR)
    signed = release(scene)
    assert (signed.state, signed.agreed_by) == ("in force", RECORDS)
    with pytest.raises(NotAllowed, match=r"H-1: records@example\.gov has signed its release; another has to"):
        release(scene)
    with pytest.raises(NotAllowed, match="may not look at holds"):
        release(scene, by=CIO)
    assert release(scene, by=AUDITOR).released_by == AUDITOR
    acts = [(event.act, event.by) for event in scene.service.show_preserve(1, AUDITOR).events]
    assert acts == [
        ("preserved", RECORDS),
        ("custodians told", RECORDS),
        ("release signed", RECORDS),
        ("hold released", AUDITOR),
    ]
    assert verified(scene) == ([], [])


# -- custodians ----------------------------------------------------------------------------------------------------


def letters(scene):
    return [job for job in scene.store.call(jobs.waiting_jobs) if job["kind"] == "notice"]


async def test_custodians_are_told_reminded_and_acknowledge(scene):
    hold(scene, custodians=(SENDER, "jo@doa.example.gov"))
    assert [letter["recipient"] for letter in letters(scene)] == ["jo@doa.example.gov", SENDER]
    scene.service.acknowledge_preserve(1, SENDER)
    reminders = Reminders(scene.store, scene.letterhead, clock=scene.clock)
    await reminders.attend()
    assert len(letters(scene)) == 2
    scene.now += 3 * DAY
    await reminders.attend()
    await reminders.attend()
    assert [letter["recipient"] for letter in letters(scene)][2:] == ["jo@doa.example.gov"], (
        "who has not acknowledged it"
    )
    scene.service.acknowledge_preserve(1, RECORDS, "jo@doa.example.gov")
    scene.now += 30 * DAY
    await reminders.attend()
    assert len(letters(scene)) == 3
    people_ = scene.service.show_preserve(1, RECORDS).hold.custodians
    assert all(one.acknowledged_at for one in people_)
    with pytest.raises(NotFound, match=r"H-1: records@example\.gov is no custodian of such a hold"):
        scene.service.acknowledge_preserve(1, RECORDS)


async def test_a_silent_hold_tells_nobody_and_is_hidden_from_its_custodians(scene):
    hold(scene, custodians=(SENDER,), silent=True)
    scene.now += 30 * DAY
    await Reminders(scene.store, scene.letterhead, clock=scene.clock).attend()
    assert letters(scene) == []
    with pytest.raises(LedgerError, match="H-1: it is silent: nobody is told of it"):
        scene.service.notify_custodians(1, RECORDS)
    for by in (SENDER, CIO):
        with pytest.raises(NotAllowed, match="may not look at holds"):
            scene.service.acknowledge_preserve(1, by)
        with pytest.raises(NotAllowed, match="may not look at holds"):
            scene.service.show_preserve(1, by)


def test_a_custodian_sees_of_a_hold_what_they_were_told(scene):
    """Not who the others are, which mailings it keeps, nor what was done about it."""
    hold(scene, custodians=(SENDER, "jo@doa.example.gov"), subjects=("flu",), agencies=("DOA",))
    shown = scene.service.acknowledge_preserve(1, SENDER)
    assert [one.address for one in shown.hold.custodians] == [SENDER] and shown.hold.custodians[0].acknowledged_at
    assert shown.hold.scope == Scope(custodians=(SENDER,), subjects=("flu",))
    assert (shown.events, shown.kept) == ((), None)
    assert shown_preserve_document(shown)["keeps"] is None
    whole = scene.service.acknowledge_preserve(1, RECORDS, "jo@doa.example.gov")
    assert len(whole.hold.custodians) == 2 and whole.kept and len(whole.events) == 4


def test_who_may_not_know_of_a_hold_learns_nothing_by_its_number(scene):
    hold(scene, custodians=(SENDER,), silent=True)
    verbs = (
        lambda number: scene.service.acknowledge_preserve(number, SENDER),
        lambda number: scene.service.show_preserve(number, SENDER),
        lambda number: release(scene, number, SENDER),
        lambda number: scene.service.notify_custodians(number, SENDER),
    )
    for verb in verbs:
        said = []
        for number in (1, 2):
            with pytest.raises(LedgerError) as refused:
                verb(number)
            said.append((type(refused.value), str(refused.value)))
        assert said[0] == said[1] and said[0][0] is NotAllowed, said


async def test_who_signs_besides_need_not_be_an_auditor(store, tmp_path):
    """`records: {second: approver}`: they see what they are to sign, and what waits for them alone."""
    rules = GATHERING.replace("rules:\n", "records: {second: approver}\nrules:\n", 1)
    scene = Scene(store, tmp_path, rules)
    scene.service.open_case(LAWSUIT, RECORDS)
    hold(scene, custodians=(SENDER,))
    for look in (release, lambda scene, by: scene.service.show_preserve(1, by)):
        with pytest.raises(NotAllowed, match="may not look at holds"):
            look(scene, by=CIO)
    release(scene)
    assert scene.service.show_preserve(1, CIO).hold.agreed_by == RECORDS
    assert release(scene, by=CIO).released_by == CIO
    with pytest.raises(NotAllowed, match="may not look at holds"):
        scene.service.show_preserve(1, CIO)


def test_what_somebody_changes_of_a_hold_is_found(scene):
    hold(scene, custodians=(SENDER,))
    taken = "DELETE FROM custodians"
    scene.store.call(lambda connection: connection.exec_driver_sql(taken))
    _, problems = verified(scene)
    assert problems == [f"H-1: custodians is [], and the last act left ['{SENDER}']"]
