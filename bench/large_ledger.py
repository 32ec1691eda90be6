"""A made-up ledger of a large organisation: a year of mailings, requests and permits, and one mailing to everybody."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Table, insert

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.active_mailing import new_row
from gatekeeper.store.db import schema

Row = dict[str, Any]
AGENCIES = ("DOA", "DPHHS", "DEQ", "DOJ", "DOT")
APPROVER, REQUESTER, OWNER = "cio@example.gov", "head@doa.example.gov", "hr@example.gov"
RULES = (
    """\
version: 1
title: Mass electronic mail
contact: servicedesk@example.gov
timezone: America/Denver
agencies:
"""
    + "".join(f"  {each}: {{name: Department {each}, domains: [{each.lower()}.example.gov]}}\n" for each in AGENCIES)
    + f"""\
lists:
  all@doa.example.gov: {{members: [a@doa.example.gov], owner: hr}}
people:
  {APPROVER}: {{roles: [approver]}}
  {REQUESTER}: {{roles: [requester], of: [DOA]}}
  {OWNER}: {{roles: [owner], of: [hr]}}
mailing: {{source: sender, within: 24h, gather: off}}
mass: {{people: {{over: 20}}}}
rules:
  - {{id: approval, when: {{users: {{over: 200}}}}, then: hold, ask: [approver], say: "It reaches {{users}} users."}}
  - {{id: everybody, when: {{users: {{over: 5000}}}}, then: hold, ask: [owners], say: "It reaches {{users}} users."}}
