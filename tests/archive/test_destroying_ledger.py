"""The ledger, acts and certificates are destroyed by the schedule as content is; a line of each stays (C1, C7, D2)."""

from __future__ import annotations

import json
from datetime import date
from functools import partial

import pytest
from sqlalchemy import select, text, update

from gatekeeper.api.disposals import certificate_page, shown_disposal_document
from gatekeeper.archive import disposing
from gatekeeper.archive.certificate import certificate_of
from gatekeeper.archive.text_duty import TextDuty
from gatekeeper.audit.retention import Retention
from gatekeeper.ledger.cases import CaseWanted
from gatekeeper.ledger.context import LedgerError
from gatekeeper.ledger.preserves import PreserveWanted
from gatekeeper.store import audit_chain, audit_rows, removal, texts
from gatekeeper.store.db.schema import (
    audit_blocks,
    batches,
    bodies,
    case_items,
    events,
    mailing_people,
    mailings,
    matter_people,
    permit_scopes,
    permits,
    preserves,
    requests,
    seen_states,
)
from gatekeeper.store.permits import expire_permits
from tests.archive.test_disposing import (
    DAY,
    RULES,
    attend_alone,
    duty,
    held,
    inflated,
    rows,
    settle,
    stopped_at,
    verified,
)
from tests.ledger.scene import CIO, HEAD, TODAY, Scene
from tests.ledger.test_cases import AUDITOR, RECORDS

LEDGER = "    ledger: {keep: 60d, cite: GS7-14}\n    access: {keep: 90d, cite: GS7-12}\n    certificates: {keep: 90d}\n"
WITH_LEDGER = RULES.replace("  classes:\n", "  classes:\n" + LEDGER, 1)
NAMES = (b"Animals 1", b"okapi1", b"Reindeer", b"Wombat")


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, WITH_LEDGER)


async def destroy(scene, name="ledger"):
    """What is due of a class is proposed, signed and destroyed; what was shown of it then."""
    number = scene.service.propose_disposal(name, RECORDS).disposal.number
    scene.service.sign_disposal(number, AUDITOR)
    await duty(scene).attend()
    return scene.service.show_disposal(number, AUDITOR)


async def denied(scene, number=1):
    """A mailing that was held and denied, whose content is destroyed; its ledger is not due yet."""
    await held(scene, number)
    scene.now += 31 * DAY
    await destroy(scene, "held")


def names(shown):
    return {item.name: item.state for item in shown.items}


def line(scene, table, number=1):
    query = select(table).where(table.c.number == number)
    return scene.store.call(lambda connection: connection.execute(query).mappings().one())


def words_in(scene, words):
    """Which of the words are in the files of an SQLite database, outside of the chain of acts, which stays longer."""
    acts = {row.payload for row in rows(scene, audit_blocks)}
    found = set()
    for path in scene.store.database.path.parent.glob(f"{scene.store.database.path.name}*"):
        octets = path.read_bytes()
        for payload in acts:
            octets = octets.replace(payload, b"")
        found |= {word for word in words if word in octets or any(word in each for each in inflated(octets))}
    return found


# -- mailings --------------------------------------------------------------------------------------------------------


async def test_of_a_mailing_a_line_stays_with_number_times_counts_and_state(scene):
    await denied(scene)
    before = scene.mailing()
    with pytest.raises(LedgerError, match="class ledger: nothing is due"):
        await destroy(scene)
    scene.now += 40 * DAY
    (counted,) = scene.service.due(RECORDS, "ledger")
    assert counted.due.number == 1
    done = await destroy(scene)
    assert (names(done), done.disposal.state) == ({"M-1": "destroyed"}, "done")
    after = scene.mailing()
    assert (after.id, after.state, after.disposed, after.destroyed) == ("M-1", "denied", "D-2", "D-1")
    assert (after.counts.users, after.started_at, after.sent) == (before.counts.users, before.started_at, before.sent)
    assert (after.sender, after.subject, after.reasons) == ("", "", ())
    assert [event.act for event in scene.service.show(1).events] == ["record destroyed"]
    for table in (batches, mailing_people, matter_people, seen_states):
        assert rows(scene, table) == [], table
    problems, said = verified(scene)
    assert problems == []
    assert said[1] == f"D-2: 1 of class ledger are destroyed; certificate {done.disposal.certificate}"
    document = certificate_of(done.disposal, done.items)
    assert (document["class"], document["cite"], document["destroyed"]) == ("ledger", "GS7-14", 1)
    assert document["items"][0]["record"] == "M-1" and "M-1" in certificate_page(document, "0")
    assert shown_disposal_document(done)["list_items"][0]["record"] == "M-1"
    with pytest.raises(LedgerError, match="nothing is due"):
        await destroy(scene)


