"""The one place where recorded things are removed, or emptied of what they say: what is preserved stays (C7, D2).

Whoever removes something begins here: what a hold in force or an open case keeps is looked up in the transaction that
removes, and left out. A test reads the package, and fails where a DELETE of a recorded table, or an UPDATE that empties
one of its columns, stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, cast, delete, exists, func, insert, or_, select, update

from gatekeeper.lifecycle import RecipientState
from gatekeeper.store import matter_people, texts
from gatekeeper.store.acts import COLUMNS, MATTERS, matter_of
from gatekeeper.store.audit_chain import Block
from gatekeeper.store.db.errors import StoreSetupError
from gatekeeper.store.db.schema import (
    audit_blocks,
    audit_chains,
    batch_recipients,
    batches,
    bodies,
    body_chunks,
    case_items,
    cases,
    control_numbers,
    custodians,
    disposal_items,
    events,
    exports,
    jobs,
    mailing_keys,
    mailing_people,
    mailings,
    permit_scopes,
    permit_uses,
    preserves,
    requests,
    searches,
    seen_states,
    shared_keys,
)
from gatekeeper.store.preserved import any_kept, begin_removal, kept


class Preserved(Exception):
    """Something was to be destroyed that is preserved: a fault of the program, after which nothing of it is."""


_AT_ONCE = 500  # batches in one statement
NO_BODY = b""  # the digest of no body
_BLANK: dict[str, Any] = {
    "client": {},
    "login": None,
    "sender": "",
    "parameters": [],
    "message_id": None,
    "content_digest": "",
    "body": NO_BODY,
    "trace": b"",
    "reasons": [],
    "owners": [],
    "origin": None,
    "size": None,
}
_NO_TALLY = dict.fromkeys(("recipients", "sent", "refused", "expired"), 0)


def free(connection: Connection, keys: Collection[int]) -> list[int]:
    """Return those of the mailings that may be removed, or emptied, in this transaction."""
    begin_removal(connection)
    held = kept(connection, keys)
    return [key for key in keys if key not in held]


# -- mailings and their messages -----------------------------------------------------------------------------------


def forget_mailing(connection: Connection, key: int) -> set[bytes]:
    """Remove what is left of a mailing that passed as ordinary mail, and return the digests of its bodies.

    A mailing that something keeps is left as it is, and has none.
    """
    if not free(connection, [key]):
        return set()
    sent = select(func.count()).where(_recipients_of(key), batch_recipients.c.state == RecipientState.SENT)
    relayed = mailings.c.relayed + connection.execute(sent).scalar_one()
    digests = _empty_messages(connection, key, _NO_TALLY)
    matter_people.forget(connection, key)
    texts.forget_matter(connection, "mailing", key)
    nameless = {"sender": None, "subject": None, "relayed": relayed}
    connection.execute(update(mailings).where(mailings.c.id == key).values(**nameless))
    return digests


def _recipients_of(key: int) -> Any:
    return batch_recipients.c.batch_id.in_(select(batches.c.id).where(batches.c.mailing_id == key))


def _empty_messages(connection: Connection, key: int, also: dict[str, Any]) -> set[bytes]:
    """Remove recipients, envelopes and names of the messages of a mailing; return the digests of their bodies."""
    found = connection.execute(select(batches.c.body).where(batches.c.mailing_id == key)).scalars()
    digests = {bytes(digest) for digest in found} - {NO_BODY}
    connection.execute(delete(batch_recipients).where(_recipients_of(key)))
    connection.execute(update(batches).where(batches.c.mailing_id == key).values(**_BLANK, **also))
    connection.execute(update(jobs).where(jobs.c.mailing_id == key).values(recipient=None, content=None, error=None))
    return digests


def destroy_contents(
    connection: Connection, listed: Mapping[int, Collection[bytes]], disposal: int, now: float
) -> set[bytes]:
    """Destroy messages of mailings by the schedule; return the digests of those that stay because others need them.

    The line of each mailing stays, and says by which disposal. Raises Preserved where something keeps one of them.

    Args: `listed` are the digests of the messages by mailing; `disposal` is the number of the list.
    """
    if len(free(connection, listed)) < len(listed):
        raise Preserved(f"one of the mailings {sorted(listed)} is preserved")
    digests = set().union(*listed.values())
    own = select(batches.c.id, batches.c.mailing_id, batches.c.body).where(batches.c.mailing_id.in_(listed))
    rows = connection.execute(own.where(batches.c.body.in_(digests)))
    ids = [id for id, key, body in rows if bytes(body) in listed[key]]
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        connection.execute(delete(batch_recipients).where(batch_recipients.c.batch_id.in_(part)))
        connection.execute(update(batches).where(batches.c.id.in_(part)).values(**_BLANK))
    nothing = {"recipient": None, "content": None, "error": None}
    connection.execute(update(jobs).where(jobs.c.mailing_id.in_(listed)).values(**nothing))
    connection.execute(update(mailings).where(mailings.c.id.in_(listed)).values(destroyed=disposal))
    while remove_bodies(connection, now, digests):
        pass
    there = select(bodies.c.digest).where(bodies.c.digest.in_(digests))
    return {bytes(found) for found in connection.execute(there).scalars()}


def destroy_matter(connection: Connection, kind: str, key: int, disposal: int, now: float) -> None:
    """Destroy what the ledger has of a matter; a line stays: number, state, times, counts, by which disposal.

    What happened to several matters goes with the last of them. Whoever calls this has asked what is kept. Raises
    Preserved for a mailing that something keeps.
    """
    table, column = matter_of(kind).table, COLUMNS[kind]
    body: bytes | None = None
    if table is mailings:
        _empty_mailing(connection, key)
    elif table is requests:
        body = connection.execute(select(requests.c.body).where(requests.c.id == key)).scalar()
    values: dict[str, Any] = {**_EMPTIED[kind], "disposed": disposal}
    connection.execute(update(table).where(table.c.id == key).values(**values))
    matter_people.forget(connection, key, kind)
    texts.forget_matter(connection, kind, key)
    for own in _OWN.get(kind, ()):
        connection.execute(delete(own.table).where(own == key))
    connection.execute(delete(events).where(events.c[column] == key, *_about_nothing_else(column)))
    while body is not None and remove_bodies(connection, now, [bytes(body)]):
        pass


def _empty_mailing(connection: Connection, key: int) -> None:
    """Remove batches, recipients, keys and people of a mailing, and the names of those that became part of it."""
    if not free(connection, [key]):
        raise Preserved(f"mailing {key} is preserved")
    sent = select(func.coalesce(func.sum(batches.c.sent), 0)).where(batches.c.mailing_id == key)
    connection.execute(
        update(mailings).where(mailings.c.id == key).values(relayed=mailings.c.relayed + sent.scalar_subquery())
    )
    nothing = {"mailing_id": None, "batch_id": None, "recipient": None, "content": None, "error": None}
    of_batches = jobs.c.batch_id.in_(select(batches.c.id).where(batches.c.mailing_id == key))
    connection.execute(update(jobs).where(or_(jobs.c.mailing_id == key, of_batches)).values(**nothing))
    connection.execute(delete(batch_recipients).where(_recipients_of(key)))
    connection.execute(delete(batches).where(batches.c.mailing_id == key))
    remove_keys(connection, key)
    connection.execute(delete(mailing_people).where(mailing_people.c.mailing_id == key))
    nameless, parts = _EMPTIED["mailing"], [key]
    while parts:  # the names of what became part of it, of what had become part of that
        within = mailings.c.merged_into.in_(parts)
        parts = list(connection.execute(select(mailings.c.id).where(within)).scalars())
        connection.execute(update(mailings).where(within).values(**nameless))


def _about_nothing_else(column: str) -> list[Any]:
    """Return the condition that an event is about no other matter that is still there."""
    others = [(matter.table, name) for name, matter in MATTERS.items() if name != column]
    return [~exists().where(table.c.id == events.c[name], table.c.disposed.is_(None)) for table, name in others]


_EMPTIED: Mapping[str, Mapping[str, Any]] = {  # what is emptied of the row of a matter
    "mailing": {
        "source": b"", "sender": None, "subject": None, "agencies": {}, "lists": [], "tallies": None, "reasons": [],
        "joined": {}, "agency": None, "refused": None,
    },
    "request": {
        "agency": "", "requester": "", "senders": [], "subject": "", "subject_key": "", "purpose": "", "audiences": [],
        "content": None, "body": None, "rules": [], "terms": {}, "reason": "", "decided_by": None,
    },
    "permit": {
        "rules": [], "digests": [], "fingerprints": [], "links": [], "attachments": [], "likeness": None, "subject": "",
        "subject_key": "", "lists": [], "agencies": [], "purpose": "", "reason": "", "given_by": "",
    },
    "suspension": {"name": "", "reason": "", "given_by": ""},
    "case": {"title": "", "outside": "", "opened_by": "", "closed_by": None},
    "hold": {
        "reason": "", "agencies": [], "audiences": [], "subjects": [], "mailings": [], "placed_by": "",
        "agreed_by": None, "released_by": None,
    },
    "certificate": {"proposed_by": "", "signed_by": None, "withdrawn_by": None},
}  # fmt: skip
_OWN: Mapping[str, tuple[Column[Any], ...]] = {  # columns of what goes with a matter
    "permit": (permit_scopes.c.permit_id,),
    "case": (case_items.c.case_id, searches.c.case_id, exports.c.case_id, control_numbers.c.case_id),
    "hold": (custodians.c.preserve_id,),
    "certificate": (disposal_items.c.disposal_id,),
}


def remove_bodies(connection: Connection, before: float, among: Collection[bytes] | None = None) -> int:
    """Remove up to 100 bodies that no batch and no request needs; return their number.

    Args: `before` spares a body that somebody has begun to store since; `among` are the digests to look at, None for
    all.
    """
    needed = or_(exists().where(batches.c.body == bodies.c.digest), exists().where(requests.c.body == bodies.c.digest))
    query = select(bodies.c.digest).where(bodies.c.stored_at <= before, ~needed).limit(100)
    if among is not None:
        query = query.where(bodies.c.digest.in_(among))
    digests = [bytes(digest) for digest in connection.execute(query).scalars()]
    if digests:
        texts.forget_contents(connection, digests)
        connection.execute(delete(body_chunks).where(body_chunks.c.digest.in_(digests)))
        connection.execute(delete(bodies).where(bodies.c.digest.in_(digests)))
    return len(digests)


def remove_unsealed(connection: Connection, ids: Sequence[int]) -> None:
    """Remove batches that were never acknowledged, with their recipients: who brought them has them still."""
    connection.execute(delete(batch_recipients).where(batch_recipients.c.batch_id.in_(ids)))
    connection.execute(delete(batches).where(batches.c.id.in_(ids)))


def remove_ordinary(connection: Connection, keys: Collection[int]) -> int:
    """Remove mailings without a number, of which there are only hashes; return their number."""
    ids = free(connection, keys)
    if not ids:
        return 0
    # a notice that is still to be sent does not keep the hashes of what it was about
    own = jobs.c.mailing_id.in_(ids)
    connection.execute(update(jobs).where(own, jobs.c.state != "due").values(recipient=None, error=None))
    connection.execute(update(jobs).where(own).values(mailing_id=None))
    for table in (mailing_keys, shared_keys, mailing_people, events):
        connection.execute(delete(table).where(table.c.mailing_id.in_(ids)))
    connection.execute(delete(mailings).where(mailings.c.id.in_(ids)))
    return len(ids)


# -- what has become part of something else ------------------------------------------------------------------------


def remove_moved(connection: Connection, table: Table, mailing: int) -> None:
    """Remove what a mailing has in a table, after it was copied to the mailing that it becomes a part of."""
    assert table in _MOVED, table
    connection.execute(delete(table).where(table.c.mailing_id == mailing))


_MOVED = (mailing_people, shared_keys, permit_uses)


def remove_keys(connection: Connection, mailing: int) -> None:
    """Let no key lead to a mailing any more."""
    for table in (mailing_keys, shared_keys):
        connection.execute(delete(table).where(table.c.mailing_id == mailing))


def absorb(connection: Connection, mailing: int, target: int) -> None:
    """Remove a mailing without a number that has become part of another."""
    connection.execute(update(mailings).where(mailings.c.merged_into == mailing).values(merged_into=target))
    connection.execute(delete(mailings).where(mailings.c.id == mailing, mailings.c.id != target))


def point_to(connection: Connection, mailing: int, target: int) -> None:
    """Let the number of a mailing lead to the one that it has become part of; its own name goes, unless it is kept."""
    nameless = {"sender": None, "subject": None} if free(connection, [mailing]) else {}
    gone = {"merged_into": target, "gather_until": None, **nameless}
    connection.execute(update(mailings).where(mailings.c.id == mailing).values(**gone))


def give_back_use(connection: Connection, permit: int, mailing: int) -> None:
    """Remove the use of a permit by a mailing of which nothing was sent."""
    own = (permit_uses.c.permit_id == permit, permit_uses.c.mailing_id == mailing)
    connection.execute(delete(permit_uses).where(*own))


# -- what people were shown ----------------------------------------------------------------------------------------


def forget_seen(connection: Connection, before: float) -> None:
    """Remove states that were last shown before that time; none while something is kept, for they may be about it."""
    begin_removal(connection)
    if not any_kept(connection):
        connection.execute(delete(seen_states).where(seen_states.c.at < before))


def forget_shown(connection: Connection, name: str, keys: Collection[object]) -> None:
    """Remove what people were shown of matters that are destroyed. Args: `name` of what tells them apart there."""
    told = cast(seen_states.c.state[name].as_string(), Text)
    connection.execute(delete(seen_states).where(told.in_([str(key) for key in keys])))


# -- the audit -----------------------------------------------------------------------------------------------------


def remove_block(connection: Connection, block: Block) -> bool:
    """Remove a block of records, if it is the first of its chain; return False where it is not."""
    aged = {"aged_out": block.first + block.records - 1, "checkpoint": block.head}
    is_first = (audit_chains.c.id == block.chain, audit_chains.c.aged_out == block.first - 1)
    if not connection.execute(update(audit_chains).where(*is_first).values(**aged)).rowcount:
        return False
    connection.execute(delete(audit_blocks).where(audit_blocks.c.id == block.id))
    return True


def empty_block(connection: Connection, block: Block) -> None:
    """Remove the records of a block behind which, and before which, others stay: its numbers and its head stay."""
    connection.execute(update(audit_blocks).where(audit_blocks.c.id == block.id).values(payload=b""))


def split_block(connection: Connection, block: Block, parts: Sequence[tuple[Block, bytes]]) -> bool:
    """Put parts in the place of a block, of which some have no payload any more; return False where it has changed."""
    (first, payload), *others = parts
    same = (audit_blocks.c.id == block.id, audit_blocks.c.records == block.records)
    values = {"records": first.records, "head": first.head, "payload": payload}
    if not connection.execute(update(audit_blocks).where(*same).values(**values)).rowcount:
        return False
    for part, payload in others:
        row = {"chain_id": part.chain, "first": part.first, "records": part.records, "payload": payload}
        times = {"first_at": part.first_at, "last_at": part.last_at, "head": part.head}
        connection.execute(insert(audit_blocks).values(**row, **times))
    return True


def remove_chains(connection: Connection, ids: Sequence[int]) -> None:
    """Remove chains of which no record is left."""
    left = exists().where(audit_blocks.c.chain_id == audit_chains.c.id)
    connection.execute(delete(audit_chains).where(audit_chains.c.id.in_(ids), ~left))


def replace_blocks(connection: Connection, blocks: Sequence[Block], payload: bytes) -> bool:
    """Replace several blocks by one with all their records; return False where one of them has changed since."""
    first, *others = blocks
    gone = delete(audit_blocks).where(audit_blocks.c.id.in_([block.id for block in others]))
    if connection.execute(gone).rowcount != len(others):
        return False
    whole = {
        "records": sum(block.records for block in blocks),
        "first_at": min(block.first_at for block in blocks),
        "last_at": max(block.last_at for block in blocks),
        "head": blocks[-1].head,
        "payload": payload,
    }
    same = (audit_blocks.c.id == first.id, audit_blocks.c.records == first.records)
    return bool(connection.execute(update(audit_blocks).where(*same).values(**whole)).rowcount)


# -- a copy ------------------------------------------------------------------------------------------------------


def clear_new(connection: Connection, tables: Sequence[Table]) -> None:
    """Remove what migrations wrote to a database that is copied to; raise StoreSetupError where it has more."""
    for table in (mailings, requests, bodies, cases, preserves):
        if connection.execute(select(select(table).exists())).scalar():
            raise StoreSetupError(f"the database to copy to has {table.name}: expected an empty one")
    for table in tables:
        connection.execute(delete(table))
