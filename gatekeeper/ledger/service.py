"""The verbs of people on the ledger, the same for every face: ask in advance, decide, take back, suspend, show.

`LedgerService` is what faces see. What a verb does, in one transaction, is in the file of the thing that it acts on.
Who may do what is in `context.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from functools import partial
from typing import TypeVar

from gatekeeper.ledger import health, mailing_cases, mailings, permits, reports, requests, suspensions, unfinished
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound
from gatekeeper.ledger.drafts import Wanted
from gatekeeper.ledger.health import Health
from gatekeeper.ledger.lists import ListPage, Sought
from gatekeeper.ledger.looking import VisibleCase
from gatekeeper.ledger.mailing_cases import FilePlace, MailingCase, MailingCopy, Reading
from gatekeeper.ledger.mailings import Decision
from gatekeeper.ledger.permits import Exempted, Narrowed, PermitCase
from gatekeeper.ledger.records_service import RecordsService
from gatekeeper.ledger.request_cases import VisiblePermit, VisibleRequest
from gatekeeper.ledger.requests import RequestCase
from gatekeeper.ledger.seen import Seen, Stale
from gatekeeper.ledger.terms import Terms
from gatekeeper.ledger.unfinished import Foreseen, Unfinished
from gatekeeper.ledger.waiting import Waiting
from gatekeeper.lib.failpoints import step
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.marks import marked_line
from gatekeeper.policy.agreement import TEMPLATE
from gatekeeper.rules.specs import OTHER_DENIAL
from gatekeeper.store import mailings as stored_mailings
from gatekeeper.store import permits as stored_permits
from gatekeeper.store import suspensions as stored_suspensions
from gatekeeper.store.kept_reports import KeptReport
from gatekeeper.store.permit_views import PermitView
from gatekeeper.store.permits import PermitEffect
from gatekeeper.store.suspensions import SuspensionView

__all__ = [
    "Decision",
    "Exempted",
    "FilePlace",
    "Foreseen",
    "LedgerError",
    "LedgerService",
    "ListPage",
    "MailingCase",
    "MailingCopy",
    "Narrowed",
    "NotAllowed",
    "NotFound",
    "PermitCase",
    "Reading",
    "RequestCase",
    "Sought",
    "Stale",
    "Terms",
    "Unfinished",
    "VisibleCase",
    "VisiblePermit",
    "VisibleRequest",
    "Waiting",
    "Wanted",
]
T = TypeVar("T")


_AS_ASKED = Terms()
_MOST_CASE = 200  # characters of the number or reason of a case
_LOOK_SECONDS = 0.1  # between two looks whether anything is still on its way


@immutable
class LedgerService(RecordsService):
    """The verbs, on one store, under one ruleset."""

    def _decide(
        self, verb: Callable[..., T], number: int, *arguments: object, by: str, reason: str = "", template: bool = False
    ) -> T:
        """Carry out a verb on a mailing, after what it compares was read without a lock."""
        self.store.writer.read(partial(mailings.read_ahead, number=number, template=template))
        return self._do(verb, number, *arguments, by=by, reason=reason)

    def _close(self, verb: Callable[..., Decision], *arguments: object, by: str, reason: str) -> Decision:
        """Carry out a verb that closes a mailing, once nothing of it is on its way any more.

        A mailing whose permit was revoked a moment ago may still be on its way.
        """
        while True:
            with suppress(stored_mailings.MailingInFlight):
                return self._do(verb, *arguments, by=by, reason=reason)
            self.pause(_LOOK_SECONDS)

    # -- mailings ------------------------------------------------------------------------------------------------

    def read(self, number: int, by: str, batch: int | None = None, case: str = "") -> Reading:
        """Return the messages of a mailing for somebody who reads them, which the timeline notes first (S4, D4).

        Approvers may, whoever is asked, and its sender; admins and auditors for a `case`. Raises NotFound, NotAllowed.
        """
        return self._decide(mailing_cases.read, number, batch, marked_line(case, _MOST_CASE), by=by)

    def take_file(self, number: int, by: str, place: FilePlace, case: str = "") -> bytes:
        """Return a file of a held message for somebody who takes it, which the timeline notes. Raises as `read`."""
        octets = self.store.writer.read(partial(mailing_cases.file_ahead, number=number, place=place))
        return self._decide(mailing_cases.take_file, number, place, octets, marked_line(case, _MOST_CASE), by=by)

    def export(self, number: int, by: str) -> MailingCopy:
        """Return a mailing for somebody who takes a copy of its messages, which the timeline notes first (S4, D4).

        Approvers, auditors and admins may, and whoever is asked about it. Raises NotFound or NotAllowed.
        """
        return self._decide(mailing_cases.export, number, by=by)

    def approve(
        self,
        number: int,
        by: str,
        reason: str = "",
        terms: Terms = _AS_ASKED,
        seen: str | None = None,
        *,
        only_seen: bool = False,
    ) -> Decision:
        """Approve a held mailing; it is sent once everyone whom its rules ask has approved.

        Args: `seen` is the version that was looked at; with `only_seen` what came after it stays held.

        Raises NotFound, NotAllowed, Stale where something is held that neither what was seen nor the terms cover, or
        LedgerError where it is not held.
        """
        if only_seen and seen is None:
            raise LedgerError(f"M-{number}: only what was seen: expected the version of it that was looked at")
        template = terms.binding == TEMPLATE
        decision = self._decide(
            mailings.approve, number, terms, Seen(seen, only_seen), by=by, reason=reason, template=template
        )
        step("approved")
        return decision

    def deny(
        self, number: int, by: str, reason: str, seen: str | None = None, category: str = OTHER_DENIAL
    ) -> Decision:
        """Deny a held mailing: nothing of what is held is sent, and its sender gets one DSN with the reason (RFC 3464).

        Raises NotFound, NotAllowed, Stale, or LedgerError where it is not held or no reason is given.
        """
        return self._close(mailings.deny, number, Seen(seen), category, by=by, reason=reason)

    def withdraw(self, number: int, by: str, reason: str = "", seen: str | None = None) -> Decision:
        """Withdraw a held mailing, as its sender or an admin; nothing of what is held is sent.

        Raises NotFound, NotAllowed, Stale, or LedgerError where it is not held.
        """
        return self._close(mailings.withdraw, number, Seen(seen), by=by, reason=reason)

    def ask_changes(self, number: int, by: str, reason: str, seen: str | None = None) -> Decision:
        """Send a held mailing back to its sender with what should be changed; nothing of it is sent.

        Raises NotFound, NotAllowed, Stale, or LedgerError where it is not held or no text is given.
        """
        return self._close(mailings.ask_changes, number, Seen(seen), by=by, reason=reason)

    def ask(self, number: int, by: str, whom: str, reason: str = "") -> Decision:
        """Have one more agree to a held mailing: an owner who is asked only when needed (policy T7).

        Raises NotFound, NotAllowed, or LedgerError where it is not held.
        """
        content = self.store.writer.read(partial(mailings.content_for_asking, number=number))
        return self._decide(mailings.ask, number, whom, content, by=by, reason=reason)

    # -- requests ------------------------------------------------------------------------------------------------

    def submit(self, wanted: Wanted, by: str, reason: str = "") -> RequestCase:
        """Ask for a mailing in advance. Raises NotAllowed, or LedgerError where something is wrong or too late."""
        return self._do(requests.submit, wanted, by=by, reason=reason)

    def submit_again(
        self, number: int, wanted: Wanted, by: str, reason: str = "", *, appeal: bool = False
    ) -> RequestCase:
        """Answer changes asked, or appeal a denial, under the request's number. Raises as `submit`, and NotFound."""
        return self._do(partial(requests.submit_again, appeal=appeal), number, wanted, by=by, reason=reason)

    def approve_request(
        self, number: int, by: str, reason: str = "", terms: Terms = _AS_ASKED, seen: str | None = None
    ) -> RequestCase:
        """Approve a request; it has a permit once everyone asked has approved.

        Raises NotFound, NotAllowed, LedgerError, Stale.
        """
        return self._do(requests.approve, number, terms, seen, by=by, reason=reason)

    def deny_request(
        self, number: int, by: str, reason: str, seen: str | None = None, category: str = OTHER_DENIAL
    ) -> RequestCase:
        """Deny a request. Raises NotFound, NotAllowed, LedgerError, Stale."""
        return self._do(requests.deny, number, seen, category, by=by, reason=reason)

    def ask_changes_of_request(self, number: int, by: str, reason: str, seen: str | None = None) -> RequestCase:
        """Send a request back with what should be changed. Raises NotFound, NotAllowed, LedgerError, Stale."""
        return self._do(requests.ask_changes, number, seen, by=by, reason=reason)

    def ask_about_request(self, number: int, by: str, whom: str, reason: str = "") -> RequestCase:
        """Have one more agree to a request (policy T7). Raises NotFound, NotAllowed, LedgerError."""
        content = self.store.writer.read(partial(requests.content_for_asking, number=number))
        return self._do(requests.ask, number, whom, content, by=by, reason=reason)

    def withdraw_request(self, number: int, by: str, reason: str = "", seen: str | None = None) -> RequestCase:
        """Withdraw a request, as its requester. Raises NotFound, NotAllowed, LedgerError, Stale."""
        return self._settled(self._do(requests.withdraw, number, seen, by=by, reason=reason))

    def revoke_request(self, number: int, by: str, reason: str, seen: str | None = None) -> RequestCase:
        """Revoke an approved request; once this has returned nothing more leaves under it. Raises as `revoke`."""
        return self._settled(self._do(requests.revoke, number, seen, by=by, reason=reason))

    def foresee(self, wanted: Wanted, by: str, number: int | None = None) -> Foreseen:
        """Say what would become of a request, and keep nothing. Raises as `submit` and `submit_again`."""
        return self._see(unfinished.foresee, wanted, number, by=by)

    def begun(self, by: str) -> Unfinished | None:
        """Return the request that somebody has begun to write; None where they have begun none."""
        return self._see(unfinished.begun, by=by)

    def keep_begun(self, written: Unfinished, by: str) -> None:
        """Keep what somebody has written of a request so far."""
        self._do(unfinished.keep, written, by=by)

    def drop_begun(self, by: str) -> None:
        """Forget the request that somebody has begun."""
        self._do(unfinished.drop, by=by)

    # -- reports -------------------------------------------------------------------------------------------------

    def kept_report(self, number: int, by: str) -> KeptReport:
        """Return a report that was kept. Raises NotFound, NotAllowed, LedgerError where it is not what was kept."""
        return reports.find_kept(self.store, self.ruleset, number, by)

    # -- permits -------------------------------------------------------------------------------------------------

    def declare_emergency(self, agency: str, by: str, reason: str, hours: float) -> PermitCase:
        """Let an agency's mail pass for some hours. Raises NotAllowed, LedgerError."""
        return self._do(permits.declare_emergency, agency, hours, by=by, reason=reason)

    def grant_exception(self, wanted: Exempted, by: str, reason: str) -> PermitCase:
        """Let somebody's mail pass until a day. Raises NotAllowed, LedgerError."""
        return self._do(permits.grant_exception, wanted, by=by, reason=reason)

    def review_permit(self, number: int, by: str, reason: str) -> PermitCase:
        """Close the review of an emergency. Raises NotFound, NotAllowed, LedgerError."""
        return self._do(permits.review, number, by=by, reason=reason)

    def narrow(self, number: int, by: str, reason: str, to: Narrowed, seen: str | None = None) -> PermitCase:
        """Narrow a permit; once this has returned nothing leaves that is not covered any more. Raises as `revoke`."""
        return self._landed(self._do(permits.narrow, number, to, seen, by=by, reason=reason))

    def revoke(self, number: int, by: str, reason: str, seen: str | None = None) -> PermitCase:
        """Revoke a permit, wait for what is on its way, and return what was sent and what stopped (S5).

        Once this has returned nothing more leaves under it. Raises NotFound, NotAllowed, LedgerError, Stale.
        """
        return self._landed(self._do(permits.revoke, number, seen, by=by, reason=reason))

    def _landed(self, case: PermitCase) -> PermitCase:
        return replace(case, stopped=self._wait(case.permit))

    def _settled(self, case: RequestCase) -> RequestCase:
        stopped = [self._wait(permit) for permit in case.permits]
        total = PermitEffect(sum(each.stopped for each in stopped), sum(each.sent for each in stopped))
        return replace(case, stopped=total if stopped else None)

    def _wait(self, permit: PermitView) -> PermitEffect:
        """Return what was sent and stopped under a permit, once nothing under it is on its way."""
        while True:
            found = self.store.call(lambda connection: stored_permits.effect_of(connection, permit, self.clock()))
            if not found.in_flight:
                return found
            self.pause(_LOOK_SECONDS)

    # -- the gate itself -----------------------------------------------------------------------------------------

    def health(self, by: str) -> Health:
        """Return how the gate is, for an admin. Raises NotAllowed."""
        return self._see(health.health, by=by)

    def change_mode(self, mode: str, by: str, reason: str, seconds: float | None = None) -> None:
        """Let the gate only observe for so many seconds, or enforce again. Raises NotAllowed, LedgerError."""
        self._do(health.change_mode, mode, seconds, by=by, reason=reason)

    # -- suspensions ---------------------------------------------------------------------------------------------

    def suspensions(self, state: str | None = None) -> list[SuspensionView]:
        """Return the suspensions, newest first; of one state, where named."""
        return self.store.writer.read(partial(stored_suspensions.list_suspensions, now=self.clock(), state=state))

    def suspend(self, kind: str, name: str, by: str, reason: str, until: date) -> SuspensionView:
        """Keep a sender, group or agency from sending mass mail until a day. Raises NotAllowed, LedgerError."""
        return self._do(suspensions.suspend, kind, name, until, by=by, reason=reason)

    def end_suspension(self, number: int, by: str, reason: str = "") -> SuspensionView:
        """End a suspension before its time. Raises NotFound, NotAllowed, LedgerError."""
        return self._do(suspensions.end, number, by=by, reason=reason)
