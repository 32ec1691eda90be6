"""Permits as people see them, with their scopes, the mailings that have used them, and their versions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import field, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import COVERING, PermitState
from gatekeeper.model import Likeness, Scope
from gatekeeper.store.db.schema import mailings, permit_uses, permits, requests
from gatekeeper.store.rows import likeness_of, mailing_name
from gatekeeper.store.standing import read_scopes
from gatekeeper.store.versions import version_of


@immutable
class PermitView:
    """A permit as people see it."""

    key: int = field(repr=False)
    id: str
    kind: str
    state: PermitState
    request: str | None
    rules: tuple[str, ...]
    scope: Scope
    binding: str
    digests: tuple[str, ...]
    likeness: Likeness
    subject: str
    lists: tuple[str, ...]
    agencies: tuple[str, ...]
    ceiling: int | None
    since: float
    until: float
    uses: int | None
    used: int
    purpose: str
    reason: str
    review: str | None
    given_by: str
    given_at: float
    mailings: tuple[str, ...]  # that have used it
    version: str = ""  # changes with all that somebody would want to see before narrowing or revoking it


def list_permits(
    connection: Connection, state: str | None = None, review: str | None = None, limit: int = 1000
) -> list[PermitView]:
    """Return permits, newest first; of one state or one state of review, where named."""
    query = select(permits).order_by(permits.c.number.desc()).limit(limit)
    if state:
        query = query.where(permits.c.state == state)
    if review:
        query = query.where(permits.c.review == review)
    return views_of(connection, connection.execute(query).mappings().all())


def find_permit(connection: Connection, number: int) -> PermitView | None:
    """Return one permit by its number."""
    return _one(connection, permits.c.number == number)


def lock_permit(connection: Connection, number: int) -> PermitView | None:
    """Return one permit by its number, locked until the transaction ends."""
    connection.execute(select(permits.c.id).where(permits.c.number == number).with_for_update())
    return find_permit(connection, number)


def permits_of(connection: Connection, request_key: int) -> list[PermitView]:
    """Return the permits that a request was given."""
    query = select(permits).where(permits.c.request_id == request_key).order_by(permits.c.id)
    return views_of(connection, connection.execute(query).mappings().all())


def _one(connection: Connection, condition: ColumnElement[bool]) -> PermitView | None:
    rows = connection.execute(select(permits).where(condition)).mappings().all()
    return next(iter(views_of(connection, rows)), None)


def views_of(connection: Connection, rows: Collection[RowMapping]) -> list[PermitView]:
    """Return permits of rows with their scopes, uses and versions."""
    ids = [row["id"] for row in rows]
    scopes = read_scopes(connection, ids)
    used: dict[int, list[str]] = {id: [] for id in ids}
    query = select(permit_uses.c.permit_id, mailings.c.number).join(mailings, permit_uses.c.mailing_id == mailings.c.id)
    for permit_id, number in connection.execute(query.where(permit_uses.c.permit_id.in_(ids)).order_by(mailings.c.id)):
        used[permit_id].append(mailing_name(number) or "")
    numbers = select(requests.c.id, requests.c.number)
    numbers = numbers.where(requests.c.id.in_([row["request_id"] for row in rows]))
    asked: dict[int, int] = dict(map(tuple, connection.execute(numbers)))
    views = (_view(row, scopes[row["id"]], used[row["id"]], asked.get(row["request_id"])) for row in rows)
    return [replace(view, version=version_of([state_of(view), view.mailings, view.review])) for view in views]


def state_of(permit: PermitView) -> dict[str, Any]:
    """Return what a person sees before narrowing or revoking a permit, as JSON."""
    return {
        "id": permit.id,
        "state": permit.state.value,
        "max_users": permit.ceiling,
        "until": permit.until,
        "uses": permit.uses,
        "used": permit.used,
    }


def _view(row: RowMapping, scope: Scope, used: list[str], request: int | None) -> PermitView:
    return PermitView(
        key=row["id"],
        id=f"P-{row['number']}",
        kind=row["kind"],
        state=PermitState(row["state"]),
        request=None if request is None else f"R-{request}",
        rules=tuple(row["rules"]),
        scope=scope,
        binding=row["binding"],
        digests=tuple(row["digests"]),
        likeness=likeness_of(row),
        subject=row["subject"],
        lists=tuple(row["lists"]),
        agencies=tuple(row["agencies"]),
        ceiling=row["ceiling"],
        since=row["since"],
        until=row["until"],
        uses=row["uses"],
        used=row["used"],
        purpose=row["purpose"],
        reason=row["reason"],
        review=row["review"],
        given_by=row["given_by"],
        given_at=row["given_at"],
        mailings=tuple(used),
    )


def names_used(connection: Connection, mailing_key: int) -> list[str]:
    """Return the permits, in force or used up, that a mailing has used."""
    query = select(permits.c.number).join(permit_uses, permit_uses.c.permit_id == permits.c.id)
    query = query.where(permit_uses.c.mailing_id == mailing_key, permits.c.state.in_(COVERING))
    return [f"P-{number}" for number in connection.execute(query).scalars()]


def keys_of(connection: Connection, names: Collection[str]) -> list[int]:
    """Return the keys of permits by their ids."""
    numbers = [int(name[2:]) for name in names]
    return sorted(connection.execute(select(permits.c.id).where(permits.c.number.in_(numbers))).scalars())
