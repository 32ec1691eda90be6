"""A suspension in JSON, as every face shows it."""

from __future__ import annotations

from typing import Any

from gatekeeper.lib.moments import utc_text
from gatekeeper.store.suspensions import SuspensionView


def suspension_document(suspension: SuspensionView) -> dict[str, Any]:
    """A suspension in JSON."""
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
