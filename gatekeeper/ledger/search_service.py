"""The verbs that search records and hand them over, the same for every face."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from gatekeeper.archive.texts import catch_up
from gatekeeper.ledger import cases, exporting, searching
from gatekeeper.ledger.exporting import EventView, ExportPlan, ExportView, LocatedLine
from gatekeeper.ledger.looking_service import LookingService
from gatekeeper.ledger.mailing_cases import MailingCopy
from gatekeeper.ledger.searching import Found, SearchWanted
from gatekeeper.lib.immutable import immutable
from gatekeeper.store import audit_verify, record_export, record_search, suspensions
from gatekeeper.store.suspensions import SuspensionView


@immutable
class SearchService(LookingService):
    """The verbs of records officers and auditors that search, and of records officers that export."""

    def search(self, case: int, wanted: SearchWanted, by: str, limit: int = 100, *, save: bool = False) -> Found:
        """Return what a search of records finds, which the case's timeline and the chain of acts note first (D2, D4).

        Args: `limit` of what is listed; `save` keeps it under a number. Raises NotFound, NotAllowed, LedgerError.
        """
        self._see(cases.check_sees_records, by=by)
        catch_up(self.store)
        found = self._see(searching.search, self.store, case, wanted, None if save else limit, by=by)
        number = self._do(lambda ctx: searching.note(ctx, found, save=save), by=by)
        return replace(found, number=number, hits=found.hits[:limit])

    # -- handing over ------------------------------------------------------------------------------------------------

    def wanted_of_search(self, number: int, by: str) -> SearchWanted:
        """Return what a saved search looked for; raises NotFound."""
        return self._see(exporting.wanted_of_search, number, by=by)

    def wanted_of_case(self, number: int, by: str) -> SearchWanted:
        """Return the search for the mailings that were added to a case. Raises NotFound, NotAllowed, LedgerError."""
        self._see(cases.check_sees_records, by=by)
        return self._see(exporting.wanted_of_case, number, by=by)

    def begin_export(self, case: int, wanted: SearchWanted, asked: Mapping[str, Any], by: str) -> ExportView:
        """Begin an export for a case, which its timeline and the chain of acts note first. Raises as `search`.

        Args: `asked` is how it is noted.
        """
        searching.read(self.store, wanted)
        return self._do(exporting.begin, case, asked, by=by)

    def export_plan(self, number: int, wanted: SearchWanted, by: str) -> ExportPlan:
        """Return what belongs to an export. Raises NotFound, NotAllowed, LedgerError."""
        self._see(cases.check_sees_records, by=by)
        catch_up(self.store)
        return self._see(exporting.plan, self.store, number, wanted, by=by)

    def export_copy(self, number: int, digests: frozenset[str] | None, by: str) -> MailingCopy:
        """Return a mailing of an export with its messages, or those of these digests."""
        return self._see(exporting.copy, number, digests, by=by)

    def stream(self, body: bytes) -> Iterator[bytes]:
        """Yield the octets of a stored message as they came in, chunk by chunk."""
        return record_export.stream_body(self.store.database, body)

    def suspension(self, number: int) -> SuspensionView:
        """Return a suspension of an export."""
        found = self.store.writer.read(partial(suspensions.find_suspension, number=number, now=self.clock()))
        assert found is not None
        return found

    def audit_lines(self, plan: ExportPlan) -> list[LocatedLine]:
        """Return the recorded decisions and acts about what is handed over, with their places in their chains."""
        return self.store.writer.read(lambda connection: list(exporting.audit_lines(connection, plan)))

    def rulesets_of(self, lines: Iterable[bytes]) -> dict[str, str]:
        """Return the texts of the rulesets by which these lines decided, by digest."""
        return self.store.writer.read(partial(exporting.rulesets, lines=lines))

    def unsearched_of(self, digests: Collection[bytes]) -> dict[str, list[tuple[str, str]]]:
        """Return what of these messages no search finds, and why, by the digest of the message in hex."""
        return self.store.writer.read(partial(record_search.unsearched_of, digests=digests))

    def control_numbers(self, export: ExportView, things: Iterable[str], by: str) -> dict[str, int]:
        """Return the control numbers of things in an export's case; those that have none get one."""
        return self._do(exporting.control_numbers, export, things, by=by)

    def custody(self, plan: ExportPlan, by: str) -> list[tuple[str, EventView]]:
        """Return who did what with what is handed over, oldest first."""
        return self._see(exporting.custody, plan, by=by)

    def heads(self) -> list[tuple[int, int, str]]:
        """Return where each chain stands: its id, how many records, its head."""
        return self.store.writer.read(audit_verify.heads)

    def signing_key(self, new: bytes) -> bytes:
        """Return the key that exports of this database are signed with; `new` from now on where there is none."""
        return exporting.signing_key(self.store, new)

    def finish_export(self, export: ExportView, made: Mapping[str, Any], by: str) -> None:
        """Note that an export is whole, and its digests."""
        self._do(exporting.finish, export, made, by=by)

    def receive_export(self, number: int, to: str, at: str, by: str, reason: str = "") -> ExportView:
        """Note to whom an export was handed over. Raises NotFound, NotAllowed, LedgerError."""
        return self._do(exporting.receive, number, to, at, by=by, reason=reason)

    def note_timestamp(self, number: int, digest: str, by: str) -> ExportView:
        """Note the digest of a timestamp of an export. Raises NotFound, NotAllowed, LedgerError."""
        return self._do(exporting.note_timestamp, number, digest, by=by)

    def find_export(self, number: int, by: str) -> ExportView:
        """Return an export. Raises NotFound, NotAllowed."""
        self._see(cases.check_sees_records, by=by)
        return self._see(exporting.find, number, by=by)
