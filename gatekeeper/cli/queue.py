"""`gatekeeper queue`: what waits to be sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from gatekeeper.cli.common import json_option, open_store, print_json, setting_options, settings_of
from gatekeeper.store import jobs


@click.command()
@setting_options("database", "database_timeout")
@json_option
def queue(as_json: bool, **given: Any) -> None:
    """List releases, delivery reports and notices that wait to be sent."""
    with open_store(settings_of(given)) as store:
        waiting = store.call(jobs.waiting_jobs)
    if as_json:
        print_json([{**job, "queued_at": _when(job["queued_at"]), "due_at": _when(job["due_at"])} for job in waiting])
        return
    for job in waiting:
        to = job["recipient"] or f"recipients of {job['mailing']}"
        click.echo(f"{job['id']:>6}  {job['kind']:<8} {_when(job['due_at'])}  tries={job['attempts']}  {to}")
        if job["error"]:
            click.echo(f"        {job['error']}")
    if not waiting:
        click.echo("nothing waits")


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
