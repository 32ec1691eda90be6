"""What is due and signed is destroyed, and nothing else; a certificate says what (policies C1, C6, C7, D2)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import zlib
from functools import partial

import pytest
from sqlalchemy import insert, select, text, update

from gatekeeper.api.disposals import certificate_page
from gatekeeper.archive import disposing
from gatekeeper.archive.certificate import certificate_of, problems_of_certificates
from gatekeeper.archive.disposing import Disposing
from gatekeeper.archive.text_duty import TextDuty
from gatekeeper.ledger import disposals
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound
from gatekeeper.ledger.preserves import PreserveWanted
from gatekeeper.lifecycle import BatchState, MailingState
from gatekeeper.store import Database, Store, audit_rows, removal, texts
from gatekeeper.store.db.schema import batch_recipients, batches, bodies, body_chunks, disposal_items, mailings
from gatekeeper.store.db.schema import disposals as stored
from gatekeeper.store.db.schema import jobs as job_rows
from gatekeeper.store.destroying import destroy_slice
from gatekeeper.store.disposals import digest_of
from tests.archive.scene import killed_at
from tests.ledger.scene import CIO, HEAD, Scene
from tests.ledger.test_cases import AUDITOR, RECORDS, SMITH, WITH_RECORDS
from tests.store.arrivals import people

DAY = 86_400.0
SCHEDULE = """\
records:
  schedule: General Records Schedule 7, 2025
  backups: 35d
  classes:
    held: {keep: 30d, cite: GS7-20}
    mass: {keep: 10d, cite: GS7-21, dispose: automatic}
