"""Lists by parts: what somebody finds, in which order, and that nobody finds what is not for them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import insert, update

from gatekeeper.ledger.service import LedgerError, NotAllowed, NotFound, Sought, Wanted
from gatekeeper.ledger.sight import Sight
from gatekeeper.store import matter_people
from gatekeeper.store.active_mailing import new_row
from gatekeeper.store.db.schema import mailings, requests
from gatekeeper.store.events import ASKED, Event, record
from tests.ledger.scene import CIO, DEPUTY, HEAD, RULES, SENDER, TODAY, Scene, people

OTHER, AUDITOR, OWNER = "head@dphhs.example.gov", "audit@example.gov", "hr@example.gov"
CHIEF, DELEGATE, NOBODY, OUTSIDE_OF = (
    "chief@doa.example.gov",
    "vice@doa.example.gov",
    "x@doa.example.gov",
    "h@a.example",
)
PEOPLE = f"""\
people:
  {OTHER}: {{roles: [requester], of: [DPHHS]}}
  {AUDITOR}: {{roles: [auditor]}}
  {OWNER}: {{roles: [owner], of: [DPHHS]}}
  {CHIEF}: {{roles: [owner], of: [registrar], delegate: {{to: {DELEGATE}, until: 2026-12-31}}}}
  {OUTSIDE_OF}: {{roles: [approver], of: [DPHHS]}}
