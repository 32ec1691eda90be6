"""Expand lists that hold lists, find circles among lists, and know who consented to mass mail."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from itertools import islice

from gatekeeper.lib.immutable import immutable

_MOST_CYCLES = 20  # circles that are reported; there may be more than anybody reads


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
        return frozenset().union(*self._people.values())

    def expand(self, name: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the list with all lists nested in it, and the people of all of these. Circles do no harm."""
        lists = {name}
        waiting = [name]
        while waiting:
            fresh = self._nested[waiting.pop()] - lists
            lists |= fresh
            waiting.extend(fresh)
        return frozenset(lists), frozenset().union(*(self._people[each] for each in lists))

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
