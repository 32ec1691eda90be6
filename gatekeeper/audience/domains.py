"""Which domains are inside, and which agency each belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from gatekeeper.address import MOST_DOMAIN_OCTETS, normalise_domain

_WILDCARD = "*."
_OUTSIDE = (False, None)


class Domains:
    """Domain patterns of a ruleset: `x` is the domain itself, `*.x` everything below x at any depth, but not x."""

    def __init__(self, agencies: Mapping[str, Iterable[str]], extra: Iterable[str]) -> None:
        """Take each agency's patterns by its id, and the patterns that are inside but in no agency."""
        self.problems: tuple[str, ...] = ()
        self._agencies: dict[str, str] = {}
        self._extra = frozenset(map(normalise_pattern, extra))
        for agency, patterns in agencies.items():
            for pattern in map(normalise_pattern, patterns):
                self._claim(pattern, agency)
        self._cached = lru_cache(maxsize=8192)(self._match)  # bounded: senders choose what is asked

    def _claim(self, pattern: str, agency: str) -> None:
        owner = self._agencies.setdefault(pattern, agency)
        if owner != agency:
            self.problems += (f"domain {pattern} is listed for agency {owner} and for {agency}: it counts for {owner}",)

    def place(self, domain: str) -> tuple[bool, str | None]:
        """Whether a normalised domain is inside, and its agency: that of the longest pattern that matches."""
        return self._cached(domain) if len(domain) <= MOST_DOMAIN_OCTETS else _OUTSIDE

    def placer(self) -> Callable[[str], tuple[bool, str | None]]:
        """`place`, for many names at once, which have few domains."""
        found: dict[str, tuple[bool, str | None]] = {}

        def place(domain: str) -> tuple[bool, str | None]:
            if domain not in found:
                found[domain] = self.place(domain)
            return found[domain]

        return place

    def _match(self, domain: str) -> tuple[bool, str | None]:
        patterns = tuple(patterns_of(domain))
        for pattern in patterns:
            if agency := self._agencies.get(pattern):
                return True, agency
        return (True, None) if not self._extra.isdisjoint(patterns) else _OUTSIDE


def normalise_pattern(pattern: str) -> str:
    """Normalise a domain or a `*.` pattern."""
    if pattern.startswith(_WILDCARD):
        return _WILDCARD + normalise_domain(pattern[2:])
    return normalise_domain(pattern)


def patterns_of(domain: str) -> Iterator[str]:
    """Every pattern that matches a domain, the longest first; of what is too long to be one, itself alone."""
    yield domain
    if len(domain) > MOST_DOMAIN_OCTETS:
        return  # each of its labels would cost a copy of the rest
    while (dot := domain.find(".")) >= 0:
        domain = domain[dot + 1 :]
        yield _WILDCARD + domain