async def test_no_file_of_the_database_has_a_word_of_it_but_the_acts(scene):
    await denied(scene)
    scene.ask("Reindeer", planned=date(2026, 12, 24), subject="Wombat")
    scene.service.deny_request(1, CIO, "no")
    settle(scene)
    await TextDuty(scene.store).read()
    if scene.store.database.is_sqlite:
        assert words_in(scene, NAMES) >= {b"Animals 1", b"Wombat"}, "the test finds what is there"
    scene.now += 61 * DAY
    assert names(await destroy(scene)) == {"M-1": "destroyed", "R-1": "destroyed"}
    assert not scene.store.call(partial(texts.ids_with, words=["wombat"]))
    if scene.store.database.is_sqlite:
        assert words_in(scene, NAMES) == set()
    assert verified(scene)[0] == []


async def test_content_keeps_its_ledger(scene):
    await held(scene, 1)
    scene.now += 100 * DAY
    with pytest.raises(LedgerError, match="nothing is due"):
        await destroy(scene)
    await destroy(scene, "held")
    assert names(await destroy(scene)) == {"M-1": "destroyed"}


async def test_what_is_preserved_stays_and_so_does_what_was_preserved_since(scene):
    for number in (1, 2):
        await held(scene, number)
    scene.now += 31 * DAY
    await destroy(scene, "held")
    case = int(scene.service.open_case(CaseWanted("Smith", "request"), RECORDS).case.id[2:])
    scene.service.add_to_case(case, [1], RECORDS)
    scene.now += 61 * DAY
    listed = scene.service.propose_disposal("ledger", RECORDS)
    assert names(listed) == {"M-2": "listed"}
    scene.service.preserve(PreserveWanted(case, mailings=(2,)), RECORDS, "Smith")
    scene.service.sign_disposal(2, AUDITOR)
    await duty(scene).attend()
    done = scene.service.show_disposal(2, AUDITOR)
    assert [(item.name, item.state, item.why) for item in done.items] == [("M-2", "kept", "H-1")]
    assert line(scene, mailings, 2)["subject"] == "Animals 2" and verified(scene)[0] == []
    with pytest.raises(removal.Preserved):
        scene.store.call(partial(removal.destroy_matter, kind="mailing", key=1, disposal=9, now=scene.now))


async def test_killed_in_the_middle_it_goes_on(scene, monkeypatch):
    monkeypatch.setattr(disposing, "_SLICE", 1)
    monkeypatch.setattr(disposing, "_LEAST_SLICE", 1)
    for number in (1, 2):
        await held(scene, number)
    scene.now += 31 * DAY
    await destroy(scene, "held")
    scene.now += 40 * DAY
    scene.service.propose_disposal("ledger", RECORDS)
    scene.service.sign_disposal(2, AUDITOR)
    assert stopped_at(scene, "disposal-slice", attend_alone)
    assert set(names(scene.service.show_disposal(2, AUDITOR)).values()) == {"destroyed", "listed"}
    assert verified(scene)[0] == []
    await duty(scene).attend()
    assert set(names(scene.service.show_disposal(2, AUDITOR)).values()) == {"destroyed"}
    assert verified(scene)[0] == []


