"""The verbs on records, the same for every face: cases, and what is done for one."""

from __future__ import annotations

from gatekeeper.ledger import cases, due
from gatekeeper.ledger.cases import CaseWanted, RecordsCase
from gatekeeper.ledger.due import ClassDue
from gatekeeper.ledger.looking_service import LookingService
from gatekeeper.lib.immutable import immutable
from gatekeeper.store.cases import CaseView


@immutable
class RecordsService(LookingService):
    """The verbs of records officers and auditors, on one store, under one ruleset."""

    # -- cases ---------------------------------------------------------------------------------------------------

    def open_case(self, wanted: CaseWanted, by: str, reason: str = "") -> RecordsCase:
        """Open a case, for which records are searched, preserved and exported. Raises NotAllowed, LedgerError."""
        return self._do(cases.open_case, wanted, by=by, reason=reason)

    def close_case(self, number: int, by: str, reason: str = "") -> RecordsCase:
        """Close a case. Raises NotFound, NotAllowed, LedgerError."""
        return self._do(cases.close_case, number, by=by, reason=reason)

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
