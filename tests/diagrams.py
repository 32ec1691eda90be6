"""The diagrams of docs/ledger.md, made from the tables of gatekeeper/lifecycle.py.

`python -m tests.diagrams` writes them anew; a test says when they are not what the tables say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from gatekeeper import lifecycle

PAGE = Path(__file__).parents[1] / "docs" / "ledger.md"
TABLES: Mapping[str, tuple[Mapping[str, Mapping[Any, Any]], type[StrEnum], StrEnum]] = {
    "mailing": (lifecycle.MAILING_TABLE, lifecycle.MailingState, lifecycle.MailingState.OPEN),
    "request": (lifecycle.REQUEST_TABLE, lifecycle.RequestState, lifecycle.RequestState.SUBMITTED),
    "permit": (lifecycle.PERMIT_TABLE, lifecycle.PermitState, lifecycle.PermitState.IN_FORCE),
    "suspension": (lifecycle.SUSPENSION_TABLE, lifecycle.SuspensionState, lifecycle.SuspensionState.IN_FORCE),
    "case": (lifecycle.CASE_TABLE, lifecycle.CaseState, lifecycle.CaseState.OPEN),
    "hold": (lifecycle.PRESERVE_TABLE, lifecycle.PreserveState, lifecycle.PreserveState.IN_FORCE),
    "disposal": (lifecycle.DISPOSAL_TABLE, lifecycle.DisposalState, lifecycle.DisposalState.LISTING),
}
_BLOCK = "<!-- {name}: made by python -m tests.diagrams -->\n```mermaid\n{lines}\n```\n"


def diagram(name: str) -> str:
    """One lifecycle as a block of Markdown: what leads from which state to which."""
    table, states, first = TABLES[name]
    lines = ["stateDiagram-v2", *_names(states), f"    [*] --> {_word(first)}", *_arrows(table, states)]
    return _BLOCK.format(name=name, lines="\n".join(lines))


def _names(states: type[StrEnum]) -> Iterator[str]:
    for state in states:
        if _word(state) != state.value:
            yield f'    state "{state.value}" as {_word(state)}'


def _arrows(table: Mapping[str, Mapping[Any, Any]], states: type[StrEnum]) -> Iterator[str]:
    moves: dict[tuple[StrEnum, StrEnum], list[str]] = {(before, after): [] for before in states for after in states}
    for act, follows in table.items():
        for before, after in follows.items():
            moves[before, after].append(act)
    for (before, after), acts in moves.items():
        if acts:
            yield f"    {_word(before)} --> {_word(after)}: {', '.join(acts)}"
    leaving = {before for follows in table.values() for before in follows}
    yield from (f"    {_word(state)} --> [*]" for state in states if state not in leaving)


def _word(state: StrEnum) -> str:
    return state.value.replace(" ", "_")


def renewed(page: str) -> str:
    """The page with its diagrams made anew."""
    for name in TABLES:
        start = re.escape(_BLOCK.format(name=name, lines="").removesuffix("\n```\n"))
        pattern = re.compile(start + r"\n?(?:[^`\n]*\n)*```\n")
        made = diagram(name)
        page, number = pattern.subn(lambda _, made=made: made, page)
        if number != 1:
            raise ValueError(f"docs/ledger.md: expected one diagram of {name}, found {number}")
    return page


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
