"""Moments as the gate writes and reads them: seconds since 1970 (UTC) in the store, aware datetimes elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import overload


def moment_of(seconds: float) -> datetime:
    """Return the moment of seconds since 1970, aware, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


@overload
def utc_text(seconds: float) -> str: ...
@overload
def utc_text(seconds: None) -> None: ...
@overload
def utc_text(seconds: float | None) -> str | None: ...
def utc_text(seconds: float | None) -> str | None:
    """Return a moment as commands, documents and logs show it: `2026-11-22T03:51:13Z` (RFC 3339), to the second.

    Args: `seconds` since 1970; None, where something has not happened, stays None.
    """
    return None if seconds is None else f"{moment_of(seconds):%Y-%m-%dT%H:%M:%SZ}"


def local_text(seconds: float, zone: tzinfo) -> str:
    """Return a moment as people read it, in their time zone: `2026-11-21 20:51 MST`, to the minute."""
    return f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M %Z}".rstrip()
