"""The results as a drawing: SVG, by hand, since a few bars are no reason for a library."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from bench.measure import Results

_WIDTH, _LEFT, _BAR, _GAP = 760, 190, 16, 26
_COLOURS = {
    "aiosmtpd+aiosmtplib": "#b0603a",
    "floor": "#a0a0a0",
    "gate": "#2f6f9f",
    "gate, gathered": "#7fa8c6",
    "gate, --rcpt trust": "#4f9f8f",
    "Haraka": "#8a8a50",
}


def svg(results: Results) -> str:
    """CPU milliseconds a message of who relays, on a logarithmic scale."""
    bars = [
        (load.name, load.what, name, results.cost(load.name, name))
        for load in results.loads
        for name in results.contenders(load.name)
        if name in _COLOURS
    ]
    costs = [cost for *_, cost in bars if cost > 0]
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    drawn = list(_drawn(bars, low, high))
    height = len(bars) * _BAR + len(results.loads) * _GAP + 40
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif"'
    title = '<text x="8" y="16" font-size="13">CPU milliseconds a message, logarithmic scale: less is better</text>'
    return (
        f'{head} font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n{title}\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _drawn(bars: list[tuple[str, str, str, float]], low: int, high: int) -> Iterator[str]:
    at, load = 24, ""
    room = _WIDTH - _LEFT - 70
    for name, what, contender, cost in bars:
        if name != load:
            load, at = name, at + _GAP
            yield f'<text x="8" y="{at - 5}" font-weight="bold">{escape(f"{name}: {what}")}</text>'
        length = room * max(0.0, math.log10(max(cost, 10.0**low)) - low) / (high - low)
        yield f'<text x="{_LEFT - 6}" y="{at + 11}" text-anchor="end">{escape(contender)}</text>'
        yield f'<rect x="{_LEFT}" y="{at}" width="{length:.1f}" height="{_BAR - 3}" fill="{_COLOURS[contender]}"/>'
        yield f'<text x="{_LEFT + length + 5:.1f}" y="{at + 11}">{cost:.3g}</text>'
        at += _BAR
