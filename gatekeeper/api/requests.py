"""The JSON of requests, as the CLI, the HTTP API and the console show it."""

from __future__ import annotations

from typing import Any

from gatekeeper.api.timeline import agreements_document, timeline_document
from gatekeeper.ledger.service import RequestCase
from gatekeeper.lib.moments import utc_text
from gatekeeper.store.requests import RequestView


def request_document(request: RequestView) -> dict[str, Any]:
    """Return a request as a JSON object, as listings show it."""
    return {
        "id": request.id,
        "state": request.state.value,
        "version": request.version,
        "requester": request.requester,
        **request.draft.as_row(),
        "late": request.late,
        "earliest": request.earliest and request.earliest.isoformat(),
        "rules": list(request.rules),
        "permits": list(request.permits),
        "appealed": request.appealed,
        "final": request.final,
        "reason": request.reason,
        "decided_by": request.decided_by,
        "submitted": utc_text(request.submitted_at),
        "changed": utc_text(request.changed_at),
    }


def request_case_document(case: RequestCase) -> dict[str, Any]:
    """Return a request as a JSON object with who must agree, approvals, permit and timeline."""
    document = {
        **request_document(case.request),
        "needs": list(case.needs),
        **agreements_document(case.agreements, case.missing),
        "permit": case.permit or next((permit.id for permit in reversed(case.permits)), None),
        "timeline": timeline_document(case.events),
    }
    if case.stopped is not None:
        document |= {"sent": case.stopped.sent, "stopped": case.stopped.stopped}
    return document
