"""The notices of docs/notices.md and the commands of docs/deciding.md, as a gate writes them.

`python -m tests.rendered` plays each situation on a gate and writes what people get into the pages; a test says when
they are not what the gate writes.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.notices.situations import COMMANDS, LETTERS, Letter

DOCS = Path(__file__).parents[1] / "docs"
NOTICES, DECIDING = DOCS / "notices.md", DOCS / "deciding.md"
_BLOCK = "<!-- {name}: made by python -m tests.rendered -->\n```text\n{text}\n```\n"


def play(situation: Callable[[Path], Awaitable[object]]) -> object:
    """Play one situation in a folder of its own; return what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(situation(Path(folder)))  # type: ignore[arg-type]


def shown(letter: Letter) -> str:
    """A letter as it stands in the page."""
    return f"To: {letter.mail['To']}\nSubject: {letter.mail['Subject']}\n\n{letter.text.rstrip()}"


def renewed(page: str, made: dict[str, str]) -> str:
    """The page with each of these blocks as it is made."""
    for name, text in made.items():
        block = _BLOCK.format(name=name, text=text)
        pattern = re.compile(_BLOCK.format(name=re.escape(name), text="(?s:.*?)").replace("\n```\n", "\n```\n"))
        page, number = pattern.subn(lambda _, block=block: block, page)
        if number != 1:
            raise ValueError(f"expected one block of {name}, found {number}")
    return page


def letters() -> dict[str, str]:
    """Every letter, by the name of its block."""
    return {name: shown(play(situation)) for name, situation in LETTERS.items()}  # type: ignore[arg-type]


def commands() -> dict[str, str]:
    """What each command prints, by the name of its block."""
    return {name: str(play(situation)) for name, situation in COMMANDS.items()}


if __name__ == "__main__":
    NOTICES.write_text(renewed(NOTICES.read_text(encoding="utf-8"), letters()), encoding="utf-8")
    DECIDING.write_text(renewed(DECIDING.read_text(encoding="utf-8"), commands()), encoding="utf-8")
