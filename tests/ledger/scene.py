"""A gate that is asked in advance: its pipeline, its office and its people, on a real store, at a time of ours."""

from __future__ import annotations

from datetime import date
from functools import partial

from gatekeeper.background.gathering import GatherRunner
from gatekeeper.background.recheck import Rechecks
from gatekeeper.ledger.service import LedgerService, Wanted
from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from gatekeeper.store import jobs, permit_views, views
from tests.pipeline.test_pipeline import NextHop
from tests.store.arrivals import NOON, people

CIO, DEPUTY, HEAD, SENDER = "cio@example.gov", "deputy@example.gov", "head@doa.example.gov", "news@doa.example.gov"
TODAY = date(2026, 11, 23)  # NOON's
RULES = """\
version: 1
title: Mass electronic mail
contact: servicedesk@example.gov
timezone: America/Denver
agencies:
  DOA: {name: Administration, domains: [doa.example.gov], head: chief@doa.example.gov}
  DPHHS: {name: Health, domains: [dphhs.example.gov]}
lists:
  class@univ.example.edu:
    members: [a@doa.example.gov, b@doa.example.gov]
    owner: registrar
    senders: [clerk@doa.example.gov]
people:
  cio@example.gov: {roles: [approver], final: true}
  deputy@example.gov: {roles: [approver, admin]}
  head@doa.example.gov: {roles: [requester], of: [DOA]}
mailing: {source: sender, within: 24h, gather: off}
requests: {notice: 5 working days}
mass: {people: {over: 20}}
rules:
  - id: approval
    cite: 1220.XS2 III.A
    when: {users: {over: 200}, agencies: {over: 1}}
    then: hold
    say: This mailing reaches {users} users and needs approval.
"""
TEXT = b"""Dear colleagues, this year the enrolment for health insurance opens early and closes sooner than before,
please read what changes for families, compare both plans carefully and choose whichever serves your household best.
More about everything: https://benefits.example.gov/enrolment/guide?for=you
"""


def limited(users, mass=200):
    """RULES that hold over so many users, and call a mailing one to many over so many people."""
    return RULES.replace("people: {over: 20}", f"people: {{over: {mass}}}").replace(
        "users: {over: 200}", f"users: {{over: {users}}}"
    )


class Scene:
    """What arrives, what people do, what time does."""

    def __init__(self, store, folder, rules=RULES):
        self.now, self.store, self.hop = NOON.timestamp(), store, NextHop()
        path = folder / "rules.yaml"
        path.write_text(rules)
        self.active_policy = ActivePolicy(path)
        self.pipeline = Pipeline(
            Judging(path, "enforce", 0, "", "gate.example.gov"), self.active_policy, store, clock=self.clock
        )
        self.gathers = GatherRunner(self.active_policy, store, self.letterhead, clock=self.clock)
        self.rechecks = Rechecks(self.active_policy, store, self.letterhead, clock=self.clock)
        self.sent = 0

    def clock(self):
        return self.now

    def letterhead(self):
        return Letterhead(self.active_policy.current.ruleset, "gate.example.gov")

    @property
    def service(self):
        return LedgerService(self.store, self.letterhead(), self.clock, lambda seconds: None)

    def ask(self, reason="", **changes):
        """A request by the head of DOA for today's mailing of 240 users, unless something else is given."""
        wanted = {
            "agency": "DOA",
            "senders": (SENDER,),
            "subject": "Open enrolment",
            "purpose": "benefits",
            "audiences": ("DOA", "DPHHS"),
            "users": 240,
            "planned": TODAY,
        }
        return self.service.submit(Wanted(**{**wanted, **changes}), HEAD, reason)

    @staticmethod
    def nothing_new(**changes):
        """A request as it was but for these changes, to be submitted again."""
        return Wanted(**changes)

    def message(self, recipients, sender=SENDER, subject="Open enrolment", text=TEXT, login=None, authenticated=True):
        self.sent += 1
        return Transaction(
            listener="smtp",
            client=Client("192.0.2.9", "mx.example.gov", "mx.example.gov"),
            sender=sender,
            recipients=tuple(Recipient(address) for address in recipients),
            content=written(sender, subject, text, self.sent),
            login=login,
            authenticated=authenticated,
        )

    async def send(self, recipients=None, **more):
        everyone = people(240) if recipients is None else recipients
        return await self.pipeline.receive(self.message(everyone, **more), self.hop)

    def mailing(self, number=1):
        return self.store.call(partial(views.find_mailing, number=number))

    def permit(self, number=1):
        return self.store.call(partial(permit_views.find_permit, number=number))

    def releases(self):
        return [job for job in self.store.call(jobs.waiting_jobs) if job["kind"] == "release"]


def written(sender, subject, text=TEXT, number=1):
    """A message as the sender's program writes it."""
    head = f"From: {sender}\r\nTo: undisclosed-recipients:;\r\nSubject: {subject}\r\nMessage-ID: <{number}@x>\r\n\r\n"
    return head.encode() + text.replace(b"\n", b"\r\n")
