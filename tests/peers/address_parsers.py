"""Other programs' parsers of address fields: Python's own and four of npm's."""

from __future__ import annotations

import email.utils
from collections.abc import Iterator
from contextlib import contextmanager

from tests.peers.node import Ask, node

_Boxes = list[tuple[str, str]]  # names and addresses


class AddressParsers:
    """Five readers of one field value."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def read(self, text: str) -> dict[str, _Boxes]:
        """Return the names and addresses that each parser finds, by the parser's name."""
        found = {name: [(box[0], box[1]) for box in boxes] for name, boxes in self._ask(text).items()}
        return {**found, "python": email.utils.getaddresses([text])}


@contextmanager
def address_parsers() -> Iterator[AddressParsers]:
    """Start the parsers."""
    with node("address_parsers.js") as ask:
        yield AddressParsers(ask)
