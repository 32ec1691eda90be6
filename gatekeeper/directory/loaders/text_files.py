"""Files of the directory as text, and a digest of all that was read."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from gatekeeper.address import is_valid


class TextFileReader:
    """Reads files for one load and remembers what they held."""

    def __init__(self, about: str) -> None:
        """`about` stands for whatever else the snapshot is made of."""
        self._digest = sha256(about.encode())
        self._said = sha256()  # by servers
        self._texts: dict[Path, str] = {}
        self._asked: dict[Path, None] = {}

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that was asked for, in order, those that are missing included."""
        return tuple(self._asked)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of what was read, in order, and what servers said: equal ones mean that nothing has changed."""
        return sha256(self._digest.digest() + self._said.digest()).hexdigest()

    def note(self, text: str) -> None:
        """Make what a server said part of the digest."""
        self._said.update(text.encode("utf-8", "surrogateescape"))

    def read(self, path: Path) -> str:
        """The text of a file in UTF-8, with or without a byte order mark; raises DirectoryError, MissingFile."""
        self._asked[path] = None
        if path not in self._texts:
            content = _content(path)
            self._digest.update(f"{path}\0{len(content)}\0".encode("utf-8", "surrogateescape") + content)
            self._texts[path] = _decode(path, content)
        return self._texts[path]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFile([f"{path}: no such file: check the path"]) from error
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise DirectoryError([f"{path}: {reason}: expected a file that the gate may read"]) from error


def _decode(path: Path, content: bytes) -> str:
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise DirectoryError([f"{path}:1: UTF-16: expected UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8)"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        octet = f"octet 0x{content[error.start]:02X}"
        raise DirectoryError([f"{path}:{line}: {octet} is not UTF-8: save the file as UTF-8"]) from error


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1; only LF and CRLF end one, unlike `str.splitlines`."""
    for number, line in enumerate(text.split("\n"), 1):
        yield number, line.removesuffix("\r")


def read_list(path: Path, text: str) -> tuple[list[str], list[str]]:
    """The members of a list file, as written, and its errors as `file:line: text`.

    `#` begins a comment at the start of a line or after a blank (an address may hold one).
    """
    members: list[str] = []
    errors: list[str] = []
    for number, line in numbered_lines(text):
        address = (" " + line).replace("\t", " ").partition(" #")[0].strip()
        if not address:
            continue
        members.append(address)
        if not is_valid(address):
            errors.append(f"{path}:{number}: {address!r}: expected one address, such as jo@example.gov")
    return members, errors


_SHOWN = 100


class DirectoryError(ValueError):
    """Directory files that cannot be used; `problems` has all of them as `file:line: what was expected`."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        super().__init__("\n".join([*problems[:_SHOWN], *more]))


class MissingFile(DirectoryError):
    """A file that is not there."""
