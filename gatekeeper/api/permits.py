"""A permit in JSON, as every face shows it."""

from __future__ import annotations

from typing import Any

from gatekeeper.api.timeline import timeline_document
from gatekeeper.ledger.service import PermitCase
from gatekeeper.lib.moments import utc_text
from gatekeeper.store.permits import PermitView


def permit_document(permit: PermitView) -> dict[str, Any]:
    """A permit in JSON."""
    return {
        "id": permit.id,
        "state": permit.state.value,
        "version": permit.version,
        "kind": permit.kind,
        "request": permit.request,
        "rules": list(permit.rules),
        "senders": sorted(permit.scope.senders),
        "sender_agencies": sorted(permit.scope.agencies),
        "sender_groups": sorted(permit.scope.groups),
        "subject": permit.subject,
        "lists": list(permit.lists),
        "agencies": list(permit.agencies),
        "max_users": permit.ceiling,
        "binding": permit.binding,
        "since": utc_text(permit.since),
        "until": utc_text(permit.until),
        "uses": permit.uses,
        "used": permit.used,
        "mailings": list(permit.mailings),
        "purpose": permit.purpose,
        "reason": permit.reason,
        "review": permit.review,
        "by": permit.given_by,
        "given": utc_text(permit.given_at),
    }


def permit_case_document(case: PermitCase) -> dict[str, Any]:
    """A permit in JSON with its timeline, and what was stopped just now."""
    document = {**permit_document(case.permit), "timeline": timeline_document(case.events)}
    if case.stopped is not None:
        document |= {"sent": case.stopped.sent, "stopped": case.stopped.stopped}
    return document
