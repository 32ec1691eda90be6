"""The verbs on records, the same for every face: cases, and what is done for one."""

from __future__ import annotations

from collections.abc import Sequence

from gatekeeper.ledger import cases, disposals, due, preserves
from gatekeeper.ledger.cases import CaseWanted, RecordsCase
from gatekeeper.ledger.disposals import ShownDisposal
from gatekeeper.ledger.due import ClassDue
from gatekeeper.ledger.preserves import PreserveWanted, ShownPreserve
from gatekeeper.ledger.search_service import SearchService
from gatekeeper.lib.failpoints import step
from gatekeeper.lib.immutable import immutable
from gatekeeper.store.cases import CaseView
from gatekeeper.store.disposals import DisposalView, digest_of
from gatekeeper.store.preserves import PreserveView

_PART = 500  # items of a list that are written together, so that mail does not wait


@immutable
class RecordsService(SearchService):
    """The verbs of records officers and auditors, on one store, under one ruleset."""

    # -- cases ---------------------------------------------------------------------------------------------------

    def open_case(self, wanted: CaseWanted, by: str, reason: str = "") -> RecordsCase:
        """Open a case, for which records are searched, preserved and exported. Raises NotAllowed, LedgerError."""
        return self._do(cases.open_case, wanted, by=by, reason=reason)

    def close_case(self, number: int, by: str, reason: str = "") -> RecordsCase:
        """Close a case. Raises NotFound, NotAllowed, LedgerError."""
        return self._do(cases.close_case, number, by=by, reason=reason)

    def add_to_case(self, number: int, mailings: Sequence[int], by: str, reason: str = "") -> RecordsCase:
        """Let mailings belong to an open case. Raises NotFound, NotAllowed, LedgerError."""
        return self._do(cases.add_to_case, number, mailings, by=by, reason=reason)

    def cases(self, by: str, state: str | None = None) -> list[CaseView]:
        """Return the cases, newest first; of one state, where named. Raises NotAllowed."""
        return self._see(cases.list_cases, state, by=by)

    def show_case(self, number: int, by: str) -> RecordsCase:
        """Return a case with its timeline. Raises NotFound, NotAllowed."""
        return self._see(cases.show_case, number, by=by)

    # -- the schedule --------------------------------------------------------------------------------------------

    def due(self, by: str, name: str | None = None) -> list[ClassDue]:
        """Return what is due of each class of records, or of one. Raises NotAllowed, LedgerError."""
        return self._see(due.due, name, by=by)

    # -- legal holds ---------------------------------------------------------------------------------------------

    def preserve(self, wanted: PreserveWanted, by: str, reason: str) -> ShownPreserve:
        """Place a hold, which is in force when this returns. Raises NotFound, NotAllowed, LedgerError."""
        number = self._do(preserves.place, wanted, by=by, reason=reason)
        return self._see(preserves.shown, number, by=by)

    def preserves(self, by: str, state: str | None = None) -> list[PreserveView]:
        """Return the holds, newest first; of one state, where named. Raises NotAllowed."""
        return self._see(preserves.list_preserves, state, by=by)

    def show_preserve(self, number: int, by: str) -> ShownPreserve:
        """Return a hold with its timeline and what it keeps now. Raises NotFound, NotAllowed."""
        return self._see(preserves.show, number, by=by)

    def notify_custodians(self, number: int, by: str) -> ShownPreserve:
        """Tell the custodians of a hold who have not acknowledged it. Raises NotFound, NotAllowed, LedgerError."""
        self._do(preserves.notify, number, by=by)
        return self._see(preserves.shown, number, by=by)

    def acknowledge_preserve(self, number: int, by: str, custodian: str = "") -> ShownPreserve:
        """Acknowledge a hold, as a custodian, or for one as a records officer. Raises NotFound, NotAllowed."""
        self._do(preserves.acknowledge, number, custodian, by=by)
        return self._see(preserves.acknowledged, number, by=by)

    def release_preserve(self, number: int, by: str, reason: str) -> ShownPreserve:
        """Release a hold; for a lawsuit, sign its release. Raises NotFound, NotAllowed, LedgerError."""
        self._do(preserves.release, number, by=by, reason=reason)
        return self._see(preserves.shown, number, by=by)

    # -- disposal ------------------------------------------------------------------------------------------------

    def propose_disposal(self, name: str, by: str, reason: str = "") -> ShownDisposal:
        """Propose to destroy what of a class is due now; its list is frozen. Raises NotAllowed, LedgerError."""
        wanted, found = self._see(disposals.find_due, name, by=by)
        number = self._do(disposals.begin, wanted, by=by)
        for first in range(0, len(found), _PART):
            self._do(disposals.add_items, number, first, found[first : first + _PART], by=by)
            step("disposal-listed")
        self._do(disposals.propose, number, digest_of(found), by=by, reason=reason)
        return self._see(disposals.shown, number, by=by)

    def sign_disposal(self, number: int, by: str, reason: str = "", digest: str | None = None) -> ShownDisposal:
        """Sign a disposal that somebody else has proposed: then it is destroyed. Raises NotFound, NotAllowed."""
        listed = self._see(disposals.check_may_sign, number, digest, by=by)
        self._do(disposals.sign, number, listed, by=by, reason=reason)
        return self._see(disposals.shown, number, by=by)

    def withdraw_disposal(self, number: int, by: str, reason: str = "") -> ShownDisposal:
        """Withdraw a disposal that nobody has signed. Raises NotFound, NotAllowed, LedgerError."""
        self._do(disposals.withdraw, number, by=by, reason=reason)
        return self._see(disposals.shown, number, by=by)

    def disposals(self, by: str, state: str | None = None) -> list[DisposalView]:
        """Return the disposals, newest first; of one state, where named. Raises NotAllowed."""
        return self._see(disposals.list_disposals, state, by=by)

    def show_disposal(self, number: int, by: str) -> ShownDisposal:
        """Return a disposal with its items and its timeline. Raises NotFound, NotAllowed."""
        return self._see(disposals.show, number, by=by)
