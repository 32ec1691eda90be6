"""Check a bag with nothing but itself: its manifests, its signature, and the hashes of its audit lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import new, sha256
from pathlib import Path
from urllib.parse import unquote

from gatekeeper.archive.signing import SignatureMissing, check_signature
from gatekeeper.lib.immutable import immutable

LINES = "data/audit/lines.jsonl"
_CHUNK = 1 << 20
_TAGS = ("bagit.txt", "bag-info.txt", "manifest-sha256.txt", "manifest-sha512.txt")


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
    missing = [name for name in _TAGS if not (folder / name).is_file()]
    if missing:
        yield from (f"{name}: it is missing" for name in missing)
        return
    for algorithm in ("sha256", "sha512"):
        tags = _manifest(folder, f"tagmanifest-{algorithm}.txt")
        yield from _differences(folder, tags, algorithm, lambda files: None)
    yield from _payload(folder, on_file)
    yield from _oxum(folder)
    yield from _signature(folder)
    yield from (
        f"{LINES}: record {each.record} of chain {each.chain} is not what was recorded"
        for each in lines_of(folder)
        if not each.is_whole
    )


def size_of(folder: Path) -> int:
    """Return the number of files that a check reads."""
    path = folder / "manifest-sha256.txt"
    return 2 * len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0


def _manifest(folder: Path, name: str) -> dict[str, str]:
    path = folder / name
    if not path.is_file():
        return {}
    rows = (line.split(None, 1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return {unquote(path): digest for digest, path in rows}


def _payload(folder: Path, on_file: Callable[[int], None]) -> Iterator[str]:
    there = {path.relative_to(folder).as_posix() for path in (folder / "data").rglob("*") if path.is_file()}
    for algorithm in ("sha256", "sha512"):
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
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()) or not target.is_file():
        return None
    hashed = new(algorithm)
    with target.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()


def info_of(folder: Path) -> dict[str, str]:
    """Return what bag-info.txt says."""
    text = (folder / "bag-info.txt").read_text(encoding="utf-8")
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
    """Yield the audit lines of a bag; those that cannot be read are none of a chain."""
    path = folder / LINES
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for text in file:
            try:
                row = json.loads(text)
                heads = bytes.fromhex(row["before"]), bytes.fromhex(row["after"])
                yield AuditLine(int(row["chain"]), int(row["record"]), heads[0], row["line"].encode(), heads[1])
            except (ValueError, KeyError, TypeError, AttributeError):
                yield AuditLine(0, 0, b"", b"", b"")
