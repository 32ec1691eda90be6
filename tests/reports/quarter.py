"""Half a year of an organisation, played through the real line: what the sample report and its tests are about."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

from sqlalchemy import case, func, select, update

from gatekeeper.api.report.document import report_document
from gatekeeper.audit.recorder import Auditor
from gatekeeper.ledger import reports
from gatekeeper.ledger.reports import Period
from gatekeeper.ops.metrics import Metrics
from gatekeeper.pipeline.transaction_report import Reporter
from gatekeeper.store import Database, Store
from gatekeeper.store.db.schema import batch_recipients, batches
from tests.ledger.scene import CIO, DEPUTY, HEAD, Scene
from tests.store.arrivals import people
from tests.store.databases import lay_out

RULES = """\
version: 1
title: Mass electronic mail
contact: servicedesk@example.gov
timezone: America/Denver
agencies:
  DOA: {name: Administration, domains: [doa.example.gov], head: chief@doa.example.gov}
  DPHHS: {name: Health, domains: [dphhs.example.gov]}
  MDT: {name: Transportation, domains: [mdt.example.gov]}
people:
  cio@example.gov: {roles: [approver, auditor], final: true}
  deputy@example.gov: {roles: [approver, admin]}
  head@doa.example.gov: {roles: [requester], of: [DOA]}
mailing: {source: sender, within: 24h, gather: off}
requests: {notice: 5 working days, calendar: US-MT}
mass: {people: {over: 20}}
rules:
  - id: approval
    cite: 1220.XS2 III.A
    when: {users: {over: 200}, agencies: {over: 1}}
    then: hold
    say: This mailing reaches {users} users and needs approval.
  - id: subject
    cite: 1220.XS2 III.C
    when: {mass: true, subject: {missing: true}}
    then: reject
    say: Add a subject line.
  - id: attachments
    when: {mass: true, attachments: {over: 0}}
    then: warn
    say: Link to the file instead.
  - {id: outside, mode: observe, when: {external: {over: 40}}, then: hold, say: It goes to many people outside.}
