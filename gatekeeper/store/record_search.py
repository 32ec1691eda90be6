"""Which records a search finds: those of texts with the words, narrowed by who, when and in which state.

What is found is a mailing, request, permit or suspension by its facts, or a kept message by its content.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
)

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import UNACKNOWLEDGED
from gatekeeper.store import matter_people
from gatekeeper.store.acts import name_of
from gatekeeper.store.db.hashing import Hash
from gatekeeper.store.db.schema import (
    audit_blocks,
    audit_chains,
    batches,
    events,
    mailing_people,
    mailings,
    permits,
    requests,
    suspensions,
    texts,
)
from gatekeeper.store.filters import lists
from gatekeeper.store.texts import CONTENT, IS_RECORD

_AT_ONCE = 500
LEDGER, HELD, MASS = "ledger", "held", "mass"


@immutable
class RecordFilters:
    """What narrows a search; "" and None for anything."""

    places: frozenset[str] = frozenset({LEDGER, HELD, MASS})
    sender: str = ""
    recipient: str = ""
    recipient_hash: Hash = b""
    person: str = ""
    person_hash: Hash = b""
    agency: str = ""
    state: str = ""
    rule: str = ""
    since: float | None = None
    until: float | None = None
    mailings: tuple[int, ...] = ()
    keys: frozenset[int] | None = None  # of mailings, once the people are looked up; None for any


@immutable
class Hit:
    """Something found: by its facts, or a kept message of it by its content."""

    place: str  # ledger, held, mass
    kind: str  # mailing, request, permit, suspension
    id: str
    at: float
    state: str
    sender: str
    subject: str
    digest: str = ""  # of the message, where its content was found
    batch: int | None = None  # the first that has this content
    batches: int = 0
    kept: bool = True  # its recipients are; else they are known by hashes


@immutable
class Unsearched:
    """A part of a kept message that no search finds, and why."""

    id: str
    digest: str
    part: str
    why: str


def find(
    connection: Connection, ids: Collection[int] | None, sought: RecordFilters, limit: int | None
) -> tuple[dict[str, int], list[Hit]]:
    """Return how many there are by place and kind, and the newest.

    Args: `ids` of texts; None for all; `limit` likewise.
    """
    counts: dict[str, int] = {}
    hits: list[Hit] = []
    there = None if ids is None else _kinds(connection, ids)
    for kind, query, place in _queries(connection, ids, sought):
        if there is not None and kind not in there:
            continue
        number = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
        if number:
            rows = connection.execute(query.order_by(query.selected_columns.at.desc()).limit(limit)).mappings()
            found = [_hit(row, place) for row in rows]
            name = found[0].kind if place == LEDGER else place
            counts[name] = counts.get(name, 0) + int(number)
            hits += found
    return counts, sorted(hits, key=lambda hit: (-hit.at, hit.id, hit.digest))[:limit]


def _kinds(connection: Connection, ids: Collection[int]) -> frozenset[str]:
    """Return of which kinds these texts are."""
    found = select(texts.c.kind).where(_one_of(connection, ids, texts.c.id)).distinct()
    return frozenset(connection.execute(found).scalars())


def _hit(row: Any, place: str) -> Hit:
    return Hit(
        place=place,
        kind=row["kind"],
        id=name_of(row["kind"], row["number"]),
        at=row["at"],
        state=row["state"],
        sender=row["sender"] or "",
        subject=row["subject"] or "",
        digest=bytes(row["digest"]).hex() if row["digest"] else "",
        batch=row["batch"],
        batches=row["batches"],
        kept=bool(row["kept"]),
    )


def _queries(
    connection: Connection, ids: Collection[int] | None, sought: RecordFilters
) -> Iterator[tuple[str, Select[Any], str]]:
    """Yield the kind of text, the query, and the place of each."""
    if LEDGER in sought.places:
        yield from ((kind, query, LEDGER) for kind, query in _of_ledger(connection, ids, sought))
    for place in _places_of_mail(sought):
        yield CONTENT, _of_contents(connection, ids, sought, place), place
    if LEDGER in sought.places:
        yield CONTENT, _of_drafts(connection, ids, sought), LEDGER


def _one_of(connection: Connection, ids: Collection[int], column: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the condition that a key is one of these, of which there may be a hundred thousand."""
    if len(ids) <= _AT_ONCE:
        return column.in_(list(ids))
    if connection.dialect.name == "sqlite":
        each = func.json_each(json.dumps(list(ids))).table_valued("value", name="wanted")
        return column.in_(select(each.c.value))
    return column == func.any(cast(list(ids), ARRAY(BigInteger)))


def _among(connection: Connection, ids: Collection[int] | None, sought: RecordFilters) -> list[ColumnElement[bool]]:
    """Return the condition that a text is one of these.

    Where mailings are known, which are few, it is written so that no index serves it: SQLite would begin with texts.
    """
    column = texts.c.id if sought.keys is None else texts.c.id + 0
    return [] if ids is None else [_one_of(connection, ids, column)]


