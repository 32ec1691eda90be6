"""The directory as one immutable snapshot: who is inside, which addresses are one person, who is in a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path

from gatekeeper.address import Addresses, normalise, normalise_domain, routing_targets, split
from gatekeeper.directory.domains import Domains, Groups, Place
from gatekeeper.directory.entries import Entry, read_entries
from gatekeeper.directory.lists import Consent, Lists, as_one, as_watched, joined
from gatekeeper.directory.routed_local_parts import may_route, routed_address
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import WatchedList

_NOBODY = frozenset[str]()
_BESIDE = ("owner", "bounces", "bounce", "request", "admin", "confirm", "join", "leave", "subscribe", "unsubscribe")
_QUICK = 5_000  # people in lists whom to find takes some milliseconds
_MOST_TOGETHER = 100  # combinations of lists whose people are kept
_MOST_KNOWN, _LONGEST_KNOWN = 4_096, 100  # addresses whose reach is cached; characters of one, for senders choose them


@immutable
class Reach:
    """Whom some addresses reach, lists expanded."""

    users: Mapping[str, str | None] = field(default_factory=dict)  # user -> agency id, None where in no agency
    externals: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    unresolved: frozenset[str] = frozenset()  # users that a complete directory does not know, or routed to

    @property
    def people(self) -> int:
        """Return the number of users and externals."""
        return len(self.users) + len(self.externals)


@immutable
class DirectoryContent:
    """What the loaders read, from which a snapshot is built."""

    agencies: Mapping[str, Iterable[str]] = field(default_factory=dict)  # agency id -> the agency's domain patterns
    domains: Iterable[str] = ()  # patterns of domains that are inside, in no agency
    outside: Iterable[str] = ()  # patterns below these and those of agencies that belong to somebody else
    own: Iterable[str] = ()  # address literals of this host
    mail_domain: str = ""  # the domain that the mail host adds to a name without one; "" where that is not known
    entries: Iterable[Entry] = ()
    lists: Mapping[str, Iterable[str]] = field(default_factory=dict)  # address -> addresses of people and other lists
    groups: Mapping[str, Iterable[str]] = field(default_factory=dict)  # group of senders -> addresses, domain patterns
    consent: Consent | None = None  # of externals
    complete: bool = False  # True where every inside address is known; others are `unresolved`
    expired: bool = False  # True where a source has not answered for too long, so that nothing is certain
    problems: Iterable[str] = ()  # what the loaders found
    files: Iterable[Path] = ()  # the files that were read, in order
    digest: str = ""  # hex digest of all that was read


class Directory:
    """A snapshot of the directory: built once, never changed, replaced as a whole.

    An address is looked up normalised. `+tag` is cut in inside domains, and elsewhere where the directory knows the
    address without the tag. What the address is depends, in this order, on a list of that address, an entry, the
    domain.
    """

    def __init__(self, content: DirectoryContent) -> None:
        """Build a snapshot from what the loaders read."""
        self.agencies = tuple(content.agencies)
        self.complete = content.complete
        self.expired = content.expired
        self.digest = content.digest
        self.files = tuple(content.files)
        self._mail_domain = normalise_domain(content.mail_domain)
        self._domains = Domains(content.agencies, content.domains, content.outside, content.own)
        members = [(normalise(address), each) for address, each in content.lists.items()]
        people = read_entries(content.entries, self._domains, {name for name, _ in members})
        self._agencies = people.agencies  # user -> agency, for users that entries name
        self._names = people.names | {name: name for name, _ in members}  # address -> user or list
        self._lists = Lists(self._resolved(members))
        self.has_large_lists = not self._lists.are_small(_QUICK)
        self._groups = Groups(content.groups, people.groups, self.user)
        self._consent = content.consent.of(self.user) if content.consent else None
        self._known: dict[str, Reach] = {}  # of single addresses, those of late: no lru_cache, which would make a ring
        self._expanded: dict[str, Reach] = {}
        self._watched: dict[str, WatchedList] = {}
        self._together: dict[frozenset[str], WatchedList] = {}  # of lists that were asked about of late
        self._listed: frozenset[str] | None = None
        undeclared = self._undeclared((*people.names, *self._lists.people))
        found = (*self._domains.problems, *people.problems, *self._lists.problems, *undeclared)
        self.problems = (*content.problems, *found)

    def user(self, address: str) -> str:
        """Return the user or list that an address belongs to: one name for all addresses of one person or list.

        The name is normalised, and its own name: `user(user(a)) == user(a)`. "" stays "".
        """
        names = self._names
        # Most addresses are written as in the table and need no normalising.
        return names.get(address) or names.get(address.lower()) or self._look_up(normalise(address))

    def agency_of(self, address: str) -> str | None:
        """Return the agency id of a person's address; None for externals, lists, and users in no agency."""
        name = self.user(address)
        return None if name in self._lists.names else self._place(name)[1]

    def groups_of(self, address: str) -> tuple[str, ...]:
        """Return the groups of senders that a person is in, sorted: by an entry, by address or by domain."""
        return self._groups.of(self.user(address), normalise(address))

    def watched(self, address: str) -> WatchedList | None:
        """Return a list with its members, nested lists included; None where no list has that address."""
        name = self.user(address)
        if name in self._lists.names and name not in self._watched:
            reach = self._expand(name)
            self._watched[name] = as_watched(frozenset(reach.users) | reach.externals)
        return self._watched.get(name)

    @property
    def has_lists(self) -> bool:
        """Return True where there are lists at all."""
        return bool(self._lists.names)

    def list_of(self, address: str) -> str:
        """Return the name of the list of an address; "" where it is none."""
        name = self.user(address)
        return name if name in self._lists.names else ""

    def lists_of(self, addresses: Iterable[str]) -> frozenset[str]:
        """Return the names of the lists that addresses lead to, those nested in them left out."""
        given = addresses if isinstance(addresses, Addresses) else Addresses(addresses)
        if not self.has_lists or not given:
            return _NOBODY
        if may_route(given):
            given, _ = self._routed(given)
        return frozenset(self._lists.names & self._users(given).keys())

    def is_quick(self, addresses: Iterable[str]) -> bool:
        """Return True where whom addresses lead to is found in some milliseconds, or is known.

        Otherwise an event loop asks `reach`, `watched`, `together` and `members_of` in a thread.
        """
        if not self.has_large_lists:
            return True
        lists = self.lists_of(addresses)
        known = len(lists) <= 1 and lists <= self._watched.keys()
        return known or sum(map(self._lists.size, lists)) <= _QUICK

    def members_of(self, addresses: Iterable[str]) -> Mapping[str, str]:
        """Return those of the addresses that lead to lists, each with a digest of the members."""
        addresses = tuple(addresses)
        if not self.lists_of(addresses):
            return {}
        lists = {address: sorted(self.with_nested(self.lists_of((address,)))) for address in addresses}
        return {
            address: " ".join(watched.version for name in names if (watched := self.watched(name)))
            for address, names in lists.items()
            if names
        }

    def together(self, lists: frozenset[str]) -> WatchedList:
        """Return the people of several lists as though they were one; all must be names of lists."""
        if len(lists) == 1 and (alone := self.watched(*lists)):
            return alone  # is kept already: among the combinations it would take the place of a costly one
        if lists not in self._together:
            if len(self._together) >= _MOST_TOGETHER:
                self._together.clear()
            self._together[lists] = as_one([watched for name in lists if (watched := self.watched(name))])
        return self._together[lists]

    def with_nested(self, lists: Iterable[str]) -> frozenset[str]:
        """Return lists with all that are nested in them, without asking who is in these."""
        return joined(map(self._lists.nested, lists))

    def unlisted(self, people: Iterable[str]) -> frozenset[str]:
        """Return those of the people (named as by `reach`) who are in no list."""
        if self._listed is None:
            self._listed = self._lists.people
        return frozenset(people) - self._listed

    def unconsented(self, externals: Iterable[str]) -> frozenset[str] | None:
        """Return the externals who have not consented; None where no source says who has."""
        return None if self._consent is None else self._consent.missing(externals)

    def is_inside(self, address: str) -> bool:
        """Return True for users, for lists, and for names without a domain, to which the mail host adds its own."""
        name = self.user(address)
        return name in self._lists.names or self._place(name)[0]

    def is_unknown(self, address: str) -> bool:
        """Return True for an inside address that a complete directory does not have, neither as a person nor as a list.

        Left out are what a next hop may know better: addresses whose local part routes, those that a list server has
        beside a list, and postmaster (RFC 5321 4.5.1). Nothing is unknown to a directory whose sources have not
        answered for too long.
        """
        name = self.user(address)
        if not self.complete or self.expired or name in self._lists.names or name in self._agencies:
            return False
        if split(name)[0] == "postmaster" or self._is_beside_list(name):
            return False
        return self._place(name)[0] and not self._route(address)[1]

    def _is_beside_list(self, name: str) -> bool:
        """Return True for an address of a list's server beside the list's own, such as all-owner@example.gov."""
        local, domain = split(name)
        stems = {local.removeprefix("owner-"), *(local.removesuffix(f"-{each}") for each in _BESIDE)} - {local}
        return any(f"{stem}@{domain}" in self._lists.names for stem in stems)

    def reach(self, addresses: Iterable[str]) -> Reach:
        """Return whom addresses reach, each person once.

        Lists count as their members, nested lists too; "" is nobody.
        """
        given = addresses if isinstance(addresses, Addresses) else Addresses(addresses)
        return self._reach_of(given) if len(given) == 1 and len(given[0]) <= _LONGEST_KNOWN else self._reach(given)

    def _reach_of(self, given: Addresses) -> Reach:
        """Return the reach of one address; those asked of late are kept."""
        found = self._known.get(given[0])
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[given[0]] = self._reach(given)
        return found

    def _reach(self, given: Addresses) -> Reach:
        routed = _NOBODY
        if given and may_route(given):
            given, routed = self._routed(given)
        names, listed = self._users(given), self._lists.names
        lists = [name for name in names if name in listed]
        people = self._sort_people((name for name in names if name and name not in listed), routed)
        parts = [people] if people.people or not lists else []
        return _union([*parts, *map(self._expand, lists)])

    def _routed(self, addresses: Addresses) -> tuple[Addresses, frozenset[str]]:
        """Return the addresses that mail to these goes to, and the users who were reached by a routing local part."""
        routed_to = tuple(map(self._route, dict.fromkeys(addresses)))
        return Addresses(to for to, _ in routed_to), frozenset(self.user(to) for to, routed in routed_to if routed)

    def _route(self, address: str) -> tuple[str, bool]:
        """Return where mail to an address goes, and whether its local part routes; a known address goes to itself.

        At a name of the host itself, the local part means the person of that name at the mail host's own domain.
        """
        name, domains = normalise(address), self._domains
        if name in self._names:
            return name, False
        routed_to = routed_address(address, domains.routes)
        local, domain = split(routed_to)
        if domain and domains.is_own(domain):
            known = (each for each in (f"{local}@{self._mail_domain}", local) if each in self._names)
            return next(known, routed_to), True
        return routed_to, routed_to != name or (domains.routes(domain) and bool(routing_targets(local)))

    def _users(self, addresses: Addresses) -> dict[str, None]:
        """Return `user` of each address, without repeats."""
        if not self._names:  # no entries or lists: the spelling is all that is known
            look_up = self._look_up
            return dict.fromkeys(
                name if "+" not in name and "@" in name else look_up(name) for name in addresses.normalised
            )
        return dict.fromkeys(map(self.user, addresses))

    def _look_up(self, name: str) -> str:
        """Return `user` of a normalised address, which may have a tag, or no domain."""
        if self._mail_domain and name and "@" not in name and name not in self._names:
            name = f"{name}@{self._mail_domain}"
        if "+" not in name or name in self._names:
            return self._names.get(name, name)
        untagged = normalise(name, internal=True)
        known = self._names.get(untagged)
        return known or (untagged if self._place(name)[0] else name)

    def _place(self, name: str) -> tuple[bool, str | None]:
        """Return whether a name that `user` returned is inside, and its agency."""
        if name in self._agencies:
            return True, self._agencies[name]
        _, at, domain = name.rpartition("@")
        return self._domains.place(domain) if at else (bool(name), None)

    def _sort_people(self, names: Iterable[str], routed: frozenset[str] = _NOBODY) -> Reach:
        """Sort people into users, by entry or domain, and externals.

        Args: `routed` are those reached by a routing local part.
        """
        users: dict[str, str | None] = {}
        externals: list[str] = []
        entries, places = self._agencies, dict[str, Place]()  # cached, because many names have few domains
        for name in names:
            _, at, domain = name.rpartition("@")
            place = places.get(domain) if at else None
            if place is None:
                if not at or domain.endswith('"'):  # a quoted local part alone has no domain
                    users[name] = self._place(name)[1]
                    continue
                place = places[domain] = self._domains.place_of_recipient(domain)
            inside, agency = place
            if entries and name in entries:
                users[name] = entries[name] or agency
            elif inside:
                users[name] = agency
            else:
                externals.append(name)
        return Reach(users, frozenset(externals), unresolved=self._unresolved(users, routed, places))

    def _unresolved(
        self, users: Mapping[str, str | None], routed: frozenset[str], places: Iterable[str]
    ) -> frozenset[str]:
        """Return users unknown to a complete directory, reached by a routing local part, or of an undeclared domain."""
        strange = [domain for domain in places if self._is_undeclared(domain)]
        if not (self.complete or strange):
            return routed.intersection(users) if routed else routed
        unknown = (name for name in users if name not in self._agencies)
        found = (name for name in unknown if self.complete or name.rpartition("@")[2] in strange)
        return routed.intersection(users).union(found)

    def _is_undeclared(self, domain: str) -> bool:
        """Return True for a domain that is inside for recipients only."""
        return self._domains.place_of_recipient(domain)[0] and not self._domains.place(domain)[0]

    def _undeclared(self, names: Iterable[str]) -> Iterator[str]:
        """Yield a problem for each subdomain that nobody declared and that has addresses in the directory."""
        found: dict[str, list[str]] = {}
        for name in names:
            if (domain := name.rpartition("@")[2]) and self._is_undeclared(domain):
                found.setdefault(domain, []).append(name)
        for domain, each in sorted(found.items()):
            others = f" and {len(each) - 1} more" if len(each) > 1 else ""
            yield (
                f"{min(each)}{others}: nobody declared {domain}, so they count as users of what is above it, and as "
                f"unresolved: expected {domain} among domains or an agency's, or under outside if it is somebody else's"
            )

    def _expand(self, name: str) -> Reach:
        """Return the reach of a list, computed once a snapshot. Threads that do so at once store the same value."""
        if name not in self._expanded:
            lists, people = self._lists.expand(name)
            reach = self._sort_people(people)
            self._expanded[name] = Reach(reach.users, reach.externals, lists, reach.unresolved)
        return self._expanded[name]

    def _resolved(self, lists: Iterable[tuple[str, Iterable[str]]]) -> dict[str, frozenset[str]]:
        members: dict[str, frozenset[str]] = {}
        for name, each in lists:
            addresses = Addresses(each)
            routed_to = (self._route(each)[0] for each in addresses) if may_route(addresses) else addresses
            members[name] = members.get(name, frozenset()) | frozenset(map(self.user, routed_to))
        return members


def _union(reaches: Iterable[Reach]) -> Reach:
    every = tuple(reaches)
    if len(every) == 1:
        return every[0]  # so that a list of the whole organisation is not copied
    users: dict[str, str | None] = {}
    for reach in every:
        users.update(reach.users)
    return Reach(
        users,
        joined(reach.externals for reach in every),
        joined(reach.lists for reach in every),
        joined(reach.unresolved for reach in every),
    )
