"""What the ledger says about a mailing: first its own state, all else only where a verdict depends on it.

Ordinary mail pays for nothing of the second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, false, literal_column, or_, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import MailingState, PermitState, SuspensionState
from gatekeeper.model import EarlierMailings, Permit, Scope, Source, Standing, Suspension
from gatekeeper.store.db.hashing import Hash
from gatekeeper.store.db.schema import IS_MASS, mailings, permit_scopes, permit_uses, permits, suspensions
from gatekeeper.store.db.statements import Statement
from gatekeeper.store.rows import mailing_name, permit_of, reasons_from_rows, scope_of

_RECENT = 14 * 86_400.0  # seconds after its end for which a sender hears of a permit for the same subject
_LEFT = (MailingState.OPEN, MailingState.GATHERING, MailingState.RELEASED)  # mailings that were or are being sent

# Most of the time there is no permit and no suspension at all, which a statement that is compiled already finds out in
# a tenth of the time.
_A_PERMIT = Statement(lambda _: select(permits.c.id).limit(literal_column("1")))
_A_SUSPENSION = Statement(lambda _: select(suspensions.c.id).limit(literal_column("1")))


@immutable
class Claimant:
    """Who sends, and on which subject: what permits and suspensions are matched with."""

    source: Source
    subject_key: str


@immutable
class LedgerQuery:
    """What the ledger is asked about a mailing, besides its own state."""

    claimants: Collection[Claimant]
    earlier: Collection[EarlierMailings]
    now: float  # seconds since 1970
    source: Hash  # of the mailing
    mailing_id: int | None = None  # None for a mailing that has still to begin


def own_standing(connection: Connection, mailing: Mapping[str, Any] | RowMapping) -> Standing:
    """Return what the mailing's own row says: its state, why it is held, and the permits that it has used."""
    if mailing["number"] is None:
        return Standing(state=mailing["state"])
    name, reasons = mailing_name(mailing["number"]), reasons_from_rows(mailing["reasons"])
    if not _A_PERMIT.rows(connection, {}):
        return Standing(name, mailing["state"], reasons)
    used = select(permits).join(permit_uses, permit_uses.c.permit_id == permits.c.id)
    used = used.where(permit_uses.c.mailing_id == mailing["id"]).order_by(permits.c.id)
    rows = connection.execute(used).mappings().all()
    known = _with_scopes(connection, rows, {row["id"] for row in rows})
    return Standing(name, mailing["state"], reasons, known)


def whole_standing(connection: Connection, own: Standing, query: LedgerQuery) -> Standing:
    """Return all that the ledger says: permits that may cover the mailing, suspensions, earlier mailings."""
    claimants, now = query.claimants, query.now
    names = {pair for claimant in claimants for pair in _names(claimant.source)}
    others = {pair for claimant in claimants for pair in claimant.source.others}
    subjects = {claimant.subject_key for claimant in claimants} - {""}
    return replace(
        own,
        whole=True,
        permits=_permits(connection, query.mailing_id, names, subjects, now),
        suspensions=_suspensions(connection, names | others, now),
        earlier={question: _count_earlier(connection, query, question) for question in query.earlier},
    )


def _names(source: Source) -> Iterable[tuple[str, str]]:
    yield "sender", source.mailbox
    if source.agency:
        yield "agency", source.agency
    yield from (("group", group) for group in source.groups)


def _one_of(table: Any, names: Collection[tuple[str, str]]) -> ColumnElement[bool]:
    pairs = (and_(table.c.kind == kind, table.c.name == name) for kind, name in sorted(names))
    return or_(false(), *pairs)


# -- permits -----------------------------------------------------------------------------------------------------


def _permits(
    connection: Connection, mailing_id: int | None, names: Collection[tuple[str, str]], subjects: set[str], now: float
) -> tuple[Permit, ...]:
    """Return permits that the mailing has used, those for its sender, and those for its subject, though these
    cannot cover it.
    """
    if not _A_PERMIT.rows(connection, {}):
        return ()
    used = select(permit_uses.c.permit_id).where(permit_uses.c.mailing_id == mailing_id)
    claimed = set(connection.execute(used).scalars()) if mailing_id is not None else set()
    scoped = select(permit_scopes.c.permit_id).where(_one_of(permit_scopes, names))
    in_force = and_(permits.c.state == PermitState.IN_FORCE, permits.c.until >= now, permits.c.id.in_(scoped))
    named = and_(permits.c.subject_key.in_(sorted(subjects)), permits.c.until >= now - _RECENT)
    query = select(permits).where(or_(permits.c.id.in_(sorted(claimed)), in_force, named)).order_by(permits.c.id)
    return _with_scopes(connection, connection.execute(query).mappings().all(), claimed)


def _with_scopes(connection: Connection, rows: Collection[RowMapping], claimed: set[int]) -> tuple[Permit, ...]:
    scopes = read_scopes(connection, [row["id"] for row in rows])
    return tuple(permit_of(row, scopes[row["id"]], claimed=row["id"] in claimed) for row in rows)


def read_scopes(connection: Connection, ids: Collection[int]) -> dict[int, Scope]:
    """Return the scopes of these permits."""
    found: dict[int, list[tuple[str, str]]] = {id: [] for id in ids}
    if found:
        query = select(permit_scopes).where(permit_scopes.c.permit_id.in_(list(ids)))
        for row in connection.execute(query).mappings():
            found[row["permit_id"]].append((row["kind"], row["name"]))
    return {id: scope_of(names) for id, names in found.items()}


# -- suspensions, earlier mailings -------------------------------------------------------------------------------


def _suspensions(connection: Connection, names: Collection[tuple[str, str]], now: float) -> tuple[Suspension, ...]:
    if not _A_SUSPENSION.rows(connection, {}):
        return ()
    query = select(suspensions).where(
        suspensions.c.state == SuspensionState.IN_FORCE, suspensions.c.until > now, _one_of(suspensions, names)
    )
    rows = connection.execute(query.order_by(suspensions.c.id)).mappings()
    return tuple(
        Suspension(
            f"S-{row['number']}",
            scope_of([(row["kind"], row["name"])]),
            row["reason"],
            moment_of(row["until"]),
        )
        for row in rows
    )


def _count_earlier(connection: Connection, query: LedgerQuery, question: EarlierMailings) -> int:
    """Count mass mailings that began within that time before now, and that somebody got or is to get (T4)."""
    since = query.now - question.within.total_seconds()
    sent = or_(mailings.c.state.in_(_LEFT), mailings.c.relayed > 0)
    chosen = [IS_MASS, mailings.c.started_at > since, mailings.c.merged_into.is_(None), sent]
    if query.mailing_id is not None:
        chosen.append(mailings.c.id != query.mailing_id)
    if not question.to:
        chosen.append(mailings.c.source == query.source)
    rows = connection.execute(select(mailings.c.lists, mailings.c.agencies).where(*chosen))
    return sum(not question.to or _goes_to(question.to, lists, agencies) for lists, agencies in rows)


def _goes_to(audience: str, lists: Iterable[str], agencies: Iterable[str]) -> bool:
    """Return True where the audience is among these, whatever the case of its letters."""
    return any(audience.casefold() == name.casefold() for name in (*lists, *agencies))