"""
ASKING = RULES.replace("people:\n", PEOPLE, 1).replace("    then: hold\n", "    then: hold\n    ask: [owners, head]\n")
MONTH = 30 * 86_400


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, ASKING)


def ids(page):
    return [each.id for each in page.rows]


def add_mailings(scene, number, first=1, **columns):
    """Mailings with numbers, each a second after the one before."""
    row = new_row(b"s" * 16, scene.now) | {"sender": SENDER, "subject": "Parking", "agency": "DOA", "state": "open"}
    rows = [row | {"number": first + place, "changed_at": scene.now + place} | columns for place in range(number)]
    scene.store.call(lambda connection: connection.execute(insert(mailings), rows))


def walk(verb, sought, by, between=lambda: None):
    """Every id that the parts of a list have, one part after the other."""
    found, after = [], ""
    while True:
        page = verb(Sought(**sought, limit=3, after=after), by)
        found += ids(page)
        between()
        if page.next is None:
            return found
        after = page.next


# -- parts -------------------------------------------------------------------------------------------------------


def test_parts_follow_each_other_without_gaps_whatever_changes_in_between(scene):
    add_mailings(scene, 8)
    assert walk(scene.service.mailings, {}, CIO) == [f"M-{number}" for number in range(8, 0, -1)]
    newer = iter(range(9, 99))
    found = walk(scene.service.mailings, {}, CIO, lambda: add_mailings(scene, 1, next(newer)))
    assert found == [f"M-{number}" for number in range(8, 0, -1)]
    page = scene.service.mailings(Sought(limit=3), CIO)
    gone = update(mailings).where(mailings.c.number == int(page.next[2:])).values(state="denied")
    scene.store.call(lambda connection: connection.execute(gone))
    assert int(ids(scene.service.mailings(Sought(limit=1, after=page.next), CIO))[0][2:]) == int(page.next[2:]) - 1


def test_a_part_that_is_none_says_what_was_expected(scene):
    for sought in (Sought(after="R-1"), Sought(after="M-1; DROP"), Sought(limit=0), Sought(limit=1_001)):
        with pytest.raises(LedgerError, match="expected"):
            scene.service.mailings(sought, CIO)


def test_very_many_are_counted_up_to_a_thousand(scene):
    add_mailings(scene, 1_001)
    assert scene.service.mailings(Sought(), CIO).count == 1_001
    assert scene.service.mailings(Sought(words="parking", sender=NOBODY), CIO).count == 0


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ({"states": ("denied",)}, ["M-2"]),
        ({"states": ("denied", "held")}, ["M-4", "M-2"]),
        ({"agency": "DPHHS"}, ["M-3"]),
        ({"sender": "Clerk@DPHHS.example.gov"}, ["M-3"]),
        ({"rule": "approval"}, ["M-4"]),
        ({"rule": "approve"}, []),
        ({"words": "open ENROLMENT"}, ["M-4"]),
        ({"words": "clerk@dphhs"}, ["M-3"]),
        ({"words": "M-2"}, ["M-2"]),
        ({"words": "3"}, ["M-3"]),
        ({"words": "100%"}, ["M-1"]),
        ({"words": "_"}, []),
        ({"since": TODAY + timedelta(days=1)}, ["M-4"]),
    ],
)
def test_what_is_looked_for_is_found(scene, sought, found):
    add_mailings(scene, 1, 1, subject="Now 100% green")
    add_mailings(scene, 1, 2, state="denied")
    add_mailings(scene, 1, 3, agency="DPHHS", sender="clerk@dphhs.example.gov")
    reason = {"rule": "approval", "action": "hold", "cite": "", "text": "", "ask": [], "unknown": False}
    held = {"state": "held", "reasons": [reason], "held_at": scene.now, "subject": "Open enrolment"}
    add_mailings(scene, 1, 4, **held, changed_at=scene.now + 86_400)
    assert ids(scene.service.mailings(Sought(**sought), CIO)) == found
    assert ids(scene.service.mailings(Sought(**sought))) == found  # the operator


def test_requests_and_permits_are_looked_for_alike(scene):
    scene.ask(purpose="benefits")
    scene.ask(subject="Parking", senders=("clerk@doa.example.gov",))
    scene.service.deny_request(2, CHIEF, "no")
    verb = scene.service.requests
    assert ids(verb(Sought(), CIO)) == ["R-2", "R-1"] and verb(Sought(), CIO).count == 2
    assert ids(verb(Sought(states=("denied",)), CIO)) == ["R-2"]
    assert ids(verb(Sought(words="benefits enrolment"), CIO)) == ["R-1"]
    assert ids(verb(Sought(sender="clerk@doa.example.gov"), CIO)) == ["R-2"]
    assert ids(verb(Sought(agency="DPHHS"), CIO)) == [] and ids(verb(Sought(rule="approval"), CIO)) == ["R-2", "R-1"]
    scene.service.declare_emergency("DOA", HEAD, "flood", 2)
    scene.service.declare_emergency("DPHHS", CIO, "fire", 2)
    verb = scene.service.permits
    assert ids(verb(Sought(), CIO)) == ["P-2", "P-1"] and ids(verb(Sought(agency="DOA"), CIO)) == ["P-1"]
    assert ids(verb(Sought(mine=True), HEAD)) == ["P-1"] and ids(verb(Sought(words="fire"), CIO)) == ["P-2"]
    assert ids(verb(Sought(kind="exception"), CIO)) == [] and len(ids(verb(Sought(review="open"), CIO))) == 2


# -- whose it is -------------------------------------------------------------------------------------------------

OF_HEALTH = Wanted("DPHHS", ("news@dphhs.example.gov",), "Fair", "health", ("DOA", "DPHHS"), 240, TODAY)
LISTED = [  # who, which mailings and which requests they find: those of DOA and of DPHHS
    (CIO, ["M-2", "M-1"], ["R-2", "R-1"]),
    (DEPUTY, ["M-2", "M-1"], ["R-2", "R-1"]),
    (AUDITOR, ["M-2", "M-1"], ["R-2", "R-1"]),
    (HEAD, ["M-1"], ["R-1"]),
    (OTHER, ["M-2"], ["R-2"]),
    (SENDER, ["M-1"], ["R-1"]),
    ("news@dphhs.example.gov", ["M-2"], ["R-2"]),
    (NOBODY, [], []),
    (OUTSIDE_OF, ["M-2", "M-1"], ["R-2", "R-1"]),
]


@pytest.mark.parametrize(("by", "mailings_", "requests_"), LISTED, ids=[who for who, *_ in LISTED])
async def test_everybody_finds_what_is_theirs_to_see(scene, by, mailings_, requests_):
    """Policy S4: sight as in CONSOLE 0.2, in lists and for each thing by itself."""
    await scene.send(people(30))
    await scene.send(people(30), sender="news@dphhs.example.gov", subject="Something else")
    scene.ask()
    scene.service.submit(OF_HEALTH, OTHER)
    assert ids(scene.service.mailings(Sought(), by)) == mailings_
    assert ids(scene.service.requests(Sought(), by)) == requests_
    for number in (1, 2):
        for name, look in (("M", scene.service.look), ("R", scene.service.look_at_request)):
            if f"{name}-{number}" in mailings_ + requests_:
                assert look(number, by).sight
            else:
                with pytest.raises(NotFound, match="no such"):
                    look(number, by)


async def test_who_was_asked_sees_content_while_it_waits_and_for_a_month(scene):
    """Owners of CONSOLE 0.2: facts of what they were asked for good, content of it until 30 days after."""
    await scene.send()
    assert scene.mailing().state == "held"
    scene.ask()
    for by in (OWNER, CHIEF):
        assert scene.service.look(1, by).sight is Sight.CONTENT
        assert scene.service.look_at_request(1, by).sight is Sight.CONTENT
    told = Event(scene.now, "told", mailing_id=scene.mailing().key, text=f"{CHIEF}, {OWNER}")
    scene.store.call(partial(record, event=told))
    scene.store.call(partial(record, event=Event(scene.now, ASKED, request_id=1, text=OWNER)))
    scene.service.deny(1, CHIEF, "no")
    scene.service.deny_request(1, CHIEF, "no")
    for later, sight in ((MONTH - 1, Sight.CONTENT), (2, Sight.FACTS)):
        scene.now += later
        assert scene.service.look(1, OWNER).sight is sight
        assert scene.service.look_at_request(1, OWNER).sight is sight
    assert ids(scene.service.mailings(Sought(), OWNER)) == ["M-1"]
    assert ids(scene.service.requests(Sought(), OWNER)) == ["R-1"]
    with pytest.raises(NotAllowed, match="may not read it"):
        scene.service.read(1, OWNER)


async def test_whom_only_from_names_finds_nothing(scene):
    """DESIGN 3.3: a From that nobody vouches for gives no right to look."""
    await scene.send(login="clerk@doa.example.gov", sender="governor@doa.example.gov")
    assert ids(scene.service.mailings(Sought(), "governor@doa.example.gov")) == []
    assert ids(scene.service.mailings(Sought(mine=True), "clerk@doa.example.gov")) == ["M-1"]


async def test_what_is_forgotten_is_nobodys(scene):
    await scene.send(people(30))
    scene.store.call(partial(matter_people.forget, key=scene.mailing().key))
    assert ids(scene.service.mailings(Sought(), SENDER)) == []


# -- one request, one permit -------------------------------------------------------------------------------------


def test_what_somebody_may_do_with_a_request(scene):
    scene.ask()
    may = {by: scene.service.look_at_request(1, by).may for by in (HEAD, CHIEF, DELEGATE, OWNER, DEPUTY, AUDITOR)}
    deciding = {"approve", "deny", "changes", "ask"}
    assert may == {
        HEAD: {"withdraw", "revise"}, CHIEF: deciding, DELEGATE: deciding, OWNER: deciding, DEPUTY: {"withdraw"},
        AUDITOR: set(),
    }  # fmt: skip
    scene.service.deny_request(1, CHIEF, "no")
    assert scene.service.look_at_request(1, HEAD).may == {"appeal"}
    assert scene.service.look_at_request(1, CHIEF).may == set()


def test_a_permit_is_seen_by_whom_it_concerns(scene):
    scene.service.declare_emergency("DOA", HEAD, "flood", 2)
    assert scene.service.look_at_permit(1, CIO).may == {"narrow", "revoke", "review"}
    assert scene.service.look_at_permit(1, HEAD).may == set() == scene.service.look_at_permit(1, AUDITOR).may
    for by in (OTHER, NOBODY):
        assert ids(scene.service.permits(Sought(), by)) == []
        with pytest.raises(NotFound, match="P-1: no such permit"):
            scene.service.look_at_permit(1, by)


def test_a_request_s_message_is_read_by_whom_it_is_for_and_the_timeline_says_so(scene):
    content = b"Subject: Open enrolment\r\n\r\nDear colleagues\r\n"
    scene.ask(content=content)
    assert scene.service.read_request(1, CHIEF) == content
    with pytest.raises(NotAllowed, match="expected --case"):
        scene.service.read_request(1, AUDITOR)
    assert scene.service.read_request(1, AUDITOR, "subpoena 7") == content
    with pytest.raises(NotFound):
        scene.service.read_request(1, NOBODY)
    read = [(each.by, each.details) for each in scene.service.show_request(1).events if each.act == "read"]
    assert read == [(CHIEF, {}), (AUDITOR, {"case": "subpoena 7"})]
    scene.store.call(lambda connection: connection.execute(update(requests).values(content=None)))
    assert scene.service.read_request(1, CHIEF) is None


async def test_what_waits_is_looked_for_by_the_rule_that_holds_it(scene):
    await scene.send()
    scene.ask(subject="Picnic")
    found = {rule: ids(scene.service.waiting(CIO, Sought(rule=rule)).page) for rule in ("", "approval", "another")}
    assert sorted(found[""]) == ["M-1", "R-1"] and "M-1" in found["approval"] and found["another"] == []