async def test_without_a_signature_where_the_schedule_says_so(store, tmp_path):
    scene = Scene(store, tmp_path, WITH_LEDGER.replace("cite: GS7-14}", "cite: GS7-14, dispose: automatic}"))
    await denied(scene)
    scene.now += 40 * DAY
    await duty(scene).attend()
    done = scene.service.show_disposal(2, AUDITOR)
    assert (done.disposal.name, done.disposal.automatic, names(done)) == ("ledger", True, {"M-1": "destroyed"})
    assert verified(scene)[0] == []


# -- requests, permits, suspensions, cases ---------------------------------------------------------------------------


def permitted(scene):
    """A request that was approved; its permit holds for weeks."""
    scene.ask("Reindeer", planned=TODAY)
    scene.service.approve_request(1, CIO, "yes")
    settle(scene)


def expire(scene):
    scene.store.call(partial(expire_permits, now=scene.now))


async def test_a_request_stays_while_its_permit_holds_and_goes_with_it(scene):
    permitted(scene)
    far = scene.now + 200 * DAY
    scene.store.call(lambda connection: connection.execute(update(permits).values(until=far)))
    scene.now += 100 * DAY
    with pytest.raises(LedgerError, match="nothing is due"):
        await destroy(scene)
    scene.now += 101 * DAY
    expire(scene)
    settle(scene)
    with pytest.raises(LedgerError, match="nothing is due"):
        await destroy(scene)
    scene.now += 61 * DAY
    assert names(await destroy(scene)) == {"R-1": "destroyed", "P-1": "destroyed"}
    asked, given = line(scene, requests), line(scene, permits)
    assert (asked["subject"], asked["requester"], asked["state"], asked["disposed"]) == ("", "", "expired", 1)
    assert (given["subject"], given["given_by"], given["state"], given["disposed"]) == ("", "", "expired", 1)
    assert rows(scene, permit_scopes) == [] and rows(scene, matter_people) == []
    said = {event.act for event in rows(scene, events) if event.disposal_id is None}
    assert said == {"record destroyed"}, "what happened to both goes with the last of them"
    assert scene.service.show_request(1).request.id == "R-1"
    assert [one.id for one in scene.service.permits().rows] == ["P-1"]


async def test_a_permit_of_a_mailing_that_is_preserved_stays_with_its_request(scene):
    permitted(scene)
    await scene.send()
    (mailing,) = scene.service.mailings().rows
    case = int(scene.service.open_case(CaseWanted("Smith", "request"), RECORDS).case.id[2:])
    scene.service.add_to_case(case, [int(mailing.id[2:])], RECORDS)
    settle(scene)
    scene.now += 400 * DAY
    expire(scene)
    settle(scene)
    scene.now += 61 * DAY
    with pytest.raises(LedgerError, match="nothing is due"):
        await destroy(scene)
    scene.service.close_case(case, RECORDS)
    assert {"R-1", "P-1"} <= names(await destroy(scene)).keys()
    assert verified(scene)[0] == []


@pytest.mark.parametrize(
    ("scope", "stays"),
    [
        ({"custodians": (HEAD,)}, True),
        ({"custodians": ("jo@doa.example.gov",)}, False),
        ({"agencies": ("DOA",)}, True),
        ({"agencies": ("DPHHS",)}, False),
        ({"audiences": ("DPHHS",)}, True),
        ({"subjects": ("enrol",)}, True),
        ({"subjects": ("parking",)}, False),
        ({"agencies": ("DOA",), "subjects": ("parking",)}, False),
        ({"agencies": ("DOA",), "until": date(2026, 11, 1)}, False),
        ({"mailings": (1,)}, False),
    ],
)
async def test_a_request_in_the_scope_of_a_hold_stays(scene, scope, stays):
    await held(scene, 1)
    scene.ask("Reindeer", planned=date(2026, 12, 24))
    scene.service.deny_request(1, CIO, "no")
    settle(scene)
    case = int(scene.service.open_case(CaseWanted("Smith", "request"), RECORDS).case.id[2:])
    scene.service.preserve(PreserveWanted(case, **{"silent": True, **scope}), RECORDS, "Smith")
    scene.now += 61 * DAY
    if stays:
        with pytest.raises(LedgerError, match="nothing is due"):
            await destroy(scene)
    else:
        assert names(await destroy(scene)) == {"R-1": "destroyed"}


