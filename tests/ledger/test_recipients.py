"""Recipients of a mailing, looked through and taken by those who may read them, which the timeline notes."""

from __future__ import annotations

import pytest

from gatekeeper.ledger.deliveries import Recipients
from gatekeeper.ledger.service import NotAllowed
from tests.ledger.scene import CIO, RULES, Scene
from tests.store.arrivals import people

AUDITED = RULES.replace("people:\n", "people:\n  auditor@example.gov: {roles: [auditor]}\n", 1)
AUDITOR = "auditor@example.gov"


async def test_recipients_are_found_by_agency_and_by_state_and_the_look_is_noted_with_its_case(store, tmp_path):
    scene = Scene(store, tmp_path, AUDITED)
    await scene.send([*people(239), "x@example.org"])
    service = scene.service
    everyone = {each.address for each in service.take_recipients(1, CIO)}
    doa = {each.address for each in service.take_recipients(1, CIO, Recipients(agency="DOA"))}
    assert len(everyone) == 240 and doa == {each for each in everyone if each.endswith("@doa.example.gov")} != set()
    assert len(service.take_recipients(1, CIO, Recipients(state="waiting"))) == 240
    assert service.take_recipients(1, CIO, Recipients(state="sent")) == []
    assert len(service.recipients(1, CIO, Recipients(agency="DOA", limit=7)).rows) == 7
    with pytest.raises(NotAllowed):
        service.recipients(1, AUDITOR, Recipients())
    service.recipients(1, AUDITOR, Recipients(case="2026-17"))
    noted = [(event.act, event.by, (event.details or {}).get("case")) for event in service.show(1).events]
    assert noted.count(("downloaded", CIO, None)) == 4 and ("read", AUDITOR, "2026-17") in noted
