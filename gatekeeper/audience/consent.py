"""Who outside has consented to mass mail, and who has taken it back or never wants any (policy T2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gatekeeper.immutable import immutable


@immutable
class Consent:
    """Addresses of people outside; `given` is None where everybody has consented who is not suppressed."""

    given: frozenset[str] | None = None
    suppressed: frozenset[str] = frozenset()

    def of(self, user: Callable[[str], str]) -> Consent:
        """The same by the names that the directory gives to addresses."""
        given = None if self.given is None else frozenset(map(user, self.given))
        return Consent(given, frozenset(map(user, self.suppressed)))

    def missing(self, people: Iterable[str]) -> frozenset[str]:
        """Those of the people who have not consented: suppression wins."""
        everybody = frozenset(people)
        without = everybody - self.given if self.given is not None else frozenset()
        return without | (everybody & self.suppressed)
