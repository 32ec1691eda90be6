"""The JSON of legal holds, as the CLI, the HTTP API and the console show it."""

from __future__ import annotations

from typing import Any

from gatekeeper.api.timeline import timeline_document
from gatekeeper.ledger.preserves import ShownPreserve
from gatekeeper.lib.moments import utc_text
from gatekeeper.store.preserves import PreserveView


def preserve_document(hold: PreserveView) -> dict[str, Any]:
    """Return a hold as a JSON object."""
    scope = hold.scope
    return {
        "id": hold.id,
        "state": hold.state.value,
        "case": hold.case,
        "reason": hold.reason,
        "custodians": [
            {
                "address": one.address,
                "told": utc_text(one.told_at),
                "reminded": utc_text(one.reminded_at),
                "acknowledged": utc_text(one.acknowledged_at),
            }
            for one in hold.custodians
        ],
        "agencies": list(scope.agencies),
        "audiences": list(scope.audiences),
        "subjects": list(scope.subjects),
        "mailings": [f"M-{number}" for number in scope.mailings],
        "since": utc_text(scope.since),
        "until": utc_text(scope.until),
        "silent": hold.silent,
        "by": hold.placed_by,
        "placed": utc_text(hold.placed_at),
        "release_signed_by": hold.agreed_by,
        "released_by": hold.released_by,
        "released": utc_text(hold.released_at),
    }


def shown_preserve_document(shown: ShownPreserve) -> dict[str, Any]:
    """Return a hold as a JSON object, with its timeline and what it keeps now, which a custodian is not told."""
    found = shown.kept
    kept = (
        {"mailings": found.mailings, "with_content": found.with_content, "first": list(found.first)} if found else None
    )
    return {**preserve_document(shown.hold), "keeps": kept, "timeline": timeline_document(shown.events)}