"""
NEWS, CLINIC, ROADS = "news@doa.example.gov", "clinic@dphhs.example.gov", "roads@mdt.example.gov"
SINCE, UNTIL = datetime(2026, 9, 1, 6, tzinfo=UTC).timestamp(), datetime(2026, 12, 1, 6, 59, 59, tzinfo=UTC).timestamp()
PERIOD = Period(SINCE, UNTIL)
_AT = {  # when, from whom, what, to how many inside, to how many outside, and what becomes of it if it is held
    "2026-06-09 09:00": (NEWS, "Parking on Friday", 120, 0, ""),
    "2026-07-14 10:30": (CLINIC, "Vaccination days", 240, 0, "approve 30"),
    "2026-08-03 08:15": (ROADS, "Detour on Main Street", 90, 30, ""),
    "2026-08-20 15:45": (NEWS, "Lost keys", 230, 0, "deny personal 4"),
    "2026-09-02 09:00": (NEWS, "Open enrolment begins", 280, 0, "approve 2"),
    "2026-09-10 11:00": (CLINIC, "Flu shots in all agencies", 260, 0, "approve 26"),
    "2026-09-18 16:20": (ROADS, "Road works ahead", 60, 60, ""),
    "2026-10-01 08:00": (NEWS, "Open enrolment reminder", 280, 40, "approve 1"),
    "2026-10-06 13:10": (CLINIC, "", 120, 0, ""),
    "2026-10-07 09:40": (CLINIC, "Bake sale on Thursday", 220, 0, "deny personal 3"),
    "2026-10-21 10:00": (ROADS, "Winter tires, last call", 240, 20, "changes 20"),
    "2026-11-04 08:30": (NEWS, "Open enrolment ends on Friday", 280, 0, "approve 5"),
    "2026-11-12 14:00": (CLINIC, "Used stroller for sale", 210, 0, "deny personal 2"),
    "2026-11-17 12:00": (ROADS, "Storm warning", 70, 45, ""),
    "2026-11-19 09:00": (NEWS, "=SUM(1;2) of the budget", 230, 0, "deny content 50"),
}
HOUR = 3_600.0


class HalfYear(Scene):
    """The scene, with what it decides recorded."""

    def __init__(self, store: Store, folder: Path) -> None:
        super().__init__(store, folder, RULES)
        self.auditor = self.rechecks.auditor = Auditor(store)
        self.pipeline.report = Reporter(Metrics(), self.auditor).report

    async def play(self) -> None:
        """Let it all happen, in the order of time."""
        for when, planned in _AT.items():
            self.now = datetime.fromisoformat(f"{when}+00:00").timestamp() + 6 * HOUR
            await self._mailing(*planned)
        self.now = UNTIL - 10 * 86_400
        self.ask("The law names the day", planned=date(2026, 11, 30), audiences=("DOA", "DPHHS"))
        self.ask("", subject="Benefits fair", planned=date(2026, 11, 23))
        self.service.declare_emergency("DOA", HEAD, "Water main broken", 4)
        self.service.suspend("sender", CLINIC, CIO, "Sales by mass mail, again", date(2026, 12, 31))
        self.auditor.flush()
        self.store.call(_deliver)

    async def _mailing(self, sender: str, subject: str, inside: int, outside: int, then: str) -> None:
        domains = ("doa.example.gov", "dphhs.example.gov", "mdt.example.gov")
        everyone = people(inside, *domains) + people(outside, "example.com", "mail.example.org")
        for number in range(3):
            await self.send(people(2, start=number), sender=sender, subject=f"lunch {number} {self.sent}")
        await self.send(everyone, sender=sender, subject=subject, text=f"{subject}: please read this.\n".encode())
        if then:
            self._decide(*then.split())

    def _decide(self, verb: str, *more: str) -> None:
        number = next(each.id for each in self.service.mailings().rows if each.state == "held").removeprefix("M-")
        self.now += float(more[-1]) * HOUR
        if verb == "approve":
            self.service.approve(int(number), DEPUTY)
        elif verb == "deny":
            self.service.deny(int(number), CIO, "Not for all of us", None, more[0])
        else:
            self.service.ask_changes(int(number), CIO, "Leave out the advertisement")


def _deliver(connection) -> None:
    """Have the next hop answer for all that was released: every twentieth address is refused."""
    state = case((batch_recipients.c.position % 20 == 7, "refused"), else_="sent")
    released = select(batches.c.id).where(batches.c.state == "released")
    mine = batch_recipients.c.batch_id.in_(released)
    connection.execute(update(batch_recipients).where(mine).values(state=state, reply="250 2.1.5 Ok"))
    for column in ("sent", "refused"):
        whose = batch_recipients.c.batch_id == batches.c.id, batch_recipients.c.state == column
        number = select(func.count()).where(*whose).scalar_subquery()
        connection.execute(update(batches).where(batches.c.state == "released").values({column: number}))
    connection.execute(update(batches).where(batches.c.state == "released").values(state="sent"))


async def played(folder: Path) -> HalfYear:
    """A scene in which all of it has happened, in a database in that folder."""
    store = Store(Database(lay_out(folder / "gate.db"), timeout=5))
    store.open()
    scene = HalfYear(store, folder)
    await scene.play()
    return scene


def document_of(scene: HalfYear, period: Period = PERIOD) -> dict:
    """The report of the scene, made at a time of ours."""
    found = report_document(reports.compute(scene.store, scene.active_policy.current.ruleset, period))
    found["made"] = "2026-12-01T15:00:00Z"
    found["integrity"]["recorded_from"] = "2026-06-01T00:00:00Z"
    return found


async def sample() -> dict:
    """The document of the sample report."""
    with tempfile.TemporaryDirectory() as folder:
        scene = await played(Path(folder))
        try:
            return document_of(scene)
        finally:
            scene.store.close()
