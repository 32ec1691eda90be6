"""Writes to custodians of a legal hold: what is preserved, since when, why, and whom to ask."""

from __future__ import annotations

from collections.abc import Iterable

from gatekeeper import notices
from gatekeeper.lib.moments import moment_of
from gatekeeper.notices import MatterNotice, labelled, plain
from gatekeeper.outbox.letterhead import Letterhead, once_name, said
from gatekeeper.store import Connection, jobs
from gatekeeper.store.preserves import PreserveView

_WHAT = (
    "Mail that you have sent or received is preserved: do not destroy, change or hide what it may be about, in your "
    "mailbox or elsewhere, until you are told that this is over."
)
_NEXT = "confirm to a records officer that you have read this. Whoever runs a shell on the gate: {command}"
_COMMAND = "gatekeeper audit preserve acknowledge {id} --by {address}"


def tell(connection: Connection, letterhead: Letterhead, hold: PreserveView, to: Iterable[str], now: float) -> None:
    """Tell custodians of a hold, or remind them."""
    for reader in to:
        again = any(one.address == reader and one.told_at is not None for one in hold.custodians)
        notice = MatterNotice(
            kind="custodian",
            to=(reader,),
            number=hold.id,
            subject=hold.reason,
            root=f"{hold.id.lower()}.{hold.placed_at:.0f}.{once_name('', '', reader)[2:]}@{letterhead.hostname}",
            opens=not again,
            words={
                "headline": "Reminder: your mail is preserved" if again else "Your mail is preserved",
                "what": _WHAT,
                "details": _details(letterhead, hold),
                "comment": f"The reason: {plain(hold.reason)}",
                "next": _NEXT.format(command=_COMMAND.format(id=hold.id, address=reader)),
            },
            stamp=f"{now:.0f}",
        )
        content = notices.matter_notice(notice, letterhead.organisation, moment_of(now))
        once = once_name(f"custodian:{now:.3f}", hold.id, reader)
        jobs.enqueue(connection, jobs.NewJob(jobs.NOTICE, now, once=once, recipient=reader, content=content))


def _details(letterhead: Letterhead, hold: PreserveView) -> str:
    scope = hold.scope
    return labelled(
        {
            "Hold": f"{hold.id}, for {hold.case}",
            "Placed by": hold.placed_by,
            "On": said(moment_of(hold.placed_at), letterhead),
            "Mail since": said(moment_of(scope.since), letterhead) if scope.since is not None else "",
            "Mail until": said(moment_of(scope.until), letterhead) if scope.until is not None else "",
            "About": ", ".join(scope.subjects),
        }
    )
