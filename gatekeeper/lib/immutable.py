"""Dataclasses whose fields never change once the value is made.

Type checkers enforce this, and in tests Python does. In a running gate Python does not: a frozen dataclass sets every
field by a call of `object.__setattr__`, and one message makes thirty such values with 140 fields: 5 % of its CPU time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

C = TypeVar("C")
FROZEN = False  # tests set this to True before they import the rest


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def immutable(cls: type[C]) -> type[C]:
    """Make a class a dataclass with slots that is hashable and whose fields are set only by its constructor."""
    return dataclass(slots=True, frozen=FROZEN, unsafe_hash=not FROZEN)(cls)