"""
RULES = WITH_RECORDS.replace("rules:\n", SCHEDULE + "rules:\n", 1).replace(
    "gather: off", "gather: {from: 20, quiet: 1s, limit: 5s}"
)
WORDS = (b"zebra", b"Quagga", b"okapi")


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, RULES)


def words(number):
    return b"Zebra number %d looks for a Quagga. " % number * 60


async def held(scene, number=0, decide=True, **more):
    """A mailing that was held, and denied."""
    everyone = [f"okapi{number}.{each}@{agency}.example.gov" for each in range(110) for agency in ("doa", "dphhs")]
    await scene.send(everyone, **{"subject": f"Animals {number}", "text": words(number), **more})
    scene.now += 10
    await scene.gathers.end_due()
    newest = scene.service.mailings().rows[0]
    if decide:
        scene.service.deny(int(newest.id[2:]), CIO, "not now")
        settle(scene)
    return newest.id


def settle(scene):
    """All letters are sent."""
    scene.store.call(lambda connection: connection.execute(update(job_rows).values(state="done", content=None)))


def duty(scene, store=None):
    return Disposing(lambda: scene.active_policy.current.ruleset, store or scene.store, scene.clock, share=1.0)


def propose(scene, by=RECORDS):
    return scene.service.propose_disposal("held", by)


def sign(scene, number=1, by=AUDITOR, **more):
    return scene.service.sign_disposal(number, by, **more)


def show(scene, number=1):
    return scene.service.show_disposal(number, AUDITOR)


def verified(scene):
    def look(connection):
        found, problems = audit_rows.verify_all(connection)
        problems += problems_of_certificates(connection)
        return [one.problem for one in found if one.problem] + problems, audit_rows.destroyed(connection)

    return scene.store.writer.read(look)


def rows(scene, table):
    return scene.store.call(lambda connection: connection.execute(select(table)).all())


def traces(scene):
    """Which of the words are in which file of an SQLite database, plain or in anything that inflates."""
    found = {}
    for path in scene.store.database.path.parent.glob(f"{scene.store.database.path.name}*"):
        octets = path.read_bytes()
        packed = b"".join(inflated(octets))
        found[path.name] = {word for word in WORDS if word.lower() in octets.lower() or word.lower() in packed.lower()}
    return {name: words for name, words in found.items() if words}


def indexed(scene):
    """Whether the index of words has one, in any of its segments."""
    blocks = "SELECT block FROM text_words_data"
    rows = scene.store.call(lambda connection: connection.execute(text(blocks)).scalars().all())
    return any(b"zebra" in block for block in rows)


def inflated(octets):
    for start in re.finditer(rb"x[\x01\x5e\x9c\xda]", octets):
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj().decompress(octets[start.start() :], 1 << 20)


async def test_what_is_due_and_signed_is_gone_from_every_file_and_the_line_of_the_mailing_stays(scene):
    await held(scene, 1)
    await held(scene, 2)
    before = scene.mailing()
    scene.now += 31 * DAY
    await held(scene, 3)
    proposed = propose(scene)
    assert (proposed.disposal.id, proposed.disposal.state, proposed.disposal.items) == ("D-1", "proposed", 2)
    assert {item.name for item in proposed.items} == {"M-1", "M-2"}
    await duty(scene).attend()
    assert len(rows(scene, bodies)) == 3, "it waits for the second signature"
    sign(scene, digest=proposed.disposal.digest)
    await duty(scene).attend()
    done = show(scene)
    assert (done.disposal.state, done.counts) == (
        "done",
        {"listed": 0, "destroyed": 2, "elsewhere": 0, "kept": 0},
    )
    after = scene.mailing()
    assert (after.destroyed, after.id, after.state, after.subject) == ("D-1", "M-1", "denied", "Animals 1")
    assert (after.counts, after.batches, after.started_at) == (before.counts, before.batches, before.started_at)
    case = scene.service.show(1)
    assert case.batches == () or list(case.batches) == []
    assert [event.text for event in case.events if event.act == "content destroyed"] == ["D-1"]
    assert len(rows(scene, bodies)) == 1 and len(rows(scene, batch_recipients)) == 220
    problems, destroyed = verified(scene)
    assert problems == []
    assert destroyed == [f"D-1: content of 2 messages is destroyed; certificate {done.disposal.certificate}"]


async def test_no_file_of_the_database_has_a_word_of_it(scene):
    """SQLite: removed rows are overwritten, and the log is emptied; Postgres: no dead row is left."""
    await held(scene, 1)
    await TextDuty(scene.store).read()
    assert scene.store.call(partial(texts.ids_with, words=["zebra"])), "its words are searched"
    scene.now += 31 * DAY
    propose(scene)
    sign(scene)
    if scene.store.database.is_sqlite:
        assert len(traces(scene)) > 0, "the test finds what is there"
        assert indexed(scene), "also in the index of words"
    await duty(scene).attend()
    assert show(scene).disposal.state == "done"
    assert not scene.store.call(partial(texts.ids_with, words=["zebra"]))
    if scene.store.database.is_sqlite:
        assert traces(scene) == {} and not indexed(scene)
    else:
        dead = "SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE relname IN ('bodies', 'body_chunks', 'batches')"
        with scene.store.database.engine.connect() as connection:
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
            assert not connection.execute(text(dead)).scalar()
        assert rows(scene, body_chunks) == []


async def test_the_certificate_says_what_by_whom_and_until_when_backups_have_it(scene):
    await held(scene, 1)
    digest = bytes(rows(scene, bodies)[0].digest).hex()
    scene.now += 31 * DAY
    propose(scene)
    sign(scene)
    await duty(scene).attend()
    shown = show(scene)
    document = certificate_of(shown.disposal, shown.items)
    assert {name: document[name] for name in ("certificate", "class", "schedule", "cite", "keep", "list")} == {
        "certificate": "D-1",
        "class": "held",
        "schedule": "General Records Schedule 7, 2025",
        "cite": "GS7-20",
        "keep": "30d",
        "list": shown.disposal.digest,
    }
    assert (document["proposed_by"], document["signed_by"], document["signature_needed"]) == (RECORDS, AUDITOR, True)
    assert (document["destroyed"], document["kept"], document["items"][0]["mailing"]) == (1, 0, "M-1")
    assert document["items"][0]["sha256"] == digest and document["items"][0]["destroyed"]
    assert document["copies_in_backups_expire"] == "2027-01-28"
    page = certificate_page(document, shown.disposal.certificate)
    assert all(each in page for each in (digest, "GS7-20", RECORDS, AUDITOR, "2027-01-28", shown.disposal.certificate))
    assert "src=" not in page and "href=" not in page


# -- who may -------------------------------------------------------------------------------------------------------


async def test_nobody_signs_what_they_have_proposed_and_only_who_may(scene):
    await held(scene, 1)
    with pytest.raises(LedgerError, match="class held: nothing is due that is neither preserved nor proposed"):
        propose(scene)
    scene.now += 31 * DAY
    for by in (CIO, AUDITOR, HEAD):
        with pytest.raises(NotAllowed, match="may not propose a disposal; who may"):
            propose(scene, by=by)
    propose(scene)
    for look in (scene.service.disposals, partial(scene.service.show_disposal, 1)):
        with pytest.raises(NotAllowed):
            look(HEAD)
        assert look(AUDITOR)
    with pytest.raises(NotAllowed, match=f"D-1: {RECORDS} may not sign it; who may: {AUDITOR}"):
        sign(scene, by=RECORDS)
    with pytest.raises(LedgerError, match=r"D-1: its list is [0-9a-f]{64}, and not the one that was looked at"):
        sign(scene, digest="0" * 64)
    with pytest.raises(NotFound, match="D-7: no such disposal"):
        sign(scene, 7)
    with pytest.raises(LedgerError, match="nothing is due"):
        propose(scene)
    sign(scene)
    with pytest.raises(LedgerError, match="D-1: it is signed; sign is for a disposal that is proposed"):
        sign(scene)
    with pytest.raises(LedgerError, match="D-1: it is signed; withdraw is for a disposal"):
        scene.service.withdraw_disposal(1, RECORDS)


async def test_who_is_both_does_not_sign_their_own(store, tmp_path):
    scene = Scene(store, tmp_path, RULES.replace("{roles: [records]}", "{roles: [records, auditor]}"))
    await held(scene, 1)
    scene.now += 31 * DAY
    propose(scene)
    with pytest.raises(NotAllowed, match=r"D-1: records@example\.gov has proposed it; nobody signs what they"):
        sign(scene, by=RECORDS)


async def test_who_signs_sees_what_they_sign_whatever_their_role(store, tmp_path):
    scene = Scene(store, tmp_path, RULES.replace("  backups: 35d\n", "  backups: 35d\n  second: approver\n"))
    await held(scene, 1)
    scene.now += 31 * DAY
    propose(scene)
    assert scene.service.show_disposal(1, CIO).items[0].name == "M-1"
    assert [one.id for one in scene.service.disposals(CIO)] == ["D-1"]
    assert sign(scene, by=CIO).disposal.signed_by == CIO
    with pytest.raises(NotAllowed, match="may not look at disposals"):
        scene.service.show_disposal(1, HEAD)


async def test_what_is_withdrawn_can_be_proposed_again(scene):
    await held(scene, 1)
    scene.now += 31 * DAY
    propose(scene)
    assert scene.service.withdraw_disposal(1, RECORDS, "too early").disposal.state == "withdrawn"
    assert propose(scene).disposal.id == "D-2"
    await duty(scene).attend()
    assert len(rows(scene, bodies)) == 1 and verified(scene) == ([], [])


@pytest.mark.parametrize(
    ("name", "text_"),
    [
        (
            "decisions",
            "class 'decisions': expected one of held, mass, ledger, access, certificates; decisions go by themselves",
        ),
        ("mass", "class mass is destroyed without a signature"),
    ],
)
def test_what_nobody_proposes_is_said(scene, name, text_):
    with pytest.raises(LedgerError, match=text_):
        scene.service.propose_disposal(name, RECORDS)


# -- what stays ----------------------------------------------------------------------------------------------------


async def test_what_is_preserved_is_not_listed_and_what_was_preserved_since_falls_out(scene):
    for number in (1, 2, 3):
        await held(scene, number)
    scene.service.open_case(SMITH, RECORDS)
    preserve = lambda *numbers: scene.service.preserve(PreserveWanted(1, mailings=numbers), RECORDS, "Smith")  # noqa: E731
    preserve(1)
    scene.now += 31 * DAY
    assert {item.name for item in propose(scene).items} == {"M-2", "M-3"}
    sign(scene)
    preserve(2)
    await duty(scene).attend()
    assert [(item.name, item.state, item.why) for item in show(scene).items] == [
        ("M-2", "kept", "H-2"),
        ("M-3", "destroyed", None),
    ]
    assert len(rows(scene, bodies)) == 2 and verified(scene)[0] == []
    with pytest.raises(removal.Preserved):
        scene.store.call(partial(removal.destroy_contents, listed={1: []}, disposal=1, now=scene.now))


async def test_only_who_may_see_holds_reads_which_one_keeps_something(store, tmp_path):
    """A certificate leaves the house, and who signs may be anybody: both say that it is preserved."""
    scene = Scene(store, tmp_path, RULES.replace("  backups: 35d\n", "  backups: 35d\n  second: approver\n"))
    await held(scene, 1)
    scene.service.open_case(SMITH, RECORDS)
    scene.now += 31 * DAY
    propose(scene)
    sign(scene, by=CIO)
    scene.service.preserve(PreserveWanted(1, mailings=(1,), silent=True), RECORDS, "Smith")
    await duty(scene).attend()
    assert [item.why for item in show(scene).items] == ["H-1"]
    assert [item.why for item in scene.service.show_disposal(1, CIO).items] == ["it is preserved"]
    assert certificate_of(show(scene).disposal, show(scene).items)["items"][0]["why"] == "it is preserved"
    assert verified(scene)[0] == []


async def test_a_mailing_of_an_open_case_stays(scene):
    await held(scene, 1)
    scene.service.open_case(SMITH, RECORDS)
    scene.service.add_to_case(1, [1], RECORDS)
    scene.now += 31 * DAY
    with pytest.raises(LedgerError, match="nothing is due"):
        propose(scene)
    scene.service.close_case(1, RECORDS)
    assert propose(scene).disposal.items == 1


async def test_a_message_that_something_else_needs_stays_for_that(scene):
    await held(scene, 1)
    await held(scene, 2)
    one, two = rows(scene, bodies)
    same = update(batches).where(batches.c.body == two.digest).values(body=one.digest)
    scene.store.call(lambda connection: connection.execute(same))
    scene.service.open_case(SMITH, RECORDS)
    scene.service.preserve(PreserveWanted(1, mailings=(2,)), RECORDS, "Smith")
    scene.now += 31 * DAY
    propose(scene)
    sign(scene)
    await duty(scene).attend()
    assert show(scene).counts["elsewhere"] == 1 and one.digest in {row.digest for row in rows(scene, bodies)}
    assert list(scene.service.show(2).batches) and not list(scene.service.show(1).batches)
    assert verified(scene)[0] == []


async def test_what_is_open_again_stays(scene):
    await held(scene, 1)
    scene.now += 31 * DAY
    propose(scene)
    sign(scene)
    again = update(mailings).values(state=MailingState.HELD.value)
    scene.store.call(lambda connection: connection.execute(again))
    await duty(scene).attend()
    assert [item.why for item in show(scene).items] == ["it is open again"] and len(rows(scene, bodies)) == 1


async def test_of_two_lists_that_were_made_at_once_one_destroys(scene):
    await held(scene, 1)
    scene.now += 31 * DAY
    service = scene.service
    wanted, found = service._see(disposals.find_due, "held", by=RECORDS)
    for number in (1, 2):
        assert service._do(disposals.begin, wanted, by=RECORDS) == number
        service._do(disposals.add_items, number, 0, found, by=RECORDS)
        service._do(disposals.propose, number, digest_of(found), by=RECORDS)
        sign(scene, number)
    await duty(scene).attend()
    assert [item.state for item in show(scene, 1).items] == ["destroyed"]
    assert [(item.state, item.why) for item in show(scene, 2).items] == [("kept", "it is gone already")]
    events = [event.act for event in scene.service.show(1).events]
    assert events.count("content destroyed") == 1 and verified(scene)[0] == []


async def test_a_large_mailing_is_destroyed_a_slice_at_a_time(scene):
    """So that mail does not wait for it; a hold that is placed meanwhile keeps the rest."""
    for number in range(4):
        await held(scene, number, decide=False, subject="Animals", text=words(1) + b"%d " % number * 9)
    scene.service.deny(1, CIO, "not now")
    settle(scene)
    scene.now += 31 * DAY
    assert propose(scene).disposal.items == 4
    sign(scene)
    a_slice = partial(destroy_slice, number=1, now=scene.now, limit=2)
    assert scene.store.call(partial(a_slice, limit=1)) == 1
    assert scene.store.call(a_slice) == 2
    assert (show(scene).counts["destroyed"], len(rows(scene, bodies))) == (3, 1)
    scene.service.open_case(SMITH, RECORDS)
    scene.service.preserve(PreserveWanted(1, mailings=(1,)), RECORDS, "Smith")
    assert (scene.store.call(a_slice), scene.store.call(a_slice), len(rows(scene, bodies))) == (1, 0, 1)
    assert show(scene).counts == {"listed": 0, "destroyed": 3, "elsewhere": 0, "kept": 1}
    assert [event.act for event in scene.service.show(1).events].count("content destroyed") == 1
    await duty(scene).attend()
    assert show(scene).disposal.state == "done" and verified(scene)[0] == []


async def test_mass_mail_that_passed_goes_without_a_signature_once_a_day(scene):
    """Twenty people and more are mass mail here; it was gathered, so its content is there."""
    for number in (1, 2):
        await scene.send(people(30), subject=f"Animals {number}", text=words(number))
        scene.now += 10
        await scene.gathers.end_due()
    sent = update(batches).values(state=BatchState.SENT.value)
    scene.store.call(lambda connection: connection.execute(sent))
    settle(scene)
    scene.now += 9 * DAY
    await duty(scene).attend()
    assert len(rows(scene, bodies)) == 2
    scene.now += 2 * DAY
    await duty(scene).attend()
    done = show(scene)
    assert (done.disposal.state, done.disposal.automatic, done.disposal.signed_by) == ("done", True, None)
    assert rows(scene, bodies) == [] and verified(scene)[0] == []
    await duty(scene).attend()
    assert len(scene.service.disposals(AUDITOR)) == 1


def test_a_slice_is_as_large_as_mail_does_not_feel_and_pauses_by_how_long_it_took():
    pace = disposing.Pace()
    for _ in range(100):
        pace.note(0.001)
    assert (pace.limit, pace.pause) == (25, pytest.approx(1 / 30))
    for _ in range(3):
        pace.note(0.030)
    assert (pace.limit, pace.pause) == (5, 1.0), "the writer is at work for 3 % of the time"
    pace.note(60.0)
    assert (pace.limit, pace.pause) == (5, 1.0), "it goes on, whatever keeps it"


# -- kills ---------------------------------------------------------------------------------------------------------


def stopped_at(scene, name, work):
    """Do something with a scene in a process of its own that is killed at a step; True where it came so far."""

    def alone():
        store = Store(Database(scene.store.database.url.render_as_string(hide_password=False), 5))
        store.open()
        scene.store = store
        work(scene)

    return killed_at(name, alone)


def attend_alone(scene):
    asyncio.run(duty(scene).attend())


@pytest.mark.parametrize("name", ["disposal-listed", "disposal-slice", "disposal-cleared", "disposal-done"])
async def test_killed_at_any_step_nothing_is_half_and_nothing_is_destroyed_twice(scene, name, monkeypatch):
    monkeypatch.setattr(disposing, "_SLICE", 1)
    monkeypatch.setattr(disposing, "_LEAST_SLICE", 1)
    for number in (1, 2):
        await held(scene, number)
    scene.now += 31 * DAY
    if name == "disposal-listed":
        assert stopped_at(scene, name, propose)
        assert (show(scene).disposal.state, len(rows(scene, bodies))) == ("listing", 2)
        await duty(scene).attend()
        scene.now += 2 * 3600
        await duty(scene).attend()
        assert show(scene).disposal.state == "withdrawn"
        propose(scene)
        sign(scene, 2)
    else:
        propose(scene)
        sign(scene)
        assert stopped_at(scene, name, attend_alone)
        assert len(rows(scene, bodies)) == (1 if name == "disposal-slice" else 0)
    await duty(scene).attend()
    done = show(scene, 2 if name == "disposal-listed" else 1)
    assert (done.disposal.state, done.counts["destroyed"], rows(scene, bodies)) == ("done", 2, [])
    acts = [event.act for event in done.events]
    assert acts.count("destroyed") == 1 and acts[-1] == "destroyed"
    events = [event.act for event in scene.service.show(1).events]
    assert events.count("content destroyed") == 1
    assert verified(scene)[0] == []


# -- what somebody changes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        (update(disposal_items).values(octets=1), "D-1: its list is not the one that was proposed"),
        (
            update(disposal_items).values(state="kept"),
            "D-1: what it says of its items is not what its certificate says",
        ),
        (text("UPDATE disposals SET signed_by = 'cio@example.gov'"), "D-1: signed_by is 'cio@example.gov'"),
        (text("DELETE FROM disposal_items"), "M-1: its content is gone, and no certificate says so"),
        (text("UPDATE disposals SET certificate = '0'"), "D-1: certificate is '0'"),
    ],
)
async def test_a_gap_that_no_certificate_explains_is_found(scene, changes, found):
    await held(scene, 1)
    scene.now += 31 * DAY
    propose(scene)
    sign(scene)
    await duty(scene).attend()
    scene.store.call(lambda connection: connection.execute(changes))
    assert any(problem.startswith(found) for problem in verified(scene)[0]), verified(scene)[0]


def test_all_disposals_are_verified_however_many_there_are(scene):
    """A class that needs no signature has one a day."""
    one = dict.fromkeys(("schedule", "cite", "keep", "proposed_by"), "") | {"class": "mass", "state": "done"}
    one |= {"cutoff": 0.0, "automatic": True, "items": 0, "octets": 0, "digest": "0" * 64, "proposed_at": 0.0}
    made = [{**one, "number": number} for number in range(1, 1_102)]
    scene.store.call(lambda connection: connection.execute(insert(stored), made))
    wrong = scene.store.call(lambda c: list(audit_rows.problems_of_disposals(c)))
    assert len(wrong) == 1_101 and "D-1: its list is not the one that was proposed" in wrong
    assert len(scene.store.call(lambda c: list(problems_of_certificates(c)))) == 1_101
    assert len(scene.store.call(audit_rows.destroyed)) == 1_101
    assert len(scene.service.disposals(AUDITOR)) == 1_000


async def test_content_that_somebody_else_removed_is_found(scene):
    await held(scene, 1)
    scene.store.call(lambda connection: connection.execute(update(batches).values(body=b"")))
    assert verified(scene)[0] == ["M-1: its content is gone, and no certificate says so"]
