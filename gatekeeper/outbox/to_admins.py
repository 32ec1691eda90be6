"""Writes to admins about mail that was delivered to nobody and whose sender cannot be told."""

from __future__ import annotations

from gatekeeper import notices
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import said
from gatekeeper.notices import MatterNotice, labelled, say_count
from gatekeeper.outbox.letterhead import Letterhead, once_name
from gatekeeper.rules import Ruleset
from gatekeeper.store import Connection, jobs
from gatekeeper.store.events import UNDELIVERED, Event, record
from gatekeeper.store.tallies import NOTHING, tallies_of
from gatekeeper.store.views import view_mailing

_NEXT = (
    "find out why the next mail server does not take it, and tell the sender. With a shell on the gate: gatekeeper "
    "queue lists what failed, with the answers"
)


def readers(ruleset: Ruleset) -> tuple[str, ...]:
    """Return the admins; where rules.yaml names none, the approvers."""
    return ruleset.people_with("admin") or ruleset.people_with("approver")


def tell_undelivered(connection: Connection, letterhead: Letterhead, key: int, why: str, now: float) -> None:
    """Tell every admin, once a mailing, that mail of it was given up and that its sender does not know; the timeline
    says so too.

    Args: `key` of the mailing, `why` its sender does not know, as a clause.
    """
    mailing, tally = view_mailing(connection, key), tallies_of(connection, [key]).get(key, NOTHING)
    lost = tally.refused + tally.expired
    to = say_count(lost, "recipient", "recipients")
    was = f"was given up for {to}" if lost else f"is {said(mailing.state)}"
    notice = MatterNotice(
        kind="undelivered",
        to=readers(letterhead.ruleset),
        number=mailing.id,
        subject=mailing.subject,
        root=f"{mailing.id.lower()}.undelivered.{mailing.started_at:.0f}@{letterhead.hostname}",
        opens=True,
        link=letterhead.link(mailing.id),
        words={
            "what": f"Mail of this mailing {was}, and its sender does not know: {why}.",
            "details": labelled(
                {
                    "Mailing": f"{mailing.id}, {said(mailing.state)}",
                    "From": mailing.sender,
                    "Sent to": say_count(tally.sent, "recipient", "recipients"),
                    "Not sent to": to,
                }
            ),
            "next": f"{_NEXT}.",
        },
        stamp=f"{now:.0f}",
    )
    if _send(connection, letterhead, notice, key, now) or not notice.to:
        record(connection, Event(now, UNDELIVERED, mailing_id=key, text=f"to {to}: {why}" if lost else why))


def _send(connection: Connection, letterhead: Letterhead, notice: MatterNotice, key: int, now: float) -> bool:
    """Queue a copy for each reader; return True where anybody has it for the first time."""
    content = notices.matter_notice(notice, letterhead.organisation, moment_of(now))
    names = {each: once_name("undelivered", notice.number, each) for each in notice.to}
    queued = [
        jobs.enqueue(connection, jobs.NewJob(jobs.NOTICE, now, once, key, recipient=each, content=content))
        for each, once in names.items()
    ]
    return any(queued)
