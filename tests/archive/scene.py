"""A gate with a records officer, whose mail of one day is searched and handed over."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

from gatekeeper.audit.recorder import Auditor
from gatekeeper.ledger.cases import CaseWanted
from gatekeeper.lib import failpoints
from gatekeeper.ops.metrics import Metrics
from gatekeeper.pipeline.transaction_report import Reporter
from tests.ledger.scene import CIO, RULES, Scene
from tests.store.arrivals import people

RECORDS, AUDITOR = "records@example.gov", "auditor@example.gov"
OFFICERS = f"""\
  {RECORDS}: {{roles: [records]}}
  {AUDITOR}: {{roles: [auditor]}}
mailing:"""
FILE = """\
From: "Benefits Office" <news@doa.example.gov>
To: undisclosed-recipients:;
Subject: Open enrolment
Message-ID: <file@doa.example.gov>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<p>Bürgerversammlung: <b>please</b> read the <i>plan comparison</i>.</p>
--b
Content-Type: application/pdf; name="Plan 2026.pdf"
Content-Disposition: attachment; filename="Plan 2026.pdf"
Content-Transfer-Encoding: base64

JVBERi0xLjQK
--b--
"""


def records_rules(rules: str = RULES) -> str:
    """RULES with a records officer and an auditor."""
    return rules.replace("mailing:", OFFICERS, 1)


class RecordsScene(Scene):
    """The scene, with decisions recorded and a case open."""

    def __init__(self, store, folder, rules=RULES):
        super().__init__(store, folder, records_rules(rules))
        self.auditor = self.rechecks.auditor = Auditor(store)
        self.pipeline.report = Reporter(Metrics(), self.auditor).report

    async def a_day(self):
        """Ordinary mail; a mailing held with a file, and approved; one to many that passed; a request; a suspension."""
        await self.send(people(3), subject="lunch secret", text=b"Secret recipe of the pie\n")
        held = self.message(people(240), subject="Open enrolment")
        held = replace(held, content=FILE.replace("\n", "\r\n").encode())
        await self.pipeline.receive(held, self.hop)
        self.now += 60
        self.service.approve(1, CIO, "Goes to all of us")
        await self.send(people(60), subject="Road works", text=b"Detour ahead on Main Street this week\n")
        self.now += 60
        await self.send(people(230), sender="jo@doa.example.gov", subject="Bicycle for sale", text=b"Nearly new\n")
        self.service.deny(3, CIO, "No advertisements", None, "personal")
        self.ask("The plan compares both", subject="Benefits fair")
        self.auditor.flush()

    def open_case(self):
        """A case of the records officer; its number."""
        return int(self.service.open_case(CaseWanted("Smith v. State", "litigation"), RECORDS).case.id[2:])


def killed_at(name, work, nth=1):
    """Do something in a process of its own that is killed at a step; True where it came so far."""
    child = os.fork()
    if not child:
        try:
            failpoints._name, failpoints._nth = name, str(nth)
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
