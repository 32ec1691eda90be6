"""Check a bag with nothing but itself: its manifests, its signature, and the hashes of its audit lines.

A bag comes back from anywhere: whatever stands in its files is told as a problem, and as text that moves no terminal.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from hashlib import new, sha256
from pathlib import Path
from urllib.parse import unquote

from gatekeeper.archive.signing import SignatureMissing, check_signature
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.marks import marked_line

LINES = "data/audit/lines.jsonl"
_CHUNK = 1 << 20
_ALGORITHMS = ("sha256", "sha512")
_TAGS = (
    "bagit.txt",
    "bag-info.txt",
    *(f"{kind}-{name}.txt" for kind in ("manifest", "tagmanifest") for name in _ALGORITHMS),
)
_BESIDE = {  # what no manifest names: what was made of them, and what README.txt has whoever checks make
    *(f"tagmanifest-{name}.txt" for name in _ALGORITHMS),
    *("signature.txt", "timestamp.tsq", "timestamp.tsr", "key.pem", "signature.bin"),
}
_LISTED = re.compile(rb"([0-9A-Fa-f]+)[ \t]+(.+)")
_LONGEST = 400  # characters of a problem
_MOST = (1 << 63) - 1  # the largest number that a database has


class _Unreadable(Exception):
    """A file of a bag that says nothing; the text is the problem."""


@immutable
class AuditLine:
    """A recorded line as a bag has it: the head of its chain before and after it."""

    chain: int
    record: int
    before: bytes
    line: bytes
    after: bytes

    @property
    def is_whole(self) -> bool:
        """True where the head after it follows from the line."""
        return sha256(self.before + self.line).digest() == self.after


def problems_of(folder: Path, on_file: Callable[[int], None] = lambda files: None) -> Iterator[str]:
    """Yield what is not as the bag says. Args: `on_file` is called after each file of the payload."""
    try:
        yield from (marked_line(problem, _LONGEST) for problem in _problems(folder, on_file))
    except _Unreadable as error:
        yield str(error)


def _problems(folder: Path, on_file: Callable[[int], None]) -> Iterator[str]:
    missing = [name for name in _TAGS if not (folder / name).is_file()]
    if missing:
        yield from (f"{name}: it is missing" for name in missing)
        return
    yield from _no_files(folder)
    beside = set(_paths_beside(folder)) - _BESIDE
    for algorithm in _ALGORITHMS:
        tags = _manifest(folder, f"tagmanifest-{algorithm}.txt")
        yield from (f"{path}: tagmanifest-{algorithm}.txt does not have it" for path in sorted(beside - set(tags)))
        yield from _differences(folder, tags, algorithm, lambda files: None)
    yield from _payload(folder, on_file)
    yield from _oxum(folder)
    yield from _signature(folder)
    for number, each in enumerate(lines_of(folder), 1):
        if not each.chain:
            yield f"{LINES}: line {number} cannot be read"
        elif not each.is_whole:
            yield f"{LINES}: record {each.record} of chain {each.chain} is not what was recorded"


def _no_files(folder: Path) -> Iterator[str]:
    """Yield what is neither a folder nor a file of its own: a link shows what lies elsewhere."""
    for place, folders, names in os.walk(folder):
        for path in (Path(place, name) for name in sorted((*folders, *names))):
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                yield f"{path.relative_to(folder).as_posix()}: it is a link or a device: expected a file"


def _paths_beside(folder: Path) -> Iterator[str]:
    """Yield the files that are no payload."""
    for place, _, names in os.walk(folder):
        paths = (Path(place, name).relative_to(folder) for name in names)
        yield from (path.as_posix() for path in paths if path.parts[0] != "data")


def shown(text: str) -> str:
    """Return a text of a bag as it may be told."""
    return repr(marked_line(text, _LONGEST))


def size_of(folder: Path) -> int:
    """Return the number of files that a check reads."""
    path = folder / "manifest-sha256.txt"
    return 2 * len(path.read_bytes().splitlines()) if path.is_file() else 0


def _manifest(folder: Path, name: str) -> dict[str, str]:
    """Return the digests of a manifest by path. Raises _Unreadable."""
    found = {}
    for number, line in enumerate((folder / name).read_bytes().splitlines(), 1):
        try:
            digest, path = _LISTED.fullmatch(line).groups()  # type: ignore[union-attr]
            found[unquote(path.decode())] = digest.decode()
        except (AttributeError, UnicodeDecodeError):
            raise _Unreadable(f"{name}: line {number} is not a digest and a path") from None
    return found


def _payload(folder: Path, on_file: Callable[[int], None]) -> Iterator[str]:
    there = {path.relative_to(folder).as_posix() for path in (folder / "data").rglob("*") if path.is_file()}
    for algorithm in _ALGORITHMS:
        listed = _manifest(folder, f"manifest-{algorithm}.txt")
        yield from (f"{path}: manifest-{algorithm}.txt does not have it" for path in sorted(there - set(listed)))
        yield from _differences(folder, listed, algorithm, on_file)


def _differences(folder: Path, listed: dict[str, str], algorithm: str, on_file: Callable[[int], None]) -> Iterator[str]:
    for path, digest in listed.items():
        found = _digest(folder, path, algorithm)
        if found != digest:
            yield f"{path}: it is missing" if found is None else f"{path}: it is not what its {algorithm} says"
        on_file(1)


def _digest(folder: Path, path: str, algorithm: str) -> str | None:
    """Return the digest of a file of the bag; None where it is not there, or lies outside of it."""
    try:
        target = (folder / path).resolve()
        if not target.is_relative_to(folder.resolve()) or not target.is_file():
            return None
    except (OSError, ValueError):  # no file can have such a name
        return None
    hashed = new(algorithm)
    with target.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()


def info_of(folder: Path) -> dict[str, str]:
    """Return what bag-info.txt says."""
    text = (folder / "bag-info.txt").read_text(encoding="utf-8", errors="replace")
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _oxum(folder: Path) -> Iterator[str]:
    files = [path for path in (folder / "data").rglob("*") if path.is_file()]
    found, said = f"{sum(path.stat().st_size for path in files)}.{len(files)}", info_of(folder).get("Payload-Oxum")
    if found != said:
        yield f"bag-info.txt: Payload-Oxum is {said}, and the payload has {found}"


def _signature(folder: Path) -> Iterator[str]:
    try:
        if (folder / "signature.txt").is_file() and not check_signature(folder):
            yield "signature.txt: it is not a signature of tagmanifest-sha256.txt"
    except SignatureMissing as error:
        yield f"signature.txt: {error}"


def lines_of(folder: Path) -> Iterator[AuditLine]:
    """Yield the audit lines of a bag; those that cannot be read are of chain 0, which is none."""
    path = folder / LINES
    if not path.is_file():
        return
    with path.open("rb") as file:
        yield from map(_line, file)


def _line(octets: bytes) -> AuditLine:
    try:
        row = json.loads(octets)
        before, after = (bytes.fromhex(row[name]) for name in ("before", "after"))
        line = AuditLine(int(row["chain"]), int(row["record"]), before, row["line"].encode(), after)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return _NO_LINE
    return line if 0 < line.chain <= _MOST and 0 < line.record <= _MOST else _NO_LINE


_NO_LINE = AuditLine(0, 0, b"", b"", b"")
