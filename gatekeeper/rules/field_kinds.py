"""What a field is: where it comes from, what kind of value it has, what that value is where nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Evidence

Extractor = Callable[[Evidence], Any]


class Availability(Enum):
    """A kind of its own for the one value that means: this cannot be told now."""

    UNAVAILABLE = "unavailable"


UNAVAILABLE: Final = Availability.UNAVAILABLE


class Kind(Enum):
    """What a field's value is, which decides the tests it admits (`operators.py`)."""

    COUNT = "a number"
    SIZE = "a number of octets"
    NAMES = "a set of names; numbers compare how many there are"
    TEXT = "text"
    WORD = "one of a few words"
    FLAG = "true or false"
    NETWORK = "an IP address"
    REACH = "a share of a list"
    EARLIER = "a number of earlier mailings"


@immutable
class Field:
    """One field: where it comes from, what kind of value it has, what it means to an admin."""

    name: str
    kind: Kind
    subject: str  # "mailing", "transaction" or "standing"
    doc: str
    extract: Extractor
    growing: bool = False  # True where it only grows while a mailing comes in
    words: tuple[str, ...] = ()  # of a WORD
