"""The letterhead of notices: in whose name the gate writes, where its links lead, and how it says times and reach."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from hashlib import sha256

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Reason
from gatekeeper.notices import BUILT_IN, AgencyShare, MailingSummary, NoticeTemplates, Organisation
from gatekeeper.rules import Ruleset
from gatekeeper.store.batch_views import BatchView
from gatekeeper.store.views import MailingView


@immutable
class Letterhead:
    """In whose name the gate writes, and where its links lead."""

    ruleset: Ruleset
    hostname: str
    public_url: str = ""
    texts: NoticeTemplates = BUILT_IN

    @property
    def organisation(self) -> Organisation:
        return Organisation(self.ruleset.title, self.ruleset.contact, self.hostname, self.texts)

    def link(self, id: str) -> str:
        """Return the address of a mailing (M-17), request (R-4), permit (P-9) or report (RP-3); "" without
        --public-url.
        """
        folder = {"R": "requests", "P": "permits", "RP": "reports"}.get(id.partition("-")[0], "mailings")
        return f"{self.public_url.rstrip('/')}/{folder}/{id}" if self.public_url else ""

    def named(self, id: str) -> str:
        """Return the name of an agency; what is no id of one, such as an address, as it is."""
        agency = self.ruleset.agencies.get(id)
        return agency.name if agency else id

    def shares(self, agencies: Mapping[str, int]) -> dict[str, AgencyShare]:
        """Return the users by agency, with the names of the agencies."""
        return {agency: AgencyShare(self.named(agency), users) for agency, users in agencies.items()}

    def summary(
        self, mailing: MailingView, reasons: tuple[Reason, ...], batch: BatchView | None = None
    ) -> MailingSummary:
        """Return what a notice says about the mailing, and why. Args: `batch` that it answers, to whose owner it
        goes.
        """
        counts, shares = mailing.counts, self.shares(mailing.counts.agencies)
        return MailingSummary(
            mailing.id,
            batch.owner if batch else mailing.sender,
            mailing.subject,
            counts.users,
            counts.external,
            shares,
            reasons,
            batch.message_id if batch else None,
            self.link(mailing.id),
        )


def said(moment: datetime, letterhead: Letterhead) -> str:
    """Return a moment by the organisation's clock: `Wednesday 2 December 2026, 15:00 MST`."""
    local = moment.astimezone(letterhead.ruleset.timezone)
    return f"{said_day(local)}, {local:%H:%M %Z}"


def said_day(day: date) -> str:
    """Return a day: `Wednesday 2 December 2026`."""
    return f"{day:%A} {day.day} {day:%B %Y}"


def once_name(name: str, number: str, address: str) -> str:
    """Return the name of a notice to one person; short for any address."""
    return f"{name}:{number}:{reader_name(address)}"


def reader_name(address: str) -> str:
    """Return a short name of a reader, by which letters to them are found."""
    return sha256(address.encode()).hexdigest()[:16]
