"""The table of campaigns in docs/mailings.md: `python -m tests.promises.campaigns.table` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from tests.promises.campaigns import CAMPAIGNS, Reach

PAGE = Path(__file__).parents[3] / "docs" / "mailings.md"
_BEGIN, _END = "<!-- campaigns: made by python -m tests.promises.campaigns.table -->\n", "<!-- end of campaigns -->\n"
_WORDS = {Reach.LIMIT: "at most the limit", Reach.ALL: "everybody"}


def table() -> str:
    """A row for each campaign, or for two that differ only in what else the message has."""
    rows = {each.row: f"| {each.row} | {_WORDS[each.reach]} | {each.why} |\n" for each in CAMPAIGNS.values()}
    head = "| what differs from message to message | it reaches | what tells that it is one, or why nothing does |\n"
    return f"{head}| --- | --- | --- |\n{''.join(rows.values())}"


def renewed(page: str) -> str:
    """The page with the table made anew."""
    pattern = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.DOTALL)
    assert pattern.search(page), "the page has lost the marks around its table"
    return pattern.sub(lambda _: f"{_BEGIN}\n{table()}\n{_END}", page)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
