"""Groups of senders: who is in which, by directory entry, by address or by domain (policy M9: contractors)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .domains import normalise_pattern, patterns_of


class Groups:
    """Groups by user and by domain."""

    def __init__(
        self, groups: Mapping[str, Iterable[str]], entries: Mapping[str, tuple[str, ...]], user: Callable[[str], str]
    ) -> None:
        """`groups`: group -> addresses and domain patterns; `entries`: user -> groups; `user` names an address's."""
        self._users: dict[str, set[str]] = {name: set(each) for name, each in entries.items()}
        self._domains: dict[str, set[str]] = {}
        for group, members in groups.items():
            for member in members:
                if "@" in member:
                    self._users.setdefault(user(member), set()).add(group)
                else:
                    self._domains.setdefault(normalise_pattern(member), set()).add(group)

    def of(self, user: str, address: str) -> tuple[str, ...]:
        """The groups of a user who writes from an address, sorted; both normalised."""
        if not self._users and not self._domains:
            return ()
        found = set(self._users.get(user, ()))
        for domain in {user.rpartition("@")[2], address.rpartition("@")[2]} if self._domains else ():
            found.update(*(self._domains.get(pattern, ()) for pattern in patterns_of(domain)))
        return tuple(sorted(found))
