"""Writes to those who get the compliance report of each month: where it is, and its SHA-256 (M6)."""

from __future__ import annotations

from gatekeeper import notices
from gatekeeper.lib.moments import moment_of
from gatekeeper.notices import MatterNotice, labelled
from gatekeeper.outbox.letterhead import Letterhead, once_name, said
from gatekeeper.store import Connection, jobs
from gatekeeper.store.kept_reports import KeptReport

_WHAT = (
    "What was sent to many in {month}, what was held, approved, denied and refused, by agency and by rule, and how "
    "long it took. It is kept as it was made, whatever changes afterwards."
)
_NEXT = "nothing, but to look at it. Whoever runs a shell on the gate: gatekeeper report --kept {id} --by {address}"


def once_of(month: str, address: str) -> str:
    """Return the name of the letter about a month (2026-11) to somebody: at most one of it is ever queued."""
    return once_name("report", month, address)


def tell(connection: Connection, letterhead: Letterhead, report: KeptReport, to: str, now: float) -> bool:
    """Tell somebody that the report of a month is there; return False where they have been told."""
    begin = moment_of(report.since).astimezone(letterhead.ruleset.timezone)
    notice = MatterNotice(
        kind="report",
        to=(to,),
        number=report.id,
        subject=f"{begin:%B %Y}",
        root=f"{report.id.lower()}.{report.made_at:.0f}.{once_name('', '', to)[2:]}@{letterhead.hostname}",
        opens=True,
        link=letterhead.link(report.id),
        words={
            "what": _WHAT.format(month=f"{begin:%B %Y}"),
            "details": labelled(
                {"Report": report.id, "Made": said(moment_of(report.made_at), letterhead), "SHA-256": report.digest}
            ),
            "next": _NEXT.format(id=report.id, address=to),
        },
    )
    content = notices.matter_notice(notice, letterhead.organisation, moment_of(now))
    once = once_of(f"{begin:%Y-%m}", to)
    return jobs.enqueue(connection, jobs.NewJob(jobs.NOTICE, now, once=once, recipient=to, content=content))
