"""What the ledger adds to a report: how mailings ended, and which emergencies wait for their review."""

from __future__ import annotations

from sqlalchemy import Connection, RowMapping, select

from gatekeeper.immutable import immutable
from gatekeeper.store.schema import mailings, permit_scopes, permits


@immutable
class Fate:
    """How a mailing stands now."""

    mailing: str
    state: str
    users: int
    external: int


@immutable
class Emergency:
    """An emergency whose review is open (M1)."""

    id: str
    agencies: tuple[str, ...]
    by: str
    at: float
    until: float
    reason: str


def fates(connection: Connection, since: float, until: float) -> dict[str, Fate]:
    """Mailings with a number that began or changed in that time."""
    query = select(mailings.c.number, mailings.c.state, mailings.c.users, mailings.c.external).where(
        mailings.c.number.is_not(None),
        mailings.c.merged_into.is_(None),
        mailings.c.changed_at >= since,
        mailings.c.started_at <= until,
    )
    found = [Fate(f"M-{number}", *rest) for number, *rest in connection.execute(query)]
    return {fate.mailing: fate for fate in found}


def open_emergencies(connection: Connection) -> list[Emergency]:
    """Those that nobody has reviewed yet, oldest first."""
    query = select(permits).where(permits.c.kind == "emergency", permits.c.review == "open").order_by(permits.c.number)
    return [_emergency(connection, row) for row in connection.execute(query).mappings().all()]


def _emergency(connection: Connection, row: RowMapping) -> Emergency:
    agencies = _agencies(connection, row["id"])
    return Emergency(f"P-{row['number']}", agencies, row["given_by"], row["given_at"], row["until"], row["reason"])


def _agencies(connection: Connection, permit: int) -> tuple[str, ...]:
    query = select(permit_scopes.c.name).where(permit_scopes.c.permit_id == permit, permit_scopes.c.kind == "agency")
    return tuple(sorted(connection.execute(query).scalars()))
