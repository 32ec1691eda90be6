"""A person's act, as every verb writes it down."""

from __future__ import annotations

from gatekeeper.immutable import immutable


@immutable
class Act:
    """A person's act: when, by which identity, under which login of the operating system, and why."""

    at: float
    by: str
    login: str
    reason: str = ""
