"""Dataclasses that nothing changes once they are made.

Type checkers see to that, and in tests Python does. In a running gate it does not: a frozen dataclass sets every field
by a call of `object.__setattr__`, and a message makes thirty of them with 140 fields, a twentieth of its CPU time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

C = TypeVar("C")
FROZEN = False  # tests set it before they import the rest


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def immutable(cls: type[C]) -> type[C]:
    """Make a class a dataclass with slots whose fields are given when it is made, and which may be hashed."""
    return dataclass(slots=True, frozen=FROZEN, unsafe_hash=not FROZEN)(cls)
