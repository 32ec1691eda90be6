"""The JSON of cases, as the CLI, the HTTP API and the console show it."""

from __future__ import annotations

from typing import Any

from gatekeeper.api.timeline import timeline_document
from gatekeeper.ledger.cases import RecordsCase
from gatekeeper.lib.moments import utc_text
from gatekeeper.store.cases import CaseView


def case_document(case: CaseView) -> dict[str, Any]:
    """Return a case as a JSON object."""
    return {
        "id": case.id,
        "state": case.state.value,
        "kind": case.kind,
        "title": case.title,
        "number": case.outside or None,
        "due": case.due,
        "by": case.opened_by,
        "opened": utc_text(case.opened_at),
        "closed_by": case.closed_by,
        "closed": None if case.closed_at is None else utc_text(case.closed_at),
    }


def records_case_document(shown: RecordsCase) -> dict[str, Any]:
    """Return a case as a JSON object with its mailings and its timeline."""
    return {**case_document(shown.case), "mailings": list(shown.items), "timeline": timeline_document(shown.events)}
