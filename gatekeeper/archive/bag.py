"""Write a bag (BagIt 1.0, RFC 8493): a folder of files with the digests of each, which needs no program of ours.

What has been written is noted in a journal beside it, so that an export that was killed goes on where it was: a file is
there whole or not at all. Memory is that of one chunk, however large the bag. The library bagit does neither: it makes
a bag of a folder that is whole already, and reads all of that again. Tests check with it what is written here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256, sha512
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from gatekeeper.lib.failpoints import step
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.private_files import make_private_folder

_DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_JOURNAL = ".unfinished"
_EARLIER = ".unfinished.before"  # what was there when it was gone on with
_ALGORITHMS = ("sha256", "sha512")
_CHUNK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a ZIP file can have


class BagError(Exception):
    """A folder that cannot be written to as a bag; the text says why."""


@immutable
class BagFile:
    """A file of a bag: its path with slashes, its octets, and both digests in hex."""

    path: str
    size: int
    sha256: str
    sha512: str


@dataclass(slots=True)
class Bag:
    """A bag that is being written.

    Args: `about` is what it is of; a bag that was begun goes on only where that is the same.
    """

    folder: Path
    about: Mapping[str, Any]
    _sizes: dict[str, int] = field(default_factory=dict)  # of the payload that was added, by path
    _resumed: dict[str, BagFile] = field(default_factory=dict)  # what is there from before, until it is asked for
    _tags: dict[str, BagFile] = field(default_factory=dict)
    _made: set[Path] = field(default_factory=set)  # folders
    _journal: IO[bytes] | None = None

    @classmethod
    def begin(cls, folder: Path, about: Callable[[], Mapping[str, Any]], asked: Any) -> Bag:
        """Begin a bag in a new folder, or go on with one that was begun for the same question.

        Args: `about` is called for a new one. Raises BagError, OSError.
        """
        if not folder.exists() or _is_empty(folder):
            make_private_folder(folder)
            return cls._new(folder, about, asked)
        if not (folder / _JOURNAL).is_file():
            raise BagError(f"{folder} is there already: expected the name of a new one")
        found, *rows = _rows(folder / _JOURNAL) or [{}]
        if found.get("asked") != json.loads(json.dumps(asked)):
            raise BagError(f"{folder} was begun for something else: expected the name of a new one")
        bag = cls(folder, found)
        bag._resume([*_rows(folder / _EARLIER)[1:], *rows])
        return bag

    @classmethod
    def _new(cls, folder: Path, about: Callable[[], Mapping[str, Any]], asked: Any) -> Bag:
        try:
            bag = cls(folder, {**about(), "asked": asked})
        except BaseException:
            folder.rmdir()
            raise
        step("export-begun")
        bag._write_journal(_JOURNAL, ())
        return bag

    def _resume(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Remember what is there whole; the journal begins anew, in the order in which it is asked for."""
        for row in rows:
            file = BagFile(**row)
            if _size(self.folder / file.path) == file.size:
                self._resumed[file.path] = file
        self._write_journal(_EARLIER, self._resumed.values())
        self._write_journal(_JOURNAL, ())

    def _write_journal(self, name: str, files: Iterable[BagFile]) -> None:
        lines = [json.dumps(self.about), *(json.dumps(_as_row(file)) for file in files)]
        part = self.folder / f"{name}.part"
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write("".join(f"{line}\n" for line in lines).encode())
        part.replace(self.folder / name)

    @property
    def files(self) -> int:
        """The number of files of the payload."""
        return len(self._sizes)

    @property
    def octets(self) -> int:
        """The octets of the payload."""
        return sum(self._sizes.values())

    def add(self, path: str, chunks: Callable[[], Iterable[bytes]], digest: str = "") -> BagFile:
        """Write a file of the payload. Raises OSError.

        Args: `path` begins with data/; `digest` is its SHA-256 where that is known beforehand: such a file is not
        written again where it is there. Others may say something else by now.
        """
        file = self._resumed.pop(path, None)
        if file is None or file.sha256 != digest:
            file = self._write(path, chunks())
        step("export-file")
        self._journal = self._journal or (self.folder / _JOURNAL).open("ab")
        self._journal.write((json.dumps(_as_row(file)) + "\n").encode())
        self._journal.flush()
        step("export-noted")
        self._sizes[path] = file.size
        return file

    def tag(self, path: str, text: str | Iterable[bytes]) -> BagFile:
        """Write a file beside the payload."""
        chunks = [text.encode("utf-8", "backslashreplace")] if isinstance(text, str) else text
        self._tags[path] = file = self._write(path, chunks)
        return file

    def _write(self, path: str, chunks: Iterable[bytes]) -> BagFile:
        target = self.folder / path
        if target.parent not in self._made:
            make_private_folder(target.parent)
            self._made.add(target.parent)
        part, size, short, long = target.with_name(f"{target.name}.part"), 0, sha256(), sha512()
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", _CHUNK) as out:
            for chunk in chunks:
                out.write(chunk)
                short.update(chunk)
                long.update(chunk)
                size += len(chunk)
        part.replace(target)
        return BagFile(path, size, short.hexdigest(), long.hexdigest())

    def finish(self, info: Mapping[str, str]) -> tuple[BagFile, BagFile]:
        """Write the manifests; return that of the payload and that of the tags, by SHA-256.

        Args: `info` is of bag-info.txt. What is in the folder and was not added is removed.
        """
        self._remove_others()
        self.tag("bagit.txt", _DECLARATION)
        oxum = {"Payload-Oxum": f"{self.octets}.{self.files}"}
        self.tag("bag-info.txt", "".join(f"{name}: {_line(value)}\n" for name, value in {**info, **oxum}.items()))
        payload = [self.tag(f"manifest-{name}.txt", _manifest(self._payload(), name)) for name in _ALGORITHMS]
        covered = list(self._tags.values())
        tags = [self.tag(f"tagmanifest-{name}.txt", _manifest(covered, name)) for name in _ALGORITHMS]
        return payload[0], tags[0]

    def _payload(self) -> Iterator[BagFile]:
        """Yield the payload in the order in which it was added, from the journal."""
        with (self.folder / _JOURNAL).open(encoding="utf-8") as lines:
            next(lines)
            yield from (BagFile(**json.loads(line)) for line in lines)

    def _remove_others(self) -> None:
        for path in _paths(self.folder):
            name = path.relative_to(self.folder).as_posix()
            if name not in self._sizes and name not in self._tags:
                path.unlink()

    def close(self) -> None:
        """Make the bag whole: nothing of it is to be written any more."""
        if self._journal is not None:
            self._journal.close()
        (self.folder / _EARLIER).unlink(missing_ok=True)
        (self.folder / _JOURNAL).unlink(missing_ok=True)


