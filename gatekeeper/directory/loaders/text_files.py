"""Read files of the directory as text, and compute a digest of all that was read."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from gatekeeper.address import is_valid


class TextFileReader:
    """A reader that reads each file once a load, and computes a digest of all content."""

    def __init__(self, about: str) -> None:
        """Args: `about` stands for whatever else the snapshot is made of."""
        self._digest = sha256(about.encode())
        self._said = sha256()  # digest of what servers said
        self._texts: dict[Path, str] = {}
        self._asked: dict[Path, None] = {}

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return every file that was requested, in order, missing files included."""
        return tuple(self._asked)

    @property
    def digest(self) -> str:
        """Return a hex SHA-256 of all files, in order, and servers' answers. Where it is equal, nothing has changed."""
        return sha256(self._digest.digest() + self._said.digest()).hexdigest()

    def note(self, text: str) -> None:
        """Add a server's answer to the digest."""
        self._said.update(text.encode("utf-8", "surrogateescape"))

    def read(self, path: Path) -> str:
        """Return the text of a file in UTF-8, or UTF-16 with a byte order mark. Raises DirectoryError, MissingFile."""
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
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):  # as Excel writes "Unicode Text"
        return _decode_utf16(path, content)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        octet = f"octet 0x{content[error.start]:02X}"
        raise DirectoryError([f"{path}:{line}: {octet} is not UTF-8: save the file as UTF-8"]) from error


def _decode_utf16(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-16")
    except UnicodeDecodeError as error:
        line = content[: error.start].decode("utf-16", "replace").count("\n") + 1
        raise DirectoryError([f"{path}:{line}: this is no UTF-16, as the file begins: save it as UTF-8"]) from error


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers from 1. Only LF and CRLF end a line, unlike in `str.splitlines`."""
    for number, line in enumerate(text.split("\n"), 1):
        yield number, line.removesuffix("\r")


def read_list(path: Path, text: str) -> tuple[list[str], list[str]]:
    """Return the members of a list file, as written, and its errors as `file:line: text`.

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
    """Directory files that cannot be used; `problems` has all mistakes as `file:line: what was expected`."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        super().__init__("\n".join([*problems[:_SHOWN], *more]))


class MissingFile(DirectoryError):
    """A file that does not exist."""
