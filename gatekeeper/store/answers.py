"""Whether automatic mail answers mail that the gate passed: looked up by Message-ID among the keys of mailings.

A Message-ID's key begins with a hash of the Message-ID alone, which is all that an answer says of what it answers. So
ordinary mail writes nothing more for it. The key of ordinary mail stays for a day, or for `mailing.within`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, LargeBinary, and_, bindparam, literal_column, or_, select

from gatekeeper.address import normalise
from gatekeeper.lifecycle import MailingState
from gatekeeper.store.arrival import Arrival
from gatekeeper.store.db.hashing import Hash, keyed
from gatekeeper.store.db.schema import mailing_keys, mailings
from gatekeeper.store.db.statements import Statement

_WHOLE = 16  # octets of a key
ANSWERABLE = 8  # of them, those that an answer can name


def answerable(secret: bytes, message_id: str, sender: str = "") -> bytes:
    """Hash what an answer can name: the Message-ID, and where it is not the source, the address that it goes to."""
    return keyed(secret, f"answerable {message_id}\0{sender}")[:ANSWERABLE]


def answers_passed(connection: Connection, secret: bytes, arrival: Arrival) -> bool:
    """Return True where the gate has passed mail of this arrival's recipient, and the arrival answers it."""
    recipients = tuple(_names(arrival))
    sources = [keyed(secret, f"source {prefix}{name}") for name in recipients for prefix in ("", "named ")]
    for message_id in reversed(arrival.answers):
        by_id = answerable(secret, message_id)
        if any(_OF_SOURCE.rows(connection, {**_range(by_id), "source": source}) for source in sources):
            return True
        by_sender = (answerable(secret, message_id, name) for name in recipients)
        if any(_OF_SENDER.rows(connection, _range(each)) for each in by_sender):
            return True
    return False


def _names(arrival: Arrival) -> Iterator[str]:
    """Yield the recipient under every name that it may have had as a sender."""
    address = arrival.transaction.recipients[0].address
    names = (normalise(address), normalise(address, internal=True), *arrival.audience.users)
    yield from dict.fromkeys(names)


def _range(prefix: bytes) -> dict[str, Hash]:
    rest = _WHOLE - ANSWERABLE
    return {"low": prefix + bytes(rest), "high": prefix + b"\xff" * rest}


def _passed(*more: ColumnElement[bool]) -> Statement:
    """Return a statement for any mailing that a key in the range leads to, and of which something was sent."""
    key, sent = mailing_keys.c.key, mailings.c.state == MailingState.RELEASED.value
    binary = LargeBinary()
    between = key.between(bindparam("low", type_=binary), bindparam("high", type_=binary))
    # that it succeeds another mailing says nothing: what came of that one is not what this key was given for
    reached = or_(mailings.c.relayed > literal_column("0"), sent)
    joined = select(mailings.c.id).join(mailing_keys, mailing_keys.c.mailing_id == mailings.c.id)
    return Statement(lambda _: joined.where(and_(between, reached, *more)).limit(literal_column("1")))


_OF_SOURCE = _passed(mailings.c.source == bindparam("source", type_=LargeBinary()))
_OF_SENDER = _passed()