def _is_empty(folder: Path) -> bool:
    """Return True where an export was killed before it had a journal."""
    return folder.is_dir() and all(path.name == f"{_JOURNAL}.part" for path in folder.iterdir())


def _rows(journal: Path) -> list[dict[str, Any]]:
    """Return what a journal has: what the bag is about, and its files; what was not written whole is left out."""
    found = []
    for line in journal.read_bytes().splitlines() if journal.is_file() else ():
        try:
            row = json.loads(line)
        except ValueError:
            break
        if isinstance(row, dict):
            found.append(row)
    return found


def _as_row(file: BagFile) -> dict[str, Any]:
    return {"path": file.path, "size": file.size, "sha256": file.sha256, "sha512": file.sha512}


def _manifest(files: Iterable[BagFile], algorithm: str) -> Iterator[bytes]:
    return (f"{getattr(file, algorithm)}  {encoded(file.path)}\n".encode() for file in files)


def encoded(path: str) -> str:
    """Return a path as a manifest has it (RFC 8493 2.1.3)."""
    return path.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _line(text: str) -> str:
    return " ".join(text.split())


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _paths(folder: Path) -> Iterator[Path]:
    """Yield the files of a bag, each folder's by name; its journals are none of it."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names) if name not in (_JOURNAL, _EARLIER))


def zipped(folder: Path, target: Path) -> None:
    """Write a finished bag as one ZIP file in which its folder is. Files keep no times: they say nothing of records."""
    part = target.with_name(f"{target.name}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out, ZipFile(out, "w") as archive:
        for path in _paths(folder):
            entry = ZipInfo(f"{target.stem}/{path.relative_to(folder).as_posix()}", _EPOCH)
            entry.compress_type, entry.external_attr = ZIP_STORED, 0o600 << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as into:
                while chunk := source.read(_CHUNK):
                    into.write(chunk)
    part.replace(target)