"""
)
_YEAR = 365 * 86_400.0
_WORDS = [
    "survey",
    "parking",
    "enrolment",
    "notice",
    "holiday",
    "flood",
    "system",
    "update",
    "training",
    "benefits",
    "budget",
    "meeting",
    "road",
    "closed",
]
_MESSAGE = b"From: news@doa.example.gov\r\nSubject: %b\r\n\r\nDear colleagues, https://benefits.example.gov/%d\r\n"
_ROWS = 5_000  # in one statement
_CUT = 100  # recipients of a batch
_NEWEST = 100  # mailings of the last days, each to one of fifty of the people of the largest


@immutable
class Size:
    """How large the ledger is; the largest mailing is M-1, which is held, as are the newest ones."""

    mailings: int = 100_000
    held: int = 300
    recipients: int = 100_000  # of the largest mailing
    requests: int = 5_000
    permits: int = 5_000


def fill(connection: Connection, size: Size, now: float) -> None:
    """Write a ledger of that size; three events a mailing."""
    dice = random.Random(7)
    _write(connection, schema.mailings, (_mailing(dice, size, number, now) for number in range(1, size.mailings + 1)))
    _write(connection, schema.matter_people, (_person(number) for number in range(1, size.mailings + 1)))
    _write(connection, schema.events, _events(size, now))
    _write(connection, schema.requests, (_request(dice, number, now) for number in range(1, size.requests + 1)))
    _write(connection, schema.permits, (_permit(number, now) for number in range(1, size.permits + 1)))
    _write(connection, schema.mailing_people, _people(size))
    _keep(connection, size, now)


def _write(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _ROWS:
            connection.execute(insert(table), chunk)
            chunk = []
    if chunk:
        connection.execute(insert(table), chunk)


def sender_of(number: int) -> str:
    """Return who sends the mailing of a number: one of 500 in each agency."""
    return f"clerk{number % 500}@{AGENCIES[number % 5].lower()}.example.gov"


def is_held(size: Size, number: int) -> bool:
    """Return True for a mailing that waits."""
    return number == 1 or number > size.mailings - size.held


def _mailing(dice: random.Random, size: Size, number: int, now: float) -> Row:
    at = now - _YEAR + _YEAR * number / size.mailings
    held, largest = is_held(size, number), number == 1
    users = size.recipients if largest else dice.randint(30, 3_000)
    state = "held" if held else dice.choices(("open", "released", "denied", "expired"), (90, 7, 2, 1))[0]
    rule = "everybody" if largest else "approval"
    reason = {"rule": rule, "action": "hold", "cite": "", "text": "", "ask": ["approver"], "unknown": False}
    return new_row(f"s{number % 2_500:015}".encode(), at) | {
        "id": number,
        "number": number,
        "state": state,
        "sender": sender_of(number),
        "agency": AGENCIES[number % 5],
        "subject": f"{dice.choice(_WORDS)} {dice.choice(_WORDS)} {number}",
        "changed_at": at,
        "held_at": (now - 3_600 if held else at) if state != "open" else None,
        "users": users,
        "relayed": users if state == "open" else 0,
        "agencies": dict.fromkeys(dice.sample(AGENCIES, 2), users // 2),
        "reasons": [reason] if state != "open" else [],
        "mass": True,
        "kept": size.recipients // _CUT if largest else 1,
    }


def _person(number: int) -> Row:
    return {"address": sender_of(number), "kind": "mailing", "matter_id": number, "role": "own"}


def _people(size: Size) -> Iterable[Row]:
    """Everybody whom the largest mailing reaches, and some of them whom each of the newest mailings has reached."""
    hashes = sorted(sha256(str(number).encode()).digest()[:16] for number in range(size.recipients))
    columns = {"inside": True, "unresolved": False, "agency": AGENCIES[0]}
    for person in hashes:
        yield {"mailing_id": 1, "person": person, "reached": False, **columns}
    for number in range(max(2, size.mailings - size.held - _NEWEST), size.mailings - size.held + 1):
        for person in hashes[number % 50 :: 50]:
            yield {"mailing_id": number, "person": person, "reached": True, **columns}


def _events(size: Size, now: float) -> Iterable[Row]:
    for number in range(1, size.mailings + 1):
        at = now - _YEAR + _YEAR * number / size.mailings
        for act in ("gathering", "held", "informed"):
            yield {"mailing_id": number, "at": at, "act": act, "by": None, "login": None, "text": "approval"}


def _request(dice: random.Random, number: int, now: float) -> Row:
    return {
        "number": number,
        "state": "submitted" if number % 100 == 0 else dice.choice(("approved", "used", "denied", "expired")),
        "agency": AGENCIES[number % 5],
        "requester": f"head@{AGENCIES[number % 5].lower()}.example.gov",
        "senders": [sender_of(number)],
        "subject": f"{dice.choice(_WORDS)} {number}",
        "subject_key": "",
        "purpose": "",
        "audiences": ["DOA", "DPHHS"],
        "users": 1_000,
        "planned": "2026-12-01",
        "exception": False,
        "late": False,
        "rules": ["approval"],
        "terms": {},
        "appealed": False,
        "final": False,
        "reason": "",
        "submitted_at": now - 86_400,
        "changed_at": now - 86_400,
    }


def _permit(number: int, now: float) -> Row:
    return {
        "number": number,
        "kind": "approval",
        "state": "in force" if number % 10 == 0 else "used",
        "rules": ["approval"],
        "binding": "none",
        "digests": [],
        "agencies": [],
        "until": now + 86_400,
        "given_by": APPROVER,
        "given_at": now - 86_400,
    }


# -- what is stored ----------------------------------------------------------------------------------------------


def _keep(connection: Connection, size: Size, now: float) -> None:
    """Store the batches of held mailings: two contents of the largest, one of each other."""
    contents = {number: _MESSAGE % (b"Open enrolment", number) for number in range(2)}
    digests = {number: sha256(content).digest() for number, content in contents.items()}
    for number, content in contents.items():
        body = {"digest": digests[number], "size": len(content), "complete": True, "stored_at": now}
        connection.execute(insert(schema.bodies).values(**body))
        connection.execute(insert(schema.body_chunks).values(digest=digests[number], position=0, data=content))
    numbers = [1] * (size.recipients // _CUT) + list(range(size.mailings - size.held + 1, size.mailings + 1))
    kept = list(enumerate(numbers, 1))
    _write(connection, schema.batches, (_batch(id, number, digests, now) for id, number in kept))
    _write(connection, schema.batch_recipients, (row for id, _ in kept for row in _recipients(id)))


def _batch(id: int, number: int, digests: Mapping[int, bytes], now: float) -> Row:
    sender, content = sender_of(number), id % 2 if number == 1 else 0
    return {
        "id": id,
        "mailing_id": number,
        "state": "held",
        "gathered": False,
        "identity": f"{id:016}".encode(),
        "listener": "smtp",
        "client": {"address": "192.0.2.7", "name": "mx", "helo": "mx", "port": 25, "protocol": "ESMTP"},
        "login": sender,
        "authenticated": True,
        "sender": sender,
        "parameters": [],
        "message_id": f"{id}@x",
        "content_digest": digests[content].hex(),
        "body": digests[content],
        "trace": b"Received: from mx\r\n",
        "reasons": [],
        "received_at": now - 3_600,
        "notify": True,
        "permits": [],
        "place": id,
        "owners": [sender],
        "recipients": _CUT,
        "sent": 0,
        "refused": 0,
        "expired": 0,
    }


def _recipients(batch: int) -> Iterable[Row]:
    for position in range(_CUT):
        domain = f"{AGENCIES[batch % 5].lower()}.example.gov"
        address = f"user{batch}.{position}@{domain}"
        yield {"batch_id": batch, "position": position, "address": address, "parameters": [], "state": "waiting"}
