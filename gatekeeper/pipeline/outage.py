"""Bound what may pass unrecorded while the database is down (--outage-allowance)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from gatekeeper.model import Place


class Outage:
    """Counts the people whom each place has reached unrecorded in the hour: a bound on what an outage can hide."""

    def __init__(self, allowance: int) -> None:
        """Args: `allowance` in people, for one message and for one place in an hour; 0 lets nothing pass."""
        self.allowance = allowance
        self._hour = 0
        self._reached: defaultdict[Place, int] = defaultdict(int)

    def admits(self, places: Collection[Place], people: int, now: float) -> bool:
        """Return True where a message of all these places may reach `people` more in this hour, and count them.

        Args: `now` in seconds since 1970.
        """
        hour = int(now // 3600)
        if hour != self._hour:
            self._hour = hour
            self._reached.clear()
        if not people or any(self._reached[place] + people > self.allowance for place in places):
            return False
        for place in places:
            self._reached[place] += people
        return True
