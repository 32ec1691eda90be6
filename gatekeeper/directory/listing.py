"""List files: one address a line, with `#` comments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gatekeeper.address import valid


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1; only LF and CRLF end one, unlike `str.splitlines`."""
    for number, line in enumerate(text.split("\n"), 1):
        yield number, line.removesuffix("\r")


def read_list(path: Path, text: str) -> tuple[list[str], list[str]]:
    """The members of a list file, as written, and its errors as `file:line: text`.

    `#` begins a comment at the start of a line or after a blank (an address may hold one).
    """
    members: list[str] = []
    errors: list[str] = []
    for number, line in numbered(text):
        address = (" " + line).replace("\t", " ").partition(" #")[0].strip()
        if not address:
            continue
        members.append(address)
        if not valid(address):
            errors.append(f"{path}:{number}: {address!r}: expected one address, such as jo@example.gov")
    return members, errors
