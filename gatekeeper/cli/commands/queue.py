"""`gatekeeper queue`: list the delivery queue, and have it tried again at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from gatekeeper.cli.common import DATA_ERROR, Failure, json_option, login_name, print_json, setting_options, settings_of
from gatekeeper.cli.database import open_store
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.table import table
from gatekeeper.lib.moments import utc_text
from gatekeeper.store import Connection, audit_chain, jobs


@click.group(cls=Verbs, invoke_without_command=True)
@setting_options("database", "database_timeout")
@json_option
def queue(as_json: bool, **given: Any) -> None:
    """List releases, delivery reports and notices that wait to be sent, and those that were given up."""
    if click.get_current_context().invoked_subcommand is None:
        _list(as_json, given)


@queue.command()
@click.argument("number", metavar="[ID]", required=False, type=click.IntRange(1, 2**31 - 1))
@setting_options("database", "database_timeout")
@json_option
def retry(number: int | None, as_json: bool, **given: Any) -> None:
    """Have what waits for a further try tried at once: all of it, or the one with this ID."""
    with open_store(settings_of(given)) as store:
        tried = store.call(partial(_retry, now=store.now(), number=number))
    if number is not None and not tried:
        raise Failure(
            f"{number}: expected the id of what waits for a further try, as `gatekeeper queue` has it", DATA_ERROR
        )
    if as_json:
        print_json({"tried": tried})
    else:
        click.echo(f"tried now: {tried}" if tried else "nothing waits for a further try")


def _retry(connection: Connection, now: float, number: int | None) -> int:
    tried = jobs.retry(connection, now, number)
    if tried:
        act = {"at": now, "act": "queue retry", "login": login_name(), "job": number, "jobs": tried}
        audit_chain.note(connection, act)
    return tried


def _list(as_json: bool, given: dict[str, Any]) -> None:
    with open_store(settings_of(given)) as store:
        now = store.now()
        waiting = store.writer.read(jobs.waiting_jobs)
        listed = waiting + store.writer.read(lambda connection: jobs.failed_jobs(connection, now - jobs.FAILED_SECONDS))
    if as_json:
        print_json([_document(job, now) for job in listed])
        return
    for job, line in zip(listed, table(map(_row, listed)), strict=True):
        click.echo(line)
        if job["error"]:
            click.echo(f"        {job['error']}")
    if not waiting:
        click.echo("nothing waits")


def _row(job: dict[str, Any]) -> tuple[object, ...]:
    to = job["recipient"] or f"recipients of {job['mailing']}"
    tries = "failed" if job["state"] == "failed" else f"tries={job['attempts']}"
    return job["id"], job["kind"], utc_text(job["due_at"]), tries, to


def _document(job: dict[str, Any], now: float) -> dict[str, Any]:
    """Return a job as JSON: our keys, and those of `postqueue -j` for tools that read a Postfix queue."""
    ours = ("id", "kind", "state", "recipient", "attempts", "error", "mailing")
    reason = job["error"] or ""
    return {
        **{name: job[name] for name in ours},
        "queued_at": utc_text(job["queued_at"]),
        "due_at": utc_text(job["due_at"]),
        "queue_name": _queue_name(job, now),
        "queue_id": str(job["id"]),
        "arrival_time": int(job["queued_at"]),
        "message_size": job["size"],
        "sender": job["sender"] or "MAILER-DAEMON",  # as Postfix shows the null sender
        "recipients": [{"address": address, "delay_reason": reason} for address in job["recipients"]],
    }


def _queue_name(job: dict[str, Any], now: float) -> str:
    if job["state"] == "failed":
        return "failed"
    return "active" if job["lease_until"] > now else "deferred" if job["attempts"] else "incoming"