async def test_a_suspension_goes_once_it_is_over(scene):
    scene.service.suspend("sender", "wombat@doa.example.gov", CIO, "Wombats", date(2026, 12, 10))
    scene.now += 61 * DAY
    with pytest.raises(LedgerError, match="nothing is due"):
        await destroy(scene)
    scene.now += 30 * DAY
    assert names(await destroy(scene)) == {"S-1": "destroyed"}
    (shown,) = scene.service.suspensions()
    assert (shown.id, shown.name, shown.reason) == ("S-1", "", "") and verified(scene)[0] == []


async def test_a_case_goes_with_its_holds_and_what_was_done_for_it(scene):
    await held(scene, 1)
    case = int(scene.service.open_case(CaseWanted("Wombat v. State", "request"), RECORDS).case.id[2:])
    scene.service.add_to_case(case, [1], RECORDS)
    scene.service.preserve(PreserveWanted(case, mailings=(1,), silent=True), RECORDS, "Wombat")
    scene.now += 100 * DAY
    scene.service.release_preserve(1, RECORDS, "over")
    scene.service.close_case(case, RECORDS)
    scene.now += 61 * DAY
    assert names(await destroy(scene)) == {"C-1": "destroyed", "H-1": "destroyed"}
    assert scene.service.show_case(1, RECORDS).case.title == ""
    assert line(scene, preserves)["reason"] == "" and rows(scene, case_items) == []
    assert verified(scene)[0] == []


# -- acts ------------------------------------------------------------------------------------------------------------


def acts(scene):
    def read(connection):
        chain = connection.execute(audit_chain.acts_chain()).first()
        blocks = audit_chain.blocks_of(connection, chain.id)
        return [json.loads(line) for block in blocks for line in audit_chain.lines_of(connection, block)]

    return scene.store.call(read)


def looked(scene, number, about="queue retry"):
    """An act that vouches for nothing: somebody looked."""
    act = {"at": scene.now, "act": about, "by": CIO, "number": number}
    scene.store.call(partial(audit_chain.note, act=act))


async def test_acts_that_vouch_for_nothing_go_and_the_gap_is_named(scene):
    looked(scene, 1)
    await held(scene, 1)
    looked(scene, 2)
    scene.now += 31 * DAY
    looked(scene, 3)
    scene.now += 60 * DAY
    (counted,) = scene.service.due(RECORDS, "access")
    assert counted.due.number == 2
    done = await destroy(scene, "access")
    assert {item.state for item in done.items} == {"destroyed"} and len(done.items) == 2
    assert [act["number"] for act in acts(scene) if act["act"] == "queue retry"] == [3]
    assert any(act["act"] == "denied" for act in acts(scene)), "it vouches for the event, which is here"
    reports, problems = scene.store.call(audit_rows.verify_all)
    assert problems == [] and not any(one.problem for one in reports)
    assert [gap.split()[-3:] for gap in reports[0].gaps] == [["are", "destroyed,", "D-1"]] * 2
    assert verified(scene)[1] == [f"D-1: 2 of class access are destroyed; certificate {done.disposal.certificate}"]


async def test_acts_of_what_was_destroyed_go_after_it(store, tmp_path):
    scene = Scene(store, tmp_path, WITH_LEDGER)
    await denied(scene)
    scene.now += 40 * DAY
    await destroy(scene)
    assert any(act["act"] == "denied" for act in acts(scene))
    scene.now += 30 * DAY
    await destroy(scene, "access")
    left = [act["act"] for act in acts(scene)]
    assert "denied" not in left and "disposal signed" in left
    assert verified(scene)[0] == []
    if scene.store.database.is_sqlite:
        assert words_in(scene, [b"not now"]) == set()
        payloads = b"".join(each for row in rows(scene, audit_blocks) for each in inflated(row.payload))
        assert b"not now" not in payloads


