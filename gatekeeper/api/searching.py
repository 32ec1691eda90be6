"""The JSON of a search of records, as the CLI, the HTTP API and the console show it."""

from __future__ import annotations

from typing import Any

from gatekeeper.ledger.searching import Found, Hit, Scope
from gatekeeper.lib.moments import utc_text
from gatekeeper.notices import say_count
from gatekeeper.store.disposals import DisposalView


def found_document(found: Found) -> dict[str, Any]:
    """Return the answer of a search as a JSON object: counts, what was found, and what it does not cover."""
    return {
        "case": found.case.id,
        "search": found.number,
        "found": found.total,
        "counts": found.counts,
        "hits": [hit_document(hit) for hit in found.hits],
        "digest": found.digest,
        "scope": scope_document(found.scope),
    }


def hit_document(hit: Hit) -> dict[str, Any]:
    """Return something found as a JSON object."""
    return {
        "in": hit.place,
        "kind": hit.kind,
        "id": hit.id,
        "at": utc_text(hit.at),
        "state": hit.state,
        "sender": hit.sender or None,
        "subject": hit.subject or None,
        "message": hit.digest or None,
        "batch": hit.batch,
        "batches": hit.batches,
        "recipients": "kept" if hit.kept else "by hash; no list is kept",
    }


def destroyed_document(disposal: DisposalView) -> dict[str, Any]:
    """Return what of a class was destroyed as a JSON object, with the digest of its certificate."""
    return {
        "id": disposal.id,
        "class": disposal.name,
        "before": utc_text(disposal.cutoff),
        "done": utc_text(disposal.done_at),
        "messages" if disposal.is_of_content else "records": disposal.items,
        "certificate": disposal.certificate,
    }


def destroyed_line(disposal: DisposalView) -> str:
    """Return the same as a line."""
    done, before = utc_text(disposal.done_at), utc_text(disposal.cutoff)
    what = f"content of class {disposal.name} from before {before}, {say_count(disposal.items, 'message', 'messages')}"
    if not disposal.is_of_content:
        what = f"class {disposal.name} from before {before}, {say_count(disposal.items, 'record', 'records')}"
    return f"{what}: destroyed {done}, certificate {disposal.id}"


def scope_document(scope: Scope) -> dict[str, Any]:
    """Return what a search covers and what it does not, as a JSON object."""
    return {
        "asked": scope.asked,
        "read_as": scope.read_as or None,
        "not_here": list(scope.not_here),
        "gone": {
            "records": scope.gone,
            "recorded_from": utc_text(scope.recorded_from),
            "destroyed": [destroyed_document(each) for each in scope.destroyed],
        },
        "unsearched_messages": scope.unsearched_messages,
        "unsearched": [
            {"id": each.id, "message": each.digest, "part": each.part, "why": each.why} for each in scope.unsearched
        ],
    }