def narrowed(connection: Connection, sought: RecordFilters) -> RecordFilters:
    """Return the same with the keys of the mailings of the people that are looked for, which are read once."""
    chosen = []
    if sought.sender:
        chosen.append(_keys(connection, *_own(sought.sender)))
    if sought.recipient:
        chosen.append(_keys(connection, _reached(sought.recipient_hash)))
    if sought.person:
        did = select(events.c.mailing_id).where(events.c.by == sought.person, events.c.mailing_id.is_not(None))
        chosen.append(_keys(connection, *_own(sought.person), _reached(sought.person_hash), did))
    return replace(sought, keys=frozenset.intersection(*chosen)) if chosen else sought


def _own(address: str) -> tuple[Select[Any], Select[Any]]:
    named = select(mailings.c.id).where(mailings.c.sender == address, mailings.c.number.is_not(None))
    return named, matter_people.keys_of(matter_people.MAILING, address, matter_people.OWN)


def _reached(person: Hash) -> Select[Any]:
    reached = exists().where(mailing_people.c.mailing_id == mailings.c.id, mailing_people.c.person == person)
    return select(mailings.c.id).where(mailings.c.number.is_not(None), reached)


def _keys(connection: Connection, *queries: Select[Any]) -> frozenset[int]:
    return frozenset(key for query in queries for key in connection.execute(query).scalars())


# -- facts of the ledger -----------------------------------------------------------------------------------------


def _of_ledger(
    connection: Connection, ids: Collection[int] | None, sought: RecordFilters
) -> Iterator[tuple[str, Select[Any]]]:
    wanted = _among(connection, ids, sought)
    chosen = [IS_RECORD, *_of_mailing(connection, sought)]
    about = mailings.c.changed_at, mailings.c.sender, mailings.c.subject
    if sought.keys is None or sought.keys:
        yield "mailing", _facts("mailing", mailings, *about, wanted, chosen)
    if sought.recipient or sought.rule or sought.mailings:
        return
    about = requests.c.changed_at, requests.c.requester, requests.c.subject
    yield "request", _facts("request", requests, *about, wanted, _of_request(sought))
    about = permits.c.given_at, permits.c.given_by, permits.c.subject
    yield "permit", _facts("permit", permits, *about, wanted, _of_given("permit", permits, sought))
    about = suspensions.c.given_at, suspensions.c.name, suspensions.c.reason
    yield "suspension", _facts("suspension", suspensions, *about, wanted, _of_given("suspension", suspensions, sought))


def _facts(
    kind: str, table: Any, at: Any, sender: Any, subject: Any, wanted: Sequence[Any], chosen: Sequence[Any]
) -> Select[Any]:
    query = select(
        literal(kind).label("kind"),
        table.c.number,
        at.label("at"),
        table.c.state,
        sender.label("sender"),
        subject.label("subject"),
        null().label("digest"),
        null().label("batch"),
        literal(0).label("batches"),
        _is_kept() if kind == "mailing" else literal(1).label("kept"),
    )
    read = (texts.c.kind == kind) & (texts.c.matter_id == table.c.id)
    return query.select_from(texts).join(table, read).where(*wanted, *chosen)


def _is_kept() -> ColumnElement[Any]:
    """Return whether there is a list of recipients: a copy of what passed has none."""
    listed = func.coalesce(batches.c.recipients, 1) > 0
    own = (batches.c.mailing_id == mailings.c.id, batches.c.state.not_in(UNACKNOWLEDGED))
    return exists().where(*own, listed).label("kept")


def _of_mailing(connection: Connection, sought: RecordFilters) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = []
    chosen += [] if sought.keys is None else [_one_of(connection, sought.keys, mailings.c.id)]
    chosen += [mailings.c.agency == sought.agency] if sought.agency else []
    chosen += [mailings.c.state == sought.state] if sought.state else []
    chosen += [lists(mailings.c.reasons, sought.rule, "rule")] if sought.rule else []
    chosen += [mailings.c.number.in_(sought.mailings)] if sought.mailings else []
    return chosen + _within(sought, mailings.c.started_at, mailings.c.changed_at)


def _did(about: ColumnElement[bool], person: str) -> ColumnElement[bool]:
    return exists().where(about, events.c.by == person)


