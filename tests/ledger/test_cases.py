"""Cases: who opens and closes them, and that the chain of acts has it (policies D2, D4)."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import insert, text

from gatekeeper.ledger.cases import CaseWanted, find_open
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound
from gatekeeper.lifecycle import CaseState
from gatekeeper.store import audit_rows, preserved
from gatekeeper.store.db.schema import case_items
from tests.ledger.scene import CIO, HEAD, RULES, Scene

RECORDS, AUDITOR = "records@example.gov", "auditor@example.gov"
WITH_RECORDS = RULES.replace(
    "people:\n", f"people:\n  {RECORDS}: {{roles: [records]}}\n  {AUDITOR}: {{roles: [auditor]}}\n", 1
)
SMITH = CaseWanted("Smith v. State", "litigation", "2026-17", date(2026, 12, 18))


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, WITH_RECORDS)


def use(service, number):
    return service._see(find_open, number, by=RECORDS)


def test_a_case_is_opened_used_and_closed(scene):
    opened = scene.service.open_case(SMITH, RECORDS)
    case = opened.case
    assert (case.id, case.state, case.kind, case.title) == ("C-1", "open", "litigation", "Smith v. State")
    assert (case.outside, case.due, case.opened_by, case.opened_at) == ("2026-17", "2026-12-18", RECORDS, scene.now)
    assert use(scene.service, 1) == case
    scene.now += 60
    closed = scene.service.close_case(1, RECORDS, "Settled")
    assert (closed.case.state, closed.case.closed_by, closed.case.closed_at) == (CaseState.CLOSED, RECORDS, scene.now)
    assert [(event.act, event.by, event.text) for event in closed.events] == [
        ("case opened", RECORDS, None),
        ("case closed", RECORDS, "Settled"),
    ]
    with pytest.raises(LedgerError, match="C-1: it is closed; records are used for an open case"):
        use(scene.service, 1)
    with pytest.raises(LedgerError, match="C-1: it is closed; close is for a case that is open"):
        scene.service.close_case(1, RECORDS)


def test_the_newest_case_comes_first_and_states_can_be_chosen(scene):
    scene.service.open_case(SMITH, RECORDS)
    scene.service.open_case(CaseWanted("Budget 2026", "audit"), RECORDS)
    scene.service.close_case(1, RECORDS)
    assert [case.id for case in scene.service.cases(RECORDS)] == ["C-2", "C-1"]
    assert [case.id for case in scene.service.cases(AUDITOR, "open")] == ["C-2"]
    assert scene.service.show_case(1, AUDITOR).case.outside == "2026-17"


@pytest.mark.parametrize("by", [CIO, HEAD, AUDITOR, "nobody@example.gov"])
def test_only_a_records_officer_opens_and_closes(scene, by):
    scene.service.open_case(SMITH, RECORDS)
    with pytest.raises(NotAllowed, match=f"{by} may not open a case; who may: {RECORDS}"):
        scene.service.open_case(SMITH, by)
    with pytest.raises(NotAllowed, match="may not close a case"):
        scene.service.close_case(1, by)
    if by != AUDITOR:
        with pytest.raises(NotAllowed, match=f"may not look at cases; who may: {RECORDS}, {AUDITOR}"):
            scene.service.cases(by)


def test_without_a_records_officer_the_refusal_says_what_to_do(store, tmp_path):
    with pytest.raises(NotAllowed, match="nobody: name somebody with the role records under people in rules"):
        Scene(store, tmp_path).service.open_case(SMITH, CIO)


def test_what_is_wrong_with_a_case_is_said(scene):
    with pytest.raises(LedgerError, match="a case needs a title"):
        scene.service.open_case(CaseWanted("  ", "audit"), RECORDS)
    with pytest.raises(LedgerError, match="kind 'theft': expected one of request, litigation, audit, investigation"):
        scene.service.open_case(CaseWanted("x", "theft"), RECORDS)
    with pytest.raises(NotFound, match="C-9: no such case"):
        scene.service.show_case(9, RECORDS)


def changed(scene, statement):
    scene.store.call(lambda connection: connection.execute(text(statement)))
    return scene.store.writer.read(lambda connection: audit_rows.verify_all(connection)[1])


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE cases SET title = 'Smith v. Nobody'", "C-1: title is 'Smith v. Nobody'"),
        ("UPDATE cases SET state = 'open'", "C-1: it is open, and the last act left it closed"),
        ("UPDATE events SET \"by\" = 'cio@example.gov' WHERE act = 'case closed'", "by is 'cio@example.gov'"),
    ],
)
def test_what_somebody_changes_of_a_case_is_found(scene, statement, found):
    scene.service.open_case(SMITH, RECORDS)
    scene.service.close_case(1, RECORDS)
    assert changed(scene, "SELECT 1") == []
    assert any(found in problem for problem in changed(scene, statement))


def test_a_case_that_no_act_gave_is_found(scene):
    row = "INSERT INTO cases (number, state, kind, title, outside, opened_by, opened_at) VALUES"
    problems = changed(scene, f"{row} (1, 'open', 'audit', 'x', '', '{RECORDS}', 1)")
    assert problems == ["C-1: no act gave it"]


async def test_what_is_preserved_has_another_name_whenever_it_is_another(scene):
    """By it the nightly duty knows that blocks it has looked at may be free, or may no longer be."""

    def now():
        return scene.store.call(preserved.state)

    def add(mailing):
        row = {"case_id": 1, "mailing_id": mailing, "by": RECORDS, "at": scene.now}
        scene.store.call(lambda connection: connection.execute(insert(case_items).values(**row)))

    await scene.send()
    await scene.send(subject="Picnic", text=b"Bring sandwiches\n")
    nothing = now()
    scene.service.open_case(SMITH, RECORDS)
    assert now() == nothing
    add(1)
    one = now()
    add(2)
    assert len({nothing, one, now()}) == 3
    scene.service.close_case(1, RECORDS)
    assert now() == nothing
