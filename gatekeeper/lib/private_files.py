"""Create files and folders that only their owner may read, whatever the umask: they hold other people's mail."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_OTHERS = 0o077  # the rights of group and others


def create_private_file(path: Path) -> BinaryIO:
    """Create a file of mode 0600 and open it for writing. Raises OSError; FileExistsError where the file exists."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def write_private_file(path: Path, content: bytes) -> None:
    """Create a file of mode 0600 with `content`. Raises OSError; FileExistsError where the file exists."""
    with create_private_file(path) as file:
        file.write(content)


def make_private_folder(folder: Path) -> None:
    """Create a folder of mode 0700, and its missing parents with the same mode. Raises OSError."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def make_private(path: Path) -> None:
    """Remove the rights of group and others from a file. Raises nothing where the file is missing or not ours."""
    with suppress(OSError):
        mode = path.stat().st_mode
        if mode & _OTHERS:
            path.chmod(mode & ~_OTHERS & 0o7777)