def _within(sought: RecordFilters, first: ColumnElement[Any], last: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    chosen = [] if sought.since is None else [last >= sought.since]
    return chosen + ([] if sought.until is None else [first <= sought.until])


def _of_request(sought: RecordFilters) -> list[ColumnElement[bool]]:
    chosen = _within(sought, requests.c.submitted_at, requests.c.changed_at)
    if sought.sender:
        chosen.append(or_(requests.c.requester == sought.sender, lists(requests.c.senders, sought.sender)))
    if sought.person:
        named = lists(requests.c.senders, sought.person)
        did = _did(events.c.request_id == requests.c.id, sought.person)
        chosen.append(or_(requests.c.requester == sought.person, named, did))
    chosen += [requests.c.agency == sought.agency] if sought.agency else []
    return chosen + ([requests.c.state == sought.state] if sought.state else [])


def _of_given(kind: str, table: Any, sought: RecordFilters) -> list[ColumnElement[bool]]:
    """Return the conditions of permits or suspensions; those of one agency or sender are not told apart here."""
    chosen = _within(sought, table.c.given_at, table.c.given_at)
    if sought.person:
        did = _did(events.c[f"{kind}_id"] == table.c.id, sought.person)
        named = [table.c.name == sought.person] if kind == "suspension" else []
        chosen.append(or_(table.c.given_by == sought.person, did, *named))
    if sought.sender or sought.agency:
        name = sought.sender or sought.agency
        chosen.append(table.c.name == name if kind == "suspension" else literal(False))
    return chosen + ([table.c.state == sought.state] if sought.state else [])


# -- kept messages -----------------------------------------------------------------------------------------------


def _places_of_mail(sought: RecordFilters) -> list[str]:
    """Return the places of kept messages that are looked into: none where nobody's mailing is meant."""
    return sorted(sought.places & {HELD, MASS}) if sought.keys is None or sought.keys else []


def _of_contents(connection: Connection, ids: Collection[int] | None, sought: RecordFilters, place: str) -> Select[Any]:
    held = mailings.c.held_at.is_not(None)
    query = select(
        literal("mailing").label("kind"),
        mailings.c.number,
        func.min(batches.c.received_at).label("at"),
        mailings.c.state,
        mailings.c.sender,
        mailings.c.subject,
        texts.c.digest,
        func.min(batches.c.id).label("batch"),
        func.count().label("batches"),
        literal(1).label("kept"),
    )
    # What has a digest is of a message: to name its kind, too, has SQLite begin with all messages.
    query = query.select_from(texts).join(batches, batches.c.body == texts.c.digest)
    query = query.join(mailings, mailings.c.id == batches.c.mailing_id)
    chosen = [IS_RECORD, held if place == HELD else ~held, batches.c.state.not_in(UNACKNOWLEDGED)]
    query = query.where(*_among(connection, ids, sought), *chosen, *_of_mailing(connection, sought))
    columns = ("number", "state", "sender", "subject")
    return query.group_by(texts.c.id, texts.c.digest, mailings.c.id, *(mailings.c[name] for name in columns))


def _of_drafts(connection: Connection, ids: Collection[int] | None, sought: RecordFilters) -> Select[Any]:
    """Select the messages that requests are bound to."""
    query = select(
        literal("request").label("kind"),
        requests.c.number,
        requests.c.changed_at.label("at"),
        requests.c.state,
        requests.c.requester.label("sender"),
        requests.c.subject,
        texts.c.digest,
        null().label("batch"),
        literal(0).label("batches"),
        literal(1).label("kept"),
    )
    query = query.select_from(texts).join(requests, requests.c.body == texts.c.digest)
    nobody = [literal(False)] if sought.recipient or sought.rule or sought.mailings else []
    return query.where(*_among(connection, ids, sought), *_of_request(sought), *nobody)


def unsearched(connection: Connection, sought: RecordFilters, limit: int) -> tuple[int, list[Unsearched]]:
    """Return how many kept messages have parts that no search finds, and the parts of up to `limit` of them."""
    number, parts = 0, []
    for query in _with_contents(connection, sought):
        query = query.where(texts.c.unsearched.is_not(None))
        if sought.keys is None:
            query = query.where(texts.c.kind == CONTENT)  # as the index has it
        number += int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())
        query = query.add_columns(texts.c.unsearched).order_by(query.selected_columns.number, texts.c.id).limit(limit)
        parts += [each for row in connection.execute(query).mappings() for each in _parts(row)]
    return number, parts


def _with_contents(connection: Connection, sought: RecordFilters) -> Iterator[Select[Any]]:
    """Yield what selects messages: those of mailings, and those that requests are bound to."""
    for place in _places_of_mail(sought):
        yield _of_contents(connection, None, sought, place)
    if LEDGER in sought.places:
        yield _of_drafts(connection, None, sought)


def _parts(row: Any) -> Iterator[Unsearched]:
    for part, why in row["unsearched"]:
        yield Unsearched(name_of(row["kind"], row["number"]), bytes(row["digest"]).hex(), part, why)


def unsearched_of(connection: Connection, digests: Collection[bytes]) -> dict[str, list[tuple[str, str]]]:
    """Return what of these messages no search finds, and why, by the digest of the message."""
    found: dict[str, list[tuple[str, str]]] = {}
    wanted = list(digests)
    for start in range(0, len(wanted), _AT_ONCE):
        some = texts.c.digest.in_(wanted[start : start + _AT_ONCE])
        for row in connection.execute(select(texts).where(some, texts.c.unsearched.is_not(None))).mappings():
            found[bytes(row["digest"]).hex()] = [(part, why) for part, why in row["unsearched"]]
    return found


def aged_out(connection: Connection) -> tuple[int, float | None]:
    """Return how many recorded decisions and acts are gone, and when the first began that are there."""
    gone = connection.execute(select(func.sum(audit_chains.c.aged_out))).scalar()
    return int(gone or 0), connection.execute(select(func.min(audit_blocks.c.first_at))).scalar()
