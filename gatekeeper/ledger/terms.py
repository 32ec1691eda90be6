"""The terms of an approval: number of users, last day, uses, how content binds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from gatekeeper.lib.immutable import immutable

BINDINGS = ("exact", "template")


@immutable
class Terms:
    """Limits that an approver sets. None keeps the requested value."""

    max_users: int | None = None
    until: date | None = None
    uses: int | None = None  # mailings
    binding: str | None = None  # one of BINDINGS

    def and_also(self, other: Terms) -> Terms:
        """Return the stricter of both: each of several approvers sets a limit."""
        bindings = [each for each in (self.binding, other.binding) if each]
        return Terms(
            _least(self.max_users, other.max_users),
            _least(self.until, other.until),
            _least(self.uses, other.uses),
            min(bindings, key=BINDINGS.index, default=None),
        )

    def or_else(self, other: Terms) -> Terms:
        """Return these terms, with those of the other where these are None."""
        uses = other.uses if self.uses is None else self.uses
        users = other.max_users if self.max_users is None else self.max_users
        return Terms(users, self.until or other.until, uses, self.binding or other.binding)

    def as_row(self) -> dict[str, Any]:
        """Return the terms as JSON."""
        until = self.until and self.until.isoformat()
        return {"max_users": self.max_users, "until": until, "uses": self.uses, "binding": self.binding}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Terms:
        """Make terms of what `as_row` returned."""
        until = row.get("until")
        day = date.fromisoformat(until) if until else None
        return cls(row.get("max_users"), day, row.get("uses"), row.get("binding"))


def _least(one: Any, other: Any) -> Any:
    return min((each for each in (one, other) if each is not None), default=None)
