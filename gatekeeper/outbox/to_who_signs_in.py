"""Writes the mail by which somebody signs in to the console who has asked for it."""

from __future__ import annotations

from gatekeeper import notices
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.notices import MatterNotice, plain
from gatekeeper.outbox.letterhead import Letterhead, once_name, reader_name, said
from gatekeeper.store import Connection, jobs

_BY_LINK = (
    "If it was you: open this link, and press the button on the page. In the browser in which it was asked for nothing "
    "else is needed; in any other, write the code there that the first one shows. The link works once, until {until}."
)
_BY_ACCOUNT = "If it was you: you have an account there. Sign in with your passkey, or with your password and a code:"


@immutable
class LinkAsked:
    """A link that was asked for: by whom, from where, until when it is good.

    Args: `by_account` where they are to sign in by the account that they have set up.
    """

    address: str
    link: str
    by_account: bool
    client: str
    program: str
    until: float


def send_link(connection: Connection, letterhead: Letterhead, asked: LinkAsked, now: float) -> None:
    """Queue the mail."""
    until, own = said(moment_of(asked.until), letterhead), reader_name(f"{asked.link} {now}")
    notice = MatterNotice(
        kind="signin",
        to=(asked.address,),
        number="",
        subject=None,
        root=f"signin-{own}@{letterhead.hostname}",
        opens=True,
        words={
            "who": plain(asked.address),
            "link": asked.link,
            "how": _BY_ACCOUNT if asked.by_account else _BY_LINK.format(until=until),
            "when": said(moment_of(now), letterhead),
            "place": plain(asked.client) or "the machine of the gate",
            "program": plain(asked.program, 120) or "no program that names itself",
        },
    )
    content = notices.matter_notice(notice, letterhead.organisation, moment_of(now))
    once = once_name(f"signin:{own}", "", asked.address)
    jobs.enqueue(connection, jobs.NewJob(jobs.NOTICE, now, once=once, recipient=asked.address, content=content))
