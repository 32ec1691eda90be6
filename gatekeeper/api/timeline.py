"""What happened to a case, and who has agreed to it, in JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gatekeeper.lib.moments import utc_text
from gatekeeper.policy.agreement import Agreements
from gatekeeper.store.views import EventView

EARLIER = "agreed to an earlier state"


def timeline_document(events: Iterable[EventView]) -> list[dict[str, Any]]:
    """What happened, in JSON; of a yes what its giver had seen, of growth by how much."""
    return [
        {
            "at": utc_text(event.at),
            "act": event.act,
            "by": event.by,
            "login": event.login,
            "text": event.text,
            **({"details": dict(event.details)} if event.details else {}),
        }
        for event in events
    ]


def agreements_document(agreements: Agreements, missing: Iterable[str]) -> dict[str, Any]:
    """Who has agreed, whose yes was to an earlier state and counts no longer, and who must agree, in JSON."""
    return {
        "agreed": list(agreements.people),
        EARLIER.replace(" ", "_"): list(agreements.earlier),
        "missing": list(missing),
    }
