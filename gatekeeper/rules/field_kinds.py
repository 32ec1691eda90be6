"""Define what a field is: its source, its kind of value, and the value that stands for unavailable."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Evidence

Extractor = Callable[[Evidence], Any]


class Availability(Enum):
    """The type of UNAVAILABLE, the value of a field that cannot be determined now."""

    UNAVAILABLE = "unavailable"


UNAVAILABLE: Final = Availability.UNAVAILABLE


class Kind(Enum):
    """The kind of a field's value, which decides the tests that the field admits (`language/operators.py`)."""

    COUNT = "a number"
    SIZE = "a number of octets"
    NAMES = "a set of names; numbers compare how many there are"
    TEXT = "text"
    WORD = "one of a few words"
    FLAG = "true or false"
    NETWORK = "an IP address"
    REACH = "a share of a list"
    EARLIER = "a number of earlier mailings"
    SENT = "a number of people, over all mailings of an origin"


OF_THE_ORIGIN = ("sender_users", "sender_people", "sender_agencies", "client_users")  # of kind SENT


@immutable
class Field:
    """One field: its source, its kind of value, and its description for admins."""

    name: str
    kind: Kind
    subject: str  # "mailing", "transaction", "standing" or "origin"
    doc: str
    extract: Extractor
    growing: bool = False  # True where the value only grows while a mailing comes in
    words: tuple[str, ...] = ()  # the words of a field of kind WORD
