"""Bar charts as SVG, which say nothing that the table beside them does not."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gatekeeper.lib.immutable import immutable

_HIGH, _WIDE, _GAP, _ROOM = 120, 44, 12, 22  # of the bars, of a bar, between bars, below and above for words
_LEAST_WIDE = 320


@immutable
class BarChart:
    """Bars of one figure a month, and a darker part of each, in the order of time."""

    title: str
    labels: Sequence[str]
    whole: Sequence[int]
    part: Sequence[int] = ()

    @property
    def described(self) -> str:
        """The chart in words, for who does not see it."""
        parts = [f", of these {part:,}" for part in self.part] or [""] * len(self.labels)
        each = (f"{label}: {whole:,}{part}" for label, whole, part in zip(self.labels, self.whole, parts, strict=True))
        return f"{self.title}. {'; '.join(each)}."


def svg(chart: BarChart) -> str:
    """Return the chart as an SVG element with its description."""
    width = max(_LEAST_WIDE, len(chart.labels) * (_WIDE + _GAP) + _GAP)
    most = max((*chart.whole, 1))
    bars = "".join(_bar(chart, place, most) for place in range(len(chart.labels)))
    high = _HIGH + 2 * _ROOM
    base = f'<line x1="0" y1="{_ROOM + _HIGH}" x2="{width}" y2="{_ROOM + _HIGH}" stroke="#57606a"/>'
    words = escape(chart.described)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{words}" viewBox="0 0 {width} {high}" '
        f'width="{width}" height="{high}"><title>{words}</title>{bars}{base}</svg>'
    )


def _bar(chart: BarChart, place: int, most: int) -> str:
    x, whole = _GAP + place * (_WIDE + _GAP), chart.whole[place]
    high = round(_HIGH * whole / most)
    shapes = _rect(x, high, "#b9cfe8")
    if chart.part:
        shapes += _rect(x, round(_HIGH * chart.part[place] / most), "#0a5bad")
    above = _words(x, _ROOM + _HIGH - high - 5, f"{whole:,}") if whole else ""
    return shapes + above + _words(x, 2 * _ROOM + _HIGH - 6, chart.labels[place])


def _rect(x: int, high: int, colour: str) -> str:
    return f'<rect x="{x}" y="{_ROOM + _HIGH - high}" width="{_WIDE}" height="{high}" fill="{colour}"/>'


def _words(x: int, y: int, text: str) -> str:
    middle = x + _WIDE // 2
    face = 'text-anchor="middle" font-family="sans-serif" font-size="11" fill="#1b1f24"'
    return f'<text x="{middle}" y="{y}" {face}>{escape(text)}</text>'
