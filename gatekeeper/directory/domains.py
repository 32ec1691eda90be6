"""Decide which domains are inside the organisation, and which agency each belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from gatekeeper.address import MOST_DOMAIN_OCTETS, is_literal, is_loopback, normalise_domain

Place = tuple[bool, str | None]  # whether a domain is inside, and the id of its agency

_WILDCARD = "*."
_OUTSIDE: Place = (False, None)


class Domains:
    """The domain patterns of a ruleset: `x` is the domain itself, `*.x` everything below x at any depth, but not x."""

    def __init__(
        self,
        agencies: Mapping[str, Iterable[str]],
        extra: Iterable[str],
        outside: Iterable[str] = (),
        own: Iterable[str] = (),
    ) -> None:
        """Build the tables.

        Args: `agencies` has each agency's patterns by the agency's id, `extra` patterns that are inside but in no
        agency, `outside` patterns below these that belong to somebody else, `own` the address literals of this host.
        """
        self.problems: tuple[str, ...] = ()
        self._agencies: dict[str, str] = {}
        self._extra = frozenset(map(_normalise_pattern, extra))
        self._outside = frozenset(map(_normalise_pattern, outside))
        self._own = frozenset(own) | {pattern for pattern in self._extra if pattern.startswith("[")}
        for agency, patterns in agencies.items():
            for pattern in map(_normalise_pattern, patterns):
                self._claim(pattern, agency)
        self._cached = lru_cache(maxsize=8192)(self._match)  # bounded, because senders choose the domains
        self._cached_recipients = lru_cache(maxsize=8192)(self._match_recipient)

    def _claim(self, pattern: str, agency: str) -> None:
        owner = self._agencies.setdefault(pattern, agency)
        if owner != agency:
            self.problems += (f"domain {pattern} is listed for agency {owner} and for {agency}: it counts for {owner}",)

    def place(self, domain: str) -> Place:
        """Return whether a normalised domain is declared inside, and its agency, by the longest matching pattern."""
        return self._cached(domain) if len(domain) <= MOST_DOMAIN_OCTETS else _OUTSIDE

    def place_of_recipient(self, domain: str) -> Place:
        """Return the place of a recipient's domain: as `place`, but the host's names and all subdomains are inside too.

        A subdomain that nobody declared belongs to its parent's agency, because mail to it may well be delivered here.
        """
        return self._cached_recipients(domain) if len(domain) <= MOST_DOMAIN_OCTETS else _OUTSIDE

    def routes(self, domain: str) -> bool:
        """Return True for a domain before which a local part may route: "", inside, the host's, any address literal."""
        return not domain or is_literal(domain) or self.place_of_recipient(domain)[0]

    def is_own(self, domain: str) -> bool:
        """Return True for names of the host itself: localhost, and literals of loopback and of the host's addresses."""
        return domain in self._own or is_loopback(domain)

    def _match(self, domain: str) -> Place:
        return self._declared(domain) or _OUTSIDE

    def _match_recipient(self, domain: str) -> Place:
        if self.is_own(domain):
            return True, None
        above = (self._of_pattern(parent) for parent in _parents(domain))
        return self._declared(domain) or next((place for place in above if place), _OUTSIDE)

    def _declared(self, domain: str) -> Place | None:
        """Return the place by the longest matching pattern; None where none matches."""
        return next((place for place in map(self._of_pattern, _patterns_of(domain)) if place), None)

    def _of_pattern(self, pattern: str) -> Place | None:
        if agency := self._agencies.get(pattern):
            return True, agency
        if pattern in self._extra:
            return True, None
        return _OUTSIDE if pattern in self._outside else None


def _normalise_pattern(pattern: str) -> str:
    """Return a domain or a `*.` pattern in normal form."""
    if pattern.startswith(_WILDCARD):
        return _WILDCARD + normalise_domain(pattern[2:])
    return normalise_domain(pattern)


def _patterns_of(domain: str) -> Iterator[str]:
    """Yield every pattern that matches a domain, the longest first. Text too long for a domain gives only itself."""
    yield domain
    yield from (_WILDCARD + parent for parent in _parents(domain))


def _parents(domain: str) -> Iterator[str]:
    """Yield every domain above a domain, the nearest first; nothing for text that is too long for a domain."""
    if len(domain) > MOST_DOMAIN_OCTETS:
        return  # each label would cost a copy of the rest
    while (dot := domain.find(".")) >= 0:
        domain = domain[dot + 1 :]
        yield domain


class Groups:
    """The groups of senders, by user and by domain."""

    def __init__(
        self, groups: Mapping[str, Iterable[str]], entries: Mapping[str, tuple[str, ...]], user: Callable[[str], str]
    ) -> None:
        """Args: `groups` is group -> addresses and domain patterns, `entries` user -> groups, `user` finds a user."""
        self._users: dict[str, set[str]] = {name: set(each) for name, each in entries.items()}
        self._domains: dict[str, set[str]] = {}
        for group, members in groups.items():
            for member in members:
                if "@" in member:
                    self._users.setdefault(user(member), set()).add(group)
                else:
                    self._domains.setdefault(_normalise_pattern(member), set()).add(group)

    def of(self, user: str, address: str) -> tuple[str, ...]:
        """Return the groups of a user who writes from `address`, sorted; both arguments are normalised."""
        if not self._users and not self._domains:
            return ()
        found = set(self._users.get(user, ()))
        for domain in {user.rpartition("@")[2], address.rpartition("@")[2]} if self._domains else ():
            found.update(*(self._domains.get(pattern, ()) for pattern in _patterns_of(domain)))
        return tuple(sorted(found))
