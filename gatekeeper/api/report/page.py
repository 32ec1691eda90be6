"""A report as one HTML page that needs nothing beside it, and from which the PDF is made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from gatekeeper.api.report.charts import BarChart, svg
from gatekeeper.api.report.tables import Document, ReportTable, tables_of

_MOST_SHOWN = 500  # of a cell's characters
_FIGURE = re.compile(r"[+-]?[0-9][0-9,]*(\.[0-9]+)?%?")
_STYLE = """
:root{color-scheme:light;--ink:#1b1f24;--quiet:#57606a;--line:#d5d9de}
body{font:15px/1.45 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:var(--ink);background:#fff}
body{max-width:68rem;margin:1.5rem auto;padding:0 1rem;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.2;margin:0}
h2{font-size:1.15rem;margin:1.6rem 0 .3rem}
p{margin:.3rem 0}
.quiet,.note,figcaption,footer{color:var(--quiet)}
.note,figcaption{font-size:.87rem}
table{border-collapse:collapse;width:100%;margin:.3rem 0}
th,td{text-align:left;vertical-align:top;padding:.28rem .6rem .28rem 0;border-bottom:1px solid var(--line)}
thead th{font-size:.85rem;color:var(--quiet);font-weight:600}
tbody th{font-weight:400;min-width:7.5rem}
td.number,th.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
thead th{overflow-wrap:normal}
thead th.number{white-space:normal}
.charts{display:flex;flex-wrap:wrap;gap:1.5rem;margin:.6rem 0}
.charts figure{margin:0}
svg{max-width:100%;height:auto}
.due{border-left:4px solid #a4133c;padding:.1rem .8rem;margin:.6rem 0}
.due ul{margin:.2rem 0;padding-left:1.2rem}
.wide{overflow-x:auto}
footer{font-size:.82rem;margin:2rem 0 1rem}
@page{size:letter;margin:1.6cm 1.5cm}
@page{@bottom-right{content:counter(page) " / " counter(pages);font:9px sans-serif;color:#57606a}}
@media print{
html{font-size:10px}
body{font-size:9.5px;margin:0;padding:0;max-width:none}
th,td{padding-top:.2rem;padding-bottom:.2rem}
.first svg{height:11rem;width:auto}
.first{break-after:page}
h2{break-after:avoid}
tr,figure{break-inside:avoid}
thead{display:table-header-group}
.wide{overflow:visible}
}
"""


def report_page(document: Document) -> str:
    """Return the page: what a CIO reads first on a page of its own, then each table."""
    first, denied, *others = tables_of(document)
    name = f"{document['title']}: compliance report"
    body = "".join(
        [
            f'<section class="first">{_head(document)}{_due(document)}',
            f"{_table(first)}{_charts(document)}{_table(denied)}</section>",
            *map(_table, others),
            _foot(document),
        ]
    )
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head = f"<head>{meta}<title>{escape(name)}</title><style>{_STYLE}</style></head>"
    return f'<!doctype html>\n<html lang="en">{head}<body><main>{body}</main></body></html>\n'


def _head(document: Document) -> str:
    whose = f"Senders of {document['agency']} only. " if document["agency"] else ""
    period, earlier = _period(document, document), _period(document, document["before"])
    return (
        f"<h1>{escape(document['title'])}: compliance report</h1>"
        f'<p class="quiet">{escape(period)}. {escape(whose)}Compared with {escape(earlier)}.</p>'
    )


def _period(document: Document, part: Document) -> str:
    zone = ZoneInfo(document["timezone"])
    begin, end = (datetime.fromisoformat(part[name]).astimezone(zone) for name in ("since", "until"))
    return f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {end:%Z}"


def _due(document: Document) -> str:
    """Return what somebody has to look at, before all figures; "" where there is nothing."""
    lines = list(_problems(document))
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="due"><p><strong>To be looked at</strong></p><ul>{items}</ul></div>' if lines else ""


def _problems(document: Document) -> Iterator[str]:
    integrity, waiting = document["integrity"], len(document["emergencies_to_review"])
    if not integrity["whole"]:
        yield "The records are not what was written: see the end of this report."
    if integrity["lost"] or integrity["damaged"]:
        yield f"{integrity['lost'] + integrity['damaged']:,} records of the period are not in this report."
    if integrity["recorded_from"] and integrity["recorded_from"] > document["since"]:
        yield f"Records begin on {integrity['recorded_from']}: nothing before that is counted here."
    elif integrity["recorded_from"] and integrity["recorded_from"] > document["before"]["since"]:
        yield f"Records begin on {integrity['recorded_from']}: the period before is not whole."
    if waiting:
        yield (
            "An emergency waits for its review." if waiting == 1 else f"{waiting:,} emergencies wait for their review."
        )
    for change in document["observing"]:
        until = f" until {change['until']}" if change["until"] else ""
        yield f"{change['at']}: mode {change['mode']}{until}, said {change['by']}: {change['reason']}"


def _charts(document: Document) -> str:
    months = document["months"]
    labels = [each["month"] for each in months]
    mailings = BarChart("Mailings a month, and of these held", labels, *_bars(months, "mailings", "held"))
    reached = BarChart("People reached a month", labels, *_bars(months, "people_reached"))
    figures = "".join(
        f"<figure>{svg(each)}<figcaption>{escape(each.title)}</figcaption></figure>" for each in (mailings, reached)
    )
    return f'<div class="charts">{figures}</div>'


def _bars(months: list[dict[str, int]], *names: str) -> tuple[list[int], ...]:
    return tuple([each[name] for each in months] for name in names)


def _table(table: ReportTable) -> str:
    title = f"<h2>{escape(table.title)}</h2>"
    if not table.rows:
        return f"<section>{title}<p>None.</p></section>"
    numbers = [all(map(_is_number, column)) for column in zip(*table.rows, strict=True)]
    named = zip(table.columns, numbers, strict=True)
    head = "".join(f'<th scope="col"{_class(number)}>{escape(name)}</th>' for name, number in named)
    rows = "".join(_row(row, numbers) for row in table.rows)
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<section>{title}<div class="wide">{body}</div>{note}</section>'


def _row(row: tuple[Any, ...], numbers: list[bool]) -> str:
    first, *others = row
    cells = "".join(f"<td{_class(number)}>{_cell(cell)}</td>" for cell, number in zip(others, numbers[1:], strict=True))
    return f'<tr><th scope="row">{_cell(first)}</th>{cells}</tr>'


def _class(number: bool) -> str:
    return ' class="number"' if number else ""


def _is_number(cell: Any) -> bool:
    """Return True for a figure, a change of one, and where there is none."""
    return cell is None or isinstance(cell, int | float) or _FIGURE.fullmatch(cell) is not None


def _cell(cell: Any) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, int | float):
        return f"{cell:,}"
    text = str(cell)
    return escape(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…")


def _foot(document: Document) -> str:
    made = f"Made {document['made']} from the records of the gate; rules in force {document['ruleset'][:12]}."
    return f"<footer><p>{escape(made)}</p></footer>"
