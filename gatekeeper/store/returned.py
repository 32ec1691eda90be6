"""Which tokens have brought mail back, and for whom: each is good once for each recipient.

What is kept names nobody: a use is of the token's random octets and of a keyed hash (message/own_token.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete

from gatekeeper.store.db.schema import returned_mail
from gatekeeper.store.db.statements import upsert

_AT_ONCE = 500  # rows in one statement


def take_uses(connection: Connection, uses: Sequence[bytes], now: float) -> bool:
    """Use a token up for some recipients; return False, and use nothing, where it was used for one of them before.

    Args: `uses` are sorted, so that two processes never wait for each other.
    """
    taken = list[bytes]()
    for start in range(0, len(uses), _AT_ONCE):
        rows = [{"use": use, "at": now} for use in uses[start : start + _AT_ONCE]]
        added = upsert(connection, returned_mail).values(rows).on_conflict_do_nothing(index_elements=["use"])
        taken += connection.execute(added.returning(returned_mail.c.use)).scalars()
    if len(taken) == len(uses):
        return True
    give_back(connection, taken)
    return False


def give_back(connection: Connection, uses: Sequence[bytes]) -> None:
    """Make uses good again: the next hop has not taken their mail, and the client sends it again."""
    for start in range(0, len(uses), _AT_ONCE):
        among = returned_mail.c.use.in_(uses[start : start + _AT_ONCE])
        connection.execute(delete(returned_mail).where(among))


def forget_uses(connection: Connection, before: float) -> None:
    """Remove the uses before then (seconds since 1970): their tokens are good no longer."""
    connection.execute(delete(returned_mail).where(returned_mail.c.at < before))
