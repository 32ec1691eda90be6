"""Periods of time on the command line (`30d` ago, a day, a moment), and a progress bar for reading one."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo

import click

from gatekeeper.cli.common import USAGE, Failure
from gatekeeper.rules.language.units import parse_duration

since_option = click.option("--since", default="30d", show_default=True, help="from when: 30d ago, a day, a moment")
until_option = click.option("--until", default=None, help="until when: a day (included), a moment; now where left out")


def period(since: str, until: str | None, now: float, zone: tzinfo = UTC) -> tuple[float, float]:
    """Return the begin and end of --since and --until, in seconds since 1970.

    Args: `zone` is the time zone of days and of moments that name none.
    Raises: Failure with EX_USAGE where a text cannot be read, or the period ends before it begins.
    """
    begin = _read_moment(since, now, zone, "--since")
    end = _read_moment(until, now, zone, "--until", last=True) if until else now
    if begin > end:
        raise Failure(f"--since {since} is after --until {until}: expected a time before it", USAGE)
    return begin, end


def _read_moment(text: str, now: float, zone: tzinfo, flag: str, *, last: bool = False) -> float:
    try:
        return now - parse_duration(text).total_seconds()
    except ValueError:
        return _read_day_or_time(text, zone, flag, last)


def _read_day_or_time(text: str, zone: tzinfo, flag: str, last: bool) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        expected = "expected a length of time such as 30d, or a day such as 2026-11-01"
        raise Failure(f"{flag} {text}: {expected}", USAGE) from None
    if last and len(text) == len("2026-11-01"):
        moment += timedelta(days=1)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


@contextmanager
def progress(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error, where that is a terminal.

    Yields: a function to call with the number of steps done since the last call.
    """
    collecting = gc.isenabled()
    gc.disable()  # a million records form no reference cycles; searching them for cycles takes a third of the time
    try:
        hidden = not sys.stderr.isatty()  # else its label would stand there
        with click.progressbar(length=length, label=label, file=sys.stderr, hidden=hidden) as bar:
            yield bar.update
    finally:
        if collecting:
            gc.enable()
