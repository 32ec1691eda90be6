"""The directory as one immutable snapshot: who is inside, who is one person, what a list stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from hashlib import blake2b
from pathlib import Path

from gatekeeper.address import normalise, normalise_all, normalise_domain, routing_targets, split
from gatekeeper.directory.domains import Domains, Groups, Place
from gatekeeper.directory.entries import Entry, read_entries
from gatekeeper.directory.lists import Consent, Lists
from gatekeeper.directory.routing import may_route, routed_address
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import WatchedList

_NOBODY = frozenset[str]()


@immutable
class Reach:
    """Whom some addresses reach, lists expanded."""

    users: Mapping[str, str | None] = field(default_factory=dict)  # user -> agency id, None where in no agency
    externals: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    unresolved: frozenset[str] = frozenset()  # of the users: those that a complete directory does not know

    @property
    def people(self) -> int:
        """Users and externals."""
        return len(self.users) + len(self.externals)


class Directory:
    """A snapshot: built once, never changed, swapped whole.

    An address is looked up normalised; `+tag` is cut in inside domains, and elsewhere where the directory knows the
    address without it. What it is then depends, in this order, on: a list of that address, an entry, its domain.
    """

    def __init__(
        self,
        agencies: Mapping[str, Iterable[str]] | None = None,
        domains: Iterable[str] = (),
        entries: Iterable[Entry] = (),
        lists: Mapping[str, Iterable[str]] | None = None,
        complete: bool = False,
        problems: Iterable[str] = (),
        digest: str = "",
        mail_domain: str = "",
        groups: Mapping[str, Iterable[str]] | None = None,
        consent: Consent | None = None,
        files: Iterable[Path] = (),
        expired: bool = False,
        outside: Iterable[str] = (),
        own: Iterable[str] = (),
    ) -> None:
        """Build from what the loaders read.

        `agencies`: agency id -> its domain patterns. `domains`: patterns that are inside, in no agency. `lists`:
        address -> members, addresses of people and of other lists. `complete`: every inside address is in here, and
        one that is not is `unresolved`. `problems`: what the loaders found. `digest`: hex, of all that was read.
        `mail_domain`: what the mail host adds to a name without a domain; "" where that is not known.
        `groups`: of senders, group -> addresses and domain patterns. `consent`: of people outside. `files`: those that
        it was made of, in the order in which they were read.
        `expired`: a source has not answered for too long, so that nothing can be told for certain. `outside`: patterns
        of domains below those of agencies and `domains` that are somebody else's. `own`: address literals of this host.
        """
        self.agencies = tuple(agencies or ())
        self.complete = complete
        self.expired = expired
        self.digest = digest
        self.files = tuple(files)
        self._mail_domain = normalise_domain(mail_domain)
        self._domains = Domains(agencies or {}, domains, outside, own)
        members = [(normalise(address), each) for address, each in (lists or {}).items()]
        people = read_entries(entries, self._domains, {name for name, _ in members})
        self._agencies = people.agencies  # of the users that entries name
        self._names = people.names | {name: name for name, _ in members}  # address -> user or list
        self._lists = Lists(self._resolved(members))
        self._groups = Groups(groups or {}, people.groups, self.user)
        self._consent = consent.of(self.user) if consent else None
        self._expanded: dict[str, Reach] = {}
        self._watched: dict[str, WatchedList] = {}
        self._listed: frozenset[str] | None = None
        undeclared = self._undeclared((*people.names, *self._lists.people))
        self.problems = (*problems, *self._domains.problems, *people.problems, *self._lists.problems, *undeclared)

    def user(self, address: str) -> str:
        """Whose address it is: one name for all addresses of a person, one for all of a list; "" for "".

        Normalised, and its own answer: `user(user(a)) == user(a)`.
        """
        names = self._names
        # most are written as they are known, and are spared normalising
        return names.get(address) or names.get(address.lower()) or self._look_up(normalise(address))

    def agency_of(self, address: str) -> str | None:
        """The agency id of a person's address; None for externals, lists, and users in no agency."""
        name = self.user(address)
        return None if name in self._lists else self._place(name)[1]

    def groups_of(self, address: str) -> tuple[str, ...]:
        """The groups of senders that a person is in, sorted: by an entry, by address or by domain."""
        return self._groups.of(self.user(address), normalise(address))

    def watched(self, address: str) -> WatchedList | None:
        """Who is in a list, nested ones included; None where there is no list of that address."""
        name = self.user(address)
        if name in self._lists and name not in self._watched:
            reach = self._expand(name)
            members = frozenset(reach.users) | reach.externals
            digest = blake2b("\n".join(sorted(members)).encode("utf-8", "surrogatepass"), digest_size=8)
            self._watched[name] = WatchedList(members, digest.hexdigest())
        return self._watched.get(name)

    def unlisted(self, people: Iterable[str]) -> frozenset[str]:
        """Those of the people (as `reach` names them) who are in no list."""
        if self._listed is None:
            self._listed = self._lists.people
        return frozenset(people) - self._listed

    def unconsented(self, externals: Iterable[str]) -> frozenset[str] | None:
        """Those of the externals who have not consented; None where no list says who has."""
        return None if self._consent is None else self._consent.missing(externals)

    def is_inside(self, address: str) -> bool:
        """True for users and for lists, and for names without a domain, to which the mail host adds its own."""
        name = self.user(address)
        return name in self._lists or self._place(name)[0]

    def inside_domain(self, domain: str) -> bool:
        """True for a domain of an agency, or one that is inside without an agency."""
        return self._domains.place(normalise_domain(domain))[0]

    def reach(self, addresses: Iterable[str]) -> Reach:
        """Whom addresses reach, each person once; "" is nobody. Lists count as their members, nested ones too."""
        given, odd = tuple(addresses), _NOBODY
        if given and may_route(given):
            given, odd = self._led(given)
        names = self._users(given)
        lists = [name for name in names if name in self._lists]
        people = self._tell_apart((name for name in names if name and name not in self._lists), odd)
        parts = [people] if people.people or not lists else []
        return _union([*parts, *map(self._expand, lists)])

    def _led(self, addresses: tuple[str, ...]) -> tuple[tuple[str, ...], frozenset[str]]:
        """The addresses that mail to these goes to, and of those that their local parts led to, the users."""
        led = tuple(map(self._lead, dict.fromkeys(addresses)))
        return tuple(to for to, _ in led), frozenset(self.user(to) for to, routed in led if routed)

    def _lead(self, address: str) -> tuple[str, bool]:
        """Where an address's local part leads, and whether it routes; itself where it is known as it is written.

        At a name of the host itself, who is known at the mail host's own domain is meant.
        """
        name, domains = normalise(address), self._domains
        if name in self._names:
            return name, False
        led = routed_address(address, domains.routes)
        local, domain = split(led)
        if domain and domains.is_own(domain):
            known = (each for each in (f"{local}@{self._mail_domain}", local) if each in self._names)
            return next(known, led), True
        return led, led != name or (domains.routes(domain) and bool(routing_targets(local)))

    def _users(self, addresses: tuple[str, ...]) -> Iterable[str]:
        """`user` of each, repeats left out."""
        if not self._names:  # all that can be known of them is how they are written
            look_up = self._look_up
            return dict.fromkeys(
                name if "+" not in name and "@" in name else look_up(name) for name in normalise_all(addresses)
            )
        return dict.fromkeys(map(self.user, addresses))

    def _look_up(self, name: str) -> str:
        """`user` of a normalised address, which may have a tag, or no domain."""
        if self._mail_domain and name and "@" not in name and name not in self._names:
            name = f"{name}@{self._mail_domain}"
        if "+" not in name or name in self._names:
            return self._names.get(name, name)
        untagged = normalise(name, internal=True)
        known = self._names.get(untagged)
        return known or (untagged if self._place(name)[0] else name)

    def _place(self, name: str) -> tuple[bool, str | None]:
        """Whether what `user` answered is inside, and its agency."""
        if name in self._agencies:
            return True, self._agencies[name]
        _, at, domain = name.rpartition("@")
        return self._domains.place(domain) if at else (bool(name), None)

    def _tell_apart(self, names: Iterable[str], odd: frozenset[str] = _NOBODY) -> Reach:
        """Reach of people: users by entry or domain, and externals; `odd` are those that a local part led to."""
        users: dict[str, str | None] = {}
        externals: list[str] = []
        entries, places = self._agencies, dict[str, Place]()  # of many names, which have few domains
        for name in names:
            _, at, domain = name.rpartition("@")
            if not at or domain.endswith('"'):  # a quoted local part alone has none
                users[name] = self._place(name)[1]
                continue
            if domain not in places:
                places[domain] = self._domains.place_of_recipient(domain)
            inside, agency = places[domain]
            if name in entries:
                users[name] = entries[name] or agency
            elif inside:
                users[name] = agency
            else:
                externals.append(name)
        return Reach(users, frozenset(externals), unresolved=self._unresolved(users, odd, places))

    def _unresolved(
        self, users: Mapping[str, str | None], odd: frozenset[str], places: Iterable[str]
    ) -> frozenset[str]:
        """Users whom a complete directory does not know, to whom a local part led, or of an undeclared domain."""
        strange = [domain for domain in places if self._is_undeclared(domain)]
        if not (self.complete or strange):
            return odd.intersection(users) if odd else odd
        unknown = (name for name in users if name not in self._agencies)
        found = (name for name in unknown if self.complete or name.rpartition("@")[2] in strange)
        return odd.intersection(users).union(found)

    def _is_undeclared(self, domain: str) -> bool:
        """True for a domain that is inside for recipients only."""
        return self._domains.place_of_recipient(domain)[0] and not self._domains.place(domain)[0]

    def _undeclared(self, names: Iterable[str]) -> Iterator[str]:
        """What an admin should know of addresses in subdomains that nobody declared."""
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
        """Reach of a list, worked out once a snapshot; threads that do so at once store the same value."""
        if name not in self._expanded:
            lists, people = self._lists.expand(name)
            reach = self._tell_apart(people)
            self._expanded[name] = Reach(reach.users, reach.externals, lists, reach.unresolved)
        return self._expanded[name]

    def _resolved(self, lists: Iterable[tuple[str, Iterable[str]]]) -> dict[str, frozenset[str]]:
        members: dict[str, frozenset[str]] = {}
        for name, each in lists:
            addresses = tuple(each)
            led = (self._lead(each)[0] for each in addresses) if may_route(addresses) else addresses
            members[name] = members.get(name, frozenset()) | frozenset(map(self.user, led))
        return members


def _union(reaches: Iterable[Reach]) -> Reach:
    every = tuple(reaches)
    if len(every) == 1:
        return every[0]  # a list of a whole organisation is not copied
    users: dict[str, str | None] = {}
    for reach in every:
        users.update(reach.users)
    return Reach(
        users,
        frozenset().union(*(reach.externals for reach in every)),
        frozenset().union(*(reach.lists for reach in every)),
        frozenset().union(*(reach.unresolved for reach in every)),
    )
