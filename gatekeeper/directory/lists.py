"""Expand lists that hold lists, find circles among lists, and know who consented to mass mail.

A list may have everybody of a large organisation. One call into C runs to its end without handing the interpreter over
to another thread, so sets are joined one by one, and sorted in pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from hashlib import blake2b
from heapq import merge
from itertools import islice

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import WatchedList

_MOST_CYCLES = 20  # circles that are reported; there may be more than anybody reads
_PIECE = 10_000  # addresses that are sorted in one call


class Lists:
    """Lists by address, with the people and the lists among their members."""

    def __init__(self, members: Mapping[str, frozenset[str]]) -> None:
        """Args: `members` is address of a list -> its users, externals and lists, all normalised.

        A list that names itself means the mailbox of that name, as in aliases(5): `jo: jo, jo@example.org`.
        """
        addresses = members.keys()
        self._nested = {name: each.intersection(addresses) - {name} for name, each in members.items()}
        self._people = {name: each - self._nested[name] for name, each in members.items()}
        self.problems = (*self._empty(members), *islice(self._circular(), _MOST_CYCLES))

    @property
    def names(self) -> Set[str]:
        """Return the addresses of all lists."""
        return self._nested.keys()

    @property
    def people(self) -> frozenset[str]:
        """Return everybody who is in any list."""
        return joined(self._people.values())

    def are_small(self, most: int) -> bool:
        """Return True where all lists together have at most so many people and lists, each as often as it is nested."""
        total = 0
        for name in self._people:
            nested = self.nested(name)
            total += len(nested) + sum(len(self._people[each]) for each in nested)
            if total > most:
                return False
        return True

    def size(self, name: str) -> int:
        """Return the number of people in the list and in lists nested in it, those in several of them each time."""
        return sum(len(self._people[each]) for each in self.nested(name))

    def nested(self, name: str) -> frozenset[str]:
        """Return the list with all lists nested in it. Circles do no harm."""
        lists = {name}
        waiting = [name]
        while waiting:
            fresh = self._nested[waiting.pop()] - lists
            lists |= fresh
            waiting.extend(fresh)
        return frozenset(lists)

    def expand(self, name: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the list with all lists nested in it, and the people of all of these."""
        lists = self.nested(name)
        return lists, joined(self._people[each] for each in lists)

    @staticmethod
    def _empty(members: Mapping[str, frozenset[str]]) -> Iterator[str]:
        for name, each in members.items():
            if not each:
                yield f"list {name} has no members: mail to it counts nobody"

    def _circular(self) -> Iterator[str]:
        for names in _circles(self._nested):
            yield f"lists {' -> '.join([*names, names[0]])} lead back to themselves: each counts the members of all"


def _circles(nested: Mapping[str, Collection[str]]) -> Iterator[tuple[str, ...]]:
    """Yield circles of lists, by depth-first search. Time is linear in the nesting, plus what is yielded."""
    done: set[str] = set()
    for root in nested:
        path = {} if root in done else {root: iter(sorted(nested[root]))}
        while path:
            here = next(reversed(path))
            step = next(path[here], None)
            if step is None:
                done.add(here)
                del path[here]
            elif step in path:
                yield _from(step, path)
            elif step not in done:
                path[step] = iter(sorted(nested[step]))


def _from(name: str, path: Collection[str]) -> tuple[str, ...]:
    names = list(path)
    return tuple(names[names.index(name) :])


def joined(sets: Iterable[Set[str]]) -> frozenset[str]:
    """Return the union of sets."""
    union = set[str]()
    for each in sets:
        union |= each
    return frozenset(union)


def as_watched(members: frozenset[str]) -> WatchedList:
    """Return a list's members with their version: a digest of them, sorted, by lines."""
    given = iter(members)
    pieces = [sorted(islice(given, _PIECE)) for _ in range(0, len(members), _PIECE)]
    digest, ordered, end = blake2b(digest_size=8), merge(*pieces), ""
    while piece := list(islice(ordered, _PIECE)):
        digest.update((end + "\n".join(piece)).encode("utf-8", "surrogatepass"))
        end = "\n"
    return WatchedList(members, digest.hexdigest())


def as_one(lists: list[WatchedList]) -> WatchedList:
    """Return several lists as though they were one."""
    if len(lists) == 1:
        return lists[0]
    versions = "\n".join(sorted(watched.version for watched in lists))
    members = joined(watched.members for watched in lists)
    return WatchedList(members, blake2b(versions.encode(), digest_size=8).hexdigest())


@immutable
class Consent:
    """Externals who have or have not consented; `given` is None where all who are not suppressed have consented."""

    given: frozenset[str] | None = None
    suppressed: frozenset[str] = frozenset()

    def of(self, user: Callable[[str], str]) -> Consent:
        """Return the same consent with each address replaced by the directory's name for it.

        Args: `user` finds the name.
        """
        given = None if self.given is None else frozenset(map(user, self.given))
        return Consent(given, frozenset(map(user, self.suppressed)))

    def missing(self, people: Iterable[str]) -> frozenset[str]:
        """Return those of the people who have not consented. Suppression wins over consent."""
        everybody = frozenset(people)
        without = everybody - self.given if self.given is not None else frozenset()
        return without | (everybody & self.suppressed)
