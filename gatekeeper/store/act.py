"""A person's act, as every verb writes it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from gatekeeper.immutable import immutable


@immutable
class Act:
    """A person's act: when, by which identity, under which login of the operating system, and why."""

    at: float
    by: str
    login: str
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)  # of a yes: what was seen, and on what terms
