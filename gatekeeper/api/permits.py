"""The JSON of permits and suspensions, as the CLI, the HTTP API and the console show it."""

from __future__ import annotations

from typing import Any

from gatekeeper.api.timeline import timeline_document
from gatekeeper.ledger.service import PermitCase
from gatekeeper.lib.moments import utc_text
from gatekeeper.store.permit_views import PermitView
from gatekeeper.store.suspensions import SuspensionView


def permit_document(permit: PermitView) -> dict[str, Any]:
    """Return a permit as a JSON object."""
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
    """Return a permit as a JSON object with its timeline; after narrow or revoke also what was sent and stopped."""
    document = {**permit_document(case.permit), "timeline": timeline_document(case.events)}
    if case.stopped is not None:
        document |= {"sent": case.stopped.sent, "stopped": case.stopped.stopped}
    return document


def suspension_document(suspension: SuspensionView) -> dict[str, Any]:
    """Return a suspension as a JSON object."""
    return {
        "id": suspension.id,
        "state": suspension.state.value,
        "kind": suspension.kind,
        "name": suspension.name,
        "reason": suspension.reason,
        "until": utc_text(suspension.until),
        "by": suspension.given_by,
        "given": utc_text(suspension.given_at),
    }
