"""The letters of docs/notices.md and the commands of docs/deciding.md, as a gate writes them.

`python -m tests.rendered` plays each situation on a gate of its own and writes what people get into the pages; a test
says when they are not what the gate writes.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from tests.cli.situations import COMMANDS
from tests.notices.situations import LETTERS, Letter

T = TypeVar("T")
DOCS = Path(__file__).parents[1] / "docs"
NOTICES, DECIDING = DOCS / "notices.md", DOCS / "deciding.md"
_SECTION = "<!-- {name}: made by python -m tests.rendered -->\n\n{text}\n\n<!-- end of {name} -->\n"


@cache
def play(situation: Callable[[Path], Awaitable[T]]) -> T:
    """Play one situation in a folder of its own, once; return what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(situation(Path(folder)))  # type: ignore[arg-type]


def shown(letter: Letter) -> str:
    """A letter as it stands in the page."""
    lines = letter.text.rstrip().splitlines()
    return "\n".join([f"To: {letter.mail['To']}", f"Subject: {letter.mail['Subject']}", "", *lines])


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub writes it."""
    return re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")


def table() -> str:
    """Who is told what in which situation, and where that is tested."""
    head = "| what happens | who reads | what they are told | tests |\n| --- | --- | --- | --- |"
    rows = (
        f"| [{each.happens}](#{anchor(each.heading)}) | {each.reader} | {each.told} | `tests/{each.tested}` |"
        for each in LETTERS
    )
    return "\n".join([head, *rows])


def letters() -> str:
    """Every letter under its heading."""
    return "\n\n".join(f"### {each.heading}\n\n```text\n{shown(play(each.play))}\n```" for each in LETTERS)


def renewed(page: str, sections: dict[str, str]) -> str:
    """The page with each of these sections as it is made."""
    for name, text in sections.items():
        begins, ends = (re.escape(part) for part in _SECTION.format(name=name, text="\0").split("\0"))
        made = _SECTION.format(name=name, text=text)
        page, number = re.subn(f"{begins}.*?{ends}", lambda _, made=made: made, page, flags=re.DOTALL)
        if number != 1:
            raise ValueError(f"expected one section of {name}, found {number}")
    return page


def notices_page() -> str:
    """docs/notices.md as it has to be."""
    return renewed(NOTICES.read_text(encoding="utf-8"), {"table of letters": table(), "letters": letters()})


@cache
def commands() -> str:
    """Every command with what it prints, under the heading of its situation."""
    return "\n\n".join(f"### {each.heading}\n\n```text\n{play(each.play)}\n```" for each in COMMANDS)


def deciding_page() -> str:
    """docs/deciding.md as it has to be."""
    return renewed(DECIDING.read_text(encoding="utf-8"), {"commands": commands()})


if __name__ == "__main__":
    NOTICES.write_text(notices_page(), encoding="utf-8")
    DECIDING.write_text(deciding_page(), encoding="utf-8")
