"""Read `records`, how long classes of records are kept and how they are destroyed, and `reports`, who gets them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from gatekeeper.rules.language.scalars import ADDRESS, DURATION, FLAG, TEXT, word_of
from gatekeeper.rules.language.units import parse_keep
from gatekeeper.rules.language.value_types import Key, ListOf, Reading, Section, Value, made_into
from gatekeeper.rules.language.yaml_nodes import Mapping, Node
from gatekeeper.rules.record_classes import (
    ACCESS,
    APPROVED,
    ARRIVED,
    AUTOMATIC,
    CERTIFICATES,
    CLASS_NAMES,
    CLOSED,
    DECISIONS,
    HELD,
    LEDGER,
    MASS,
    RecordClass,
    Records,
    unless_said,
)
from gatekeeper.rules.specs import ROLES, ReportRules

_PREFIX = re.compile(r"[A-Z][A-Z0-9]{0,11}")


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ValueError(text)
    return text


_KEEP = Value("a length of time, such as 400d, 18 months or 7 years, or forever", parse_keep, {"type": "string"})
_NUMBERS = Value("up to 12 capital letters and digits, such as GK", _prefix, {"type": "string"})
_KEYS = {
    "keep": Key("keep", _KEEP, "How long it is kept; for ever where left out, decisions for 400 days."),
    "cite": Key("cite", TEXT, "The line of the schedule that says so."),
    "after": Key("after", word_of(CLOSED, ARRIVED), "From when on: since the matter was closed, or since it came."),
    "dispose": Key("dispose", word_of(APPROVED, AUTOMATIC), "Whether what is due waits for a second signature."),
    "content": Key("content", FLAG, "true: what mass mail says that passes is kept, each text once."),
}
_ALSO = {
    LEDGER: ("after", "dispose"),
    HELD: ("after", "dispose"),
    MASS: ("after", "dispose", "content"),
    ACCESS: ("dispose",),
    CERTIFICATES: ("dispose",),
}
_DESTROYED = (LEDGER, HELD, MASS, ACCESS, CERTIFICATES)  # by lists; decisions go by their age
_WHAT = {
    DECISIONS: "Recorded decisions; takes the place of keep under audit.",
    LEDGER: "Mailings, requests, permits, suspensions, cases, with their timelines.",
    HELD: "Content and envelopes of what was held.",
    MASS: "Content of mass mail that passed.",
    ACCESS: "Who looked, searched, exported.",
    CERTIFICATES: "Certificates of what was destroyed.",
}


def _class(name: str) -> Key:
    def make(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
        return replace(unless_said(name), **values)

    keys = tuple(_KEYS[key] for key in ("keep", "cite", *_ALSO.get(name, ())))
    return Key(name, Section("a class of records, such as {keep: 7 years, cite: GS7-14}", keys, make), _WHAT[name])


_CLASSES = Section(
    f"classes of records ({', '.join(CLASS_NAMES)}), such as held: {{keep: 3 years}}",
    tuple(_class(name) for name in CLASS_NAMES),
)
RECORDS = Section(
    "the schedule of records, such as {classes: {held: {keep: 3 years}}}",
    (
        Key("schedule", TEXT, "What the schedule is called."),
        Key("classes", _CLASSES, "Its classes, and how long each is kept."),
        Key("numbers", _NUMBERS, "What control numbers of exports begin with; GK where left out."),
        Key("second", word_of(*ROLES), "Whose signature a disposal needs besides; auditor where left out."),
        Key("backups", DURATION, "How long after a disposal copies may be in backups."),
    ),
    made_into(Records),
)
assert {field.name for field in fields(RecordClass)} == _KEYS.keys()

REPORTS = Section(
    "who gets reports, such as {monthly: [cio@example.gov]}",
    (
        Key(
            "monthly",
            ListOf(ADDRESS),
            "Who gets a link to each month's report, on the first working day after it.",
        ),
    ),
    lambda values, node, reading: ReportRules(tuple(dict.fromkeys(values.get("monthly", ())))),
)
_SEE_REPORTS = frozenset({"approver", "admin", "auditor", "records"})

# -- what an admin should know -----------------------------------------------------------------------------------


def warn_of_records(values: dict[str, Any], root: Mapping, reading: Reading) -> None:
    """Warn of what a valid schedule leaves open: no cite, content without its ledger, nobody to sign."""
    node = root.get("records")
    if node is None or not isinstance(node, Mapping):
        return
    records: Records = values["records"]
    classes = node.get("classes")
    for key, _ in classes.pairs if isinstance(classes, Mapping) else ():
        for text in _of_class(key.text, records):
            reading.warn(key, text)
    for text in _of_people(records, values):
        reading.warn(node, text)
    if _destroys(records) and records.backups is None:
        reading.warn(node, "no backups: a certificate will not say when copies of what was destroyed are gone too")


def warn_of_reports(values: dict[str, Any], root: Mapping, reading: Reading) -> None:
    """Warn of somebody who gets a link to reports that they may not see."""
    node = root.get("reports")
    if node is None or not isinstance(node, Mapping):
        return
    people = values.get("people", {})
    for address in values["reports"].monthly:
        if address not in people or _SEE_REPORTS.isdisjoint(people[address].roles):
            reading.warn(node, f"{address} gets a link to each month's report, and has no role that may see it")


def refuse_two_times(root: Mapping, reading: Reading) -> bool:
    """Report a second time for which decisions are kept; return True where there is one."""
    node: Node | None = root
    for name in ("records", "classes", DECISIONS, "keep"):
        node = node.get(name) if isinstance(node, Mapping) else None
    audit = root.get("audit")
    if node is None or not isinstance(audit, Mapping) or audit.get("keep") is None:
        return False
    reading.error(node, "keep of decisions stands under audit as well: expected it in one of them")
    return True


def _of_class(name: str, records: Records) -> Iterator[str]:
    found = records.classes[name]
    if not found.keep.is_forever and not found.cite:
        yield f"class {name} has no cite: which line of the schedule says so?"
    if name in (HELD, MASS) and found.keep.days > records.of(LEDGER).keep.days:
        yield f"class {name} is kept longer than ledger: content would be there of mailings that are not"
    if name == MASS and found.content and found.keep.is_forever:
        yield "class mass keeps what mass mail says for ever: expected keep beside content"
    if name == LEDGER and found.keep.days < records.of(ACCESS).keep.days:
        yield "class ledger is kept less long than access: the chain of acts still has what people said and decided"
    if name == CERTIFICATES and not found.keep.is_forever:
        yield "class certificates: those of ledger and access stay for ever, and others while what they explain is here"


def _of_people(records: Records, values: dict[str, Any]) -> Iterator[str]:
    roles = [role for person in values.get("people", {}).values() for role in person.roles]
    signed = [name for name in _DESTROYED if _waits(records.of(name))]
    if signed and "records" not in roles:
        yield f"class {signed[0]} waits for a records officer, and nobody under people has the role records"
    if signed and records.second not in roles:
        yield f"class {signed[0]} waits for the signature of {records.second}, a role that nobody under people has"


def _waits(found: RecordClass) -> bool:
    return not found.keep.is_forever and found.dispose == APPROVED


def _destroys(records: Records) -> bool:
    return any(not records.of(name).keep.is_forever for name in _DESTROYED)
