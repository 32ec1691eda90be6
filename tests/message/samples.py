"""Messages written as their lines, and the real ones that lie beside a checkout."""

from __future__ import annotations

import email
import tarfile
from functools import cache
from pathlib import Path

import pytest

from gatekeeper.message import read_facts
from gatekeeper.model import Facts

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus" / "ham.tar.gz"
HEAD = ("From: Ann <ann@example.gov>", "To: bob@example.gov", "Subject: Hello")


def message(*lines: str | bytes) -> bytes:
    """A message of lines with CRLF ends."""
    return b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines)


def mixed(*lines: str | bytes, boundary: str = "b", kind: str = "mixed") -> bytes:
    """A multipart whose body is the lines, delimiters included."""
    return message(*HEAD, f'Content-Type: multipart/{kind}; boundary="{boundary}"', "", *lines)


@cache
def corpus() -> tuple[bytes, ...]:
    """The real messages with CRLF line ends; a visible skip where they are not there."""
    if not CORPUS.exists():
        pytest.skip(f"no real mail beside the checkout ({'/'.join(CORPUS.parts[-3:])})")
    with tarfile.open(CORPUS) as archive:
        files = [archive.extractfile(entry) for entry in archive if entry.isfile() and entry.name.endswith(".eml")]
        return tuple(_as_sent(file.read()) for file in files if file)


@cache
def corpus_facts() -> tuple[Facts, ...]:
    return tuple(map(read_facts, corpus()))


def _as_sent(stored: bytes) -> bytes:
    first, _, rest = stored.partition(b"\n")
    return (rest if first.startswith(b"From ") else stored).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def own_texts(content: bytes) -> str:
    """The text of a message as a body to change: decoded, but for its HTML."""
    parsed = email.message_from_bytes(content)
    parts = [part for part in parsed.walk() if part.get_content_type() == "text/plain"]
    octets = parts[0].get_payload(decode=True) if parts else b""
    return octets.decode("latin-1") if isinstance(octets, bytes) else ""
