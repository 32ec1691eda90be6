"""Other programs' parsers of address fields: Python's own and three of npm's, which run in a process of node."""

from __future__ import annotations

import email.utils
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers import missing, require

_MODULES = Path(__file__).parents[2] / ".peers/npm"
_Boxes = list[tuple[str, str]]  # names and addresses


class AddressParsers:
    """Four readers of one field value."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read(self, text: str) -> dict[str, _Boxes]:
        """Return the names and addresses that each parser finds, by the parser's name."""
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None and answered is not None
        asked.write(json.dumps(text) + "\n")
        asked.flush()
        found = {name: [(box[0], box[1]) for box in boxes] for name, boxes in json.loads(answered.readline()).items()}
        return {**found, "python": _by_python(text)}


def _by_python(text: str) -> _Boxes:
    return email.utils.getaddresses([text])


@contextmanager
def address_parsers() -> Iterator[AddressParsers]:
    """Start the parsers; without node or its modules the test ends as for any missing peer."""
    node = require("node")
    if not (_MODULES / "ready").exists():
        missing("npm's address parsers, by tests/peers/fetch_address_parsers.sh")
    script = Path(__file__).with_suffix(".js")
    with subprocess.Popen(
        [node, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "NODE_PATH": str(_MODULES / "node_modules")},
    ) as process:
        yield AddressParsers(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)
