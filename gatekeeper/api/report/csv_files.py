"""A report as CSV files, a table each (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from gatekeeper.api.report.tables import Document, ReportTable, tables_of

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet takes for the begin of a formula


def csv_files(document: Document) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the octets of each file."""
    for table in tables_of(document):
        yield f"{table.name}.csv", csv_of(table)


def csv_of(table: ReportTable) -> bytes:
    """Return a table as CSV in UTF-8, its columns in the first line."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    last = -1 if table.has_change else None  # a spreadsheet can subtract
    for row in (table.columns, *table.rows):
        writer.writerow(map(safe_cell, row[:last]))
    return text.getvalue().encode("utf-8", "backslashreplace")


def safe_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
