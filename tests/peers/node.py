"""Readers of text that run in a process of node: one JSON value a line goes in, one comes out."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.peers import missing, require

_MODULES = Path(__file__).parents[2] / ".peers/npm"
Ask = Callable[[str], Any]


@contextmanager
def node(script: str) -> Iterator[Ask]:
    """Start a script of this folder; without node or its modules the test ends as for any missing peer."""
    program = require("node")
    if not (_MODULES / "fetched").exists():
        missing("npm's parsers, by tests/peers/fetch_parsers.sh")
    with subprocess.Popen(
        [program, str(Path(__file__).with_name(script))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "NODE_PATH": str(_MODULES / "node_modules")},
    ) as process:
        asked, answered = process.stdin, process.stdout
        assert asked is not None and answered is not None

        def ask(text: str) -> Any:
            asked.write(json.dumps(text) + "\n")
            asked.flush()
            return json.loads(answered.readline())

        yield ask
        asked.close()
        process.wait(timeout=30)
