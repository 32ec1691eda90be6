"""How many recipients a stored batch has, and how many it was sent to or refused for: kept with the batch.

Nobody counts a hundred thousand recipients to show a list. Where a program of an earlier schema has stored or sent the
batch, its recipients are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, func, null, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import UNACKNOWLEDGED, BatchState, RecipientState
from gatekeeper.store.db.schema import batch_recipients, batches

_COLUMNS = {
    RecipientState.SENT: batches.c.sent,
    RecipientState.REFUSED: batches.c.refused,
    RecipientState.EXPIRED: batches.c.expired,
}
_answered = batches.c.sent + batches.c.refused + batches.c.expired
_lacks_answers = and_(batches.c.state == BatchState.SENT, _answered < batches.c.recipients)
_is_complete = and_(batches.c.recipients.is_not(None), ~_lacks_answers)


@immutable
class Tally:
    """Recipients of stored batches, by what became of them."""

    batches: int = 0
    recipients: int = 0
    sent: int = 0
    refused: int = 0
    expired: int = 0

    @property
    def waiting(self) -> int:
        """Recipients that have no last answer yet."""
        return self.recipients - self.sent - self.refused - self.expired


NOTHING = Tally()


def _counted(column: ColumnElement[Any], state: RecipientState | None) -> ColumnElement[int]:
    """Return what is kept with a batch, or where that is not whole what its recipients say."""
    counting = select(func.count()).where(batch_recipients.c.batch_id == batches.c.id)
    if state is not None:
        counting = counting.where(batch_recipients.c.state == state)
    return func.coalesce(case((_is_complete, column), else_=null()), counting.correlate(batches).scalar_subquery())


RECIPIENTS = _counted(batches.c.recipients, None)
COUNTED = {state: _counted(column, state) for state, column in _COLUMNS.items()}
WAITING = RECIPIENTS - COUNTED[RecipientState.SENT] - COUNTED[RecipientState.REFUSED] - COUNTED[RecipientState.EXPIRED]


def columns() -> tuple[ColumnElement[int], ...]:
    """Return the columns of a batch's tally, to be read together with the batch."""
    return (RECIPIENTS.label("in_all"), *(COUNTED[state].label(f"in_{state.value}") for state in _COLUMNS))


def tally_of(row: RowMapping) -> Tally:
    """Return the tally of a batch that was read with `columns`."""
    return Tally(1, row["in_all"], *(row[f"in_{state.value}"] for state in _COLUMNS))


def tallies_of(connection: Connection, mailing_ids: Sequence[int]) -> dict[int, Tally]:
    """Return the tallies of mailings, by key: of all their acknowledged batches."""
    each = (RECIPIENTS, *COUNTED.values())
    query = select(batches.c.mailing_id, func.count(), *(func.sum(column) for column in each))
    query = query.where(batches.c.mailing_id.in_(mailing_ids), batches.c.state.not_in(UNACKNOWLEDGED))
    found = connection.execute(query.group_by(batches.c.mailing_id))
    return {mailing_id: Tally(*map(int, numbers)) for mailing_id, *numbers in found}


def add_answers(connection: Connection, batch_id: int, answered: Mapping[RecipientState, int]) -> None:
    """Add the last answers about so many recipients of a batch, by state."""
    changes = {_COLUMNS[state].name: _COLUMNS[state] + number for state, number in answered.items() if number}
    if changes:
        connection.execute(update(batches).where(batches.c.id == batch_id).values(**changes))