async def test_a_block_is_destroyed_in_part(scene):
    for number in range(10):
        looked(scene, number)
    permitted(scene)
    for number in range(10):
        looked(scene, 20 + number)
    scene.now += 100
    scene.store.now = scene.clock
    await Retention(scene.active_policy, scene.store).tidy()
    scene.now += 91 * DAY
    (item,) = (await destroy(scene, "access")).items
    assert item.why and item.why.startswith("20 of ")
    assert verified(scene)[0] == [] and not any(act["act"] == "queue retry" for act in acts(scene))
    scene.service.revoke(1, CIO, "over")
    assert verified(scene)[0] == []
    with pytest.raises(LedgerError, match="class access: nothing is due"):
        await destroy(scene, "access")


async def test_no_act_goes_while_anything_is_preserved(scene):
    looked(scene, 1)
    case = int(scene.service.open_case(CaseWanted("Smith", "request"), RECORDS).case.id[2:])
    scene.now += 91 * DAY
    listed = scene.service.propose_disposal("access", RECORDS)
    scene.service.preserve(PreserveWanted(case, custodians=("jo@doa.example.gov",), silent=True), RECORDS, "Smith")
    scene.service.sign_disposal(listed.disposal.number, AUDITOR)
    await duty(scene).attend()
    (item,) = scene.service.show_disposal(1, AUDITOR).items
    assert (item.state, item.why) == ("kept", "it is preserved")
    with pytest.raises(LedgerError, match="nothing is due"):
        await destroy(scene, "access")
    assert verified(scene)[0] == []


# -- certificates ----------------------------------------------------------------------------------------------------


async def test_a_certificate_stays_while_anything_refers_to_it(scene):
    await denied(scene)
    scene.now += 91 * DAY
    with pytest.raises(LedgerError, match="class certificates: nothing is due"):
        await destroy(scene, "certificates")
    ledger = await destroy(scene)
    scene.now += 91 * DAY
    done = await destroy(scene, "certificates")
    assert names(done) == {"D-1": "destroyed"}, "D-2 explains what is left of M-1"
    shown = scene.service.show_disposal(1, AUDITOR)
    assert (shown.disposal.disposed, shown.items, shown.disposal.proposed_by) == (3, (), "")
    problems, said = verified(scene)
    assert problems == [] and said[0].startswith("D-1: its list of class held is destroyed by D-3")
    assert (await duty(scene).attend(), ledger.disposal.id) == (None, "D-2")


# -- what somebody changes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE mailings SET disposed = 2, subject = NULL WHERE number = 2", "M-2: it is emptied, and no certificate"),
        ("DELETE FROM events WHERE act = 'denied'", "(denied by cio@example.gov): it is gone"),
        ("UPDATE disposal_items SET state = 'kept' WHERE kind = 'mailing'", "M-1: it is emptied, and no certificate"),
        ("UPDATE disposal_items SET kind = 'request' WHERE kind = 'mailing'", "D-2: its list is not the one"),
        ("UPDATE audit_blocks SET payload = '' WHERE first = 2", "are gone, and no act says so"),
    ],
)
async def test_what_no_certificate_explains_is_found(scene, change, found):
    for number in (1, 2):
        await held(scene, number)
        scene.now += 31 * DAY
    await destroy(scene, "held")
    scene.service.open_case(CaseWanted("Smith", "request"), RECORDS)
    scene.service.add_to_case(1, [2], RECORDS)
    scene.now += 10 * DAY
    await destroy(scene)
    assert verified(scene)[0] == []
    scene.store.call(lambda connection: connection.execute(text(change)))
    assert any(found in problem for problem in verified(scene)[0]), verified(scene)[0]
    assert len(rows(scene, bodies)) <= 1
