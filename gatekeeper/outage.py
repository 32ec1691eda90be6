"""What may pass while the database is down: nothing, or as much as --outage-allowance says."""

from __future__ import annotations

from collections import defaultdict


class Outage:
    """People whom each source has reached unrecorded in the hour: a bound on what an outage can hide."""

    def __init__(self, allowance: int) -> None:
        """Args: `allowance` in people, for a message and for a source in an hour; 0 lets nothing pass."""
        self.allowance = allowance
        self._hour = 0
        self._reached: defaultdict[str, int] = defaultdict(int)

    def admits(self, source: str, people: int, now: float) -> bool:
        """True where the source may reach so many more people in this hour; counts them then.

        Args: `now` in seconds since 1970.
        """
        hour = int(now // 3600)
        if hour != self._hour:
            self._hour = hour
            self._reached.clear()
        if not people or self._reached[source] + people > self.allowance:
            return False
        self._reached[source] += people
        return True
