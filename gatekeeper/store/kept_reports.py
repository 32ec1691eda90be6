"""Compliance reports that were kept as they were: RP-1, RP-2, each with the digest of its document."""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import Connection, insert, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import audit_chain
from gatekeeper.store.db.schema import kept_reports
from gatekeeper.store.events import GATE, Act
from gatekeeper.store.rows import lock_number, next_number


@immutable
class KeptReport:
    """A report as it was made: its document as text, and the SHA-256 of that."""

    id: str
    since: float
    until: float
    agency: str | None
    document: str
    digest: str
    made_at: float
    by: str
    login: str

    @property
    def is_whole(self) -> bool:
        """True where the document is that of the digest."""
        return digest_of(self.document) == self.digest


def digest_of(document: str) -> str:
    """Return the digest of a report's document."""
    return sha256(document.encode()).hexdigest()


def keep(connection: Connection, since: float, until: float, agency: str | None, document: str, act: Act) -> KeptReport:
    """Store a report, and write the act to the audit."""
    number = next_number(connection, "reports")
    row = {
        "number": number,
        "since": since,
        "until": until,
        "agency": agency,
        "document": document,
        "digest": digest_of(document),
        "at": act.at,
        "by": act.by,
        "login": act.login,
    }
    written = connection.execute(insert(kept_reports).values(**row)).inserted_primary_key
    assert written is not None
    audit_chain.note(connection, {"act": "report kept", "row": [kept_reports.name, written[0]], **row})
    found = find(connection, number)
    assert found is not None
    return found


def keep_once(connection: Connection, since: float, until: float, document: str, act: Act) -> KeptReport:
    """Store the report of a month, unless another node has done so meanwhile; return the one that is kept."""
    lock_number(connection, "reports")
    return of_month(connection, since, until) or keep(connection, since, until, None, document, act)


def of_month(connection: Connection, since: float, until: float) -> KeptReport | None:
    """Return the report that the gate has kept by itself of a period; None where there is none."""
    of_gate = (kept_reports.c.by == "", kept_reports.c.login == GATE, kept_reports.c.agency.is_(None))
    query = select(kept_reports.c.number).where(kept_reports.c.since == since, kept_reports.c.until == until, *of_gate)
    number = connection.execute(query.order_by(kept_reports.c.number).limit(1)).scalar()
    return None if number is None else find(connection, number)


def find(connection: Connection, number: int) -> KeptReport | None:
    """Return a kept report by its number; None where there is none."""
    row = connection.execute(select(kept_reports).where(kept_reports.c.number == number)).first()
    if row is None:
        return None
    return KeptReport(
        id=f"RP-{row.number}",
        since=row.since,
        until=row.until,
        agency=row.agency,
        document=row.document,
        digest=row.digest,
        made_at=row.at,
        by=row.by,
        login=row.login,
    )
