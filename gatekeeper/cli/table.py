"""Listings as aligned text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_NUMBER = re.compile(r"[0-9]+( [a-z]+)?")  # 2400, or 2400 users


def table(rows: Iterable[Sequence[object]], titles: Sequence[str] = ()) -> Iterator[str]:
    """Yield a line for each row: cells two blanks apart, columns as wide as their widest cell, numbers right-aligned.

    Args: `rows` have the same number of cells each; None is an empty cell. Empty cells at a row's end leave no blanks.
    `titles` of the columns are a line before the rows, where there are rows.
    """
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    columns = list(zip(*texts, strict=True))
    numbers = [all(_NUMBER.fullmatch(cell) for cell in column) for column in columns]
    texts = [list(titles), *texts] if titles and texts else texts
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = zip(row, widths, numbers, strict=True)
        yield "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells).rstrip()
