"""The directory as one immutable snapshot: who is inside, who is one person, what a list stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from hashlib import blake2b
from pathlib import Path

from gatekeeper.address import normalise, normalise_all, normalise_domain
from gatekeeper.immutable import immutable
from gatekeeper.model import Watched

from .consent import Consent
from .domains import Domains
from .entries import Entry, read_entries
from .groups import Groups
from .lists import Lists


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
    ) -> None:
        """Build from what the loaders read.

        `agencies`: agency id -> its domain patterns. `domains`: patterns that are inside, in no agency. `lists`:
        address -> members, addresses of people and of other lists. `complete`: every inside address is in here, and
        one that is not is `unresolved`. `problems`: what the loaders found. `digest`: hex, of all that was read.
        `mail_domain`: what the mail host adds to a name without a domain; "" where that is not known.
        `groups`: of senders, group -> addresses and domain patterns. `consent`: of people outside. `files`: those that
        it was made of, in the order in which they were read.
        `expired`: a source has not answered for too long, so that nothing can be told for certain.
        """
        self.agencies = tuple(agencies or ())
        self.complete = complete
        self.expired = expired
        self.digest = digest
        self.files = tuple(files)
        self._mail_domain = normalise_domain(mail_domain)
        self._domains = Domains(agencies or {}, domains)
        members = [(normalise(address), each) for address, each in (lists or {}).items()]
        people = read_entries(entries, self._domains, {name for name, _ in members})
        self._agencies = people.agencies  # of the users that entries name
        self._names = people.names | {name: name for name, _ in members}  # address -> user or list
        self._lists = Lists(self._resolved(members))
        self._groups = Groups(groups or {}, people.groups, self.user)
        self._consent = consent.of(self.user) if consent else None
        self._expanded: dict[str, Reach] = {}
        self._watched: dict[str, Watched] = {}
        self._listed: frozenset[str] | None = None
        self.problems = (*problems, *self._domains.problems, *people.problems, *self._lists.problems)

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

    def watched(self, address: str) -> Watched | None:
        """Who is in a list, nested ones included; None where there is no list of that address."""
        name = self.user(address)
        if name in self._lists and name not in self._watched:
            reach = self._expand(name)
            members = frozenset(reach.users) | reach.externals
            digest = blake2b("\n".join(sorted(members)).encode("utf-8", "surrogatepass"), digest_size=8)
            self._watched[name] = Watched(members, digest.hexdigest())
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
        names = self._users(tuple(addresses))
        lists = [name for name in names if name in self._lists]
        people = self._tell_apart(name for name in names if name and name not in self._lists)
        parts = [people] if people.people or not lists else []
        return _union([*parts, *map(self._expand, lists)])

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

    def _tell_apart(self, names: Iterable[str]) -> Reach:
        """Reach of people: users by entry or domain, and externals."""
        users: dict[str, str | None] = {}
        externals: list[str] = []
        entries, place = self._agencies, self._domains.placer()
        for name in names:
            _, at, domain = name.rpartition("@")
            inside, agency = self._place(name) if name in entries or not at else place(domain)
            if inside:
                users[name] = agency
            else:
                externals.append(name)
        known = self._agencies
        unresolved = frozenset(name for name in users if name not in known) if self.complete else frozenset()
        return Reach(users, frozenset(externals), unresolved=unresolved)

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
            members[name] = members.get(name, frozenset()) | frozenset(map(self.user, each))
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
