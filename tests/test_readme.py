"""The commands of README.md do what it says, as they stand there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent


def commands(*words):
    """The lines of the README that a reader types, which have one of these words."""
    typed = (line.removeprefix("    $ ") for line in (ROOT / "README.md").read_text().splitlines())
    return [line for line in typed if any(f"{word} " in line for word in words) and not line.startswith(" ")]


def test_a_message_is_explained_before_anybody_sends_it(tmp_path):
    shutil.copy(ROOT / "rules.yaml", tmp_path)
    lines = commands("printf", "gatekeeper explain")
    assert len(lines) == 2
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", "\n".join(lines)], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "relay" in done.stdout, done.stderr
