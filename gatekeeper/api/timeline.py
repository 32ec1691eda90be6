"""The JSON of timelines and approvals, which mailings, requests and permits share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gatekeeper.lib.moments import utc_text
from gatekeeper.policy.agreement import Agreements
from gatekeeper.store.views import EventView

EARLIER = "agreed to an earlier state"


def timeline_document(events: Iterable[EventView]) -> list[dict[str, Any]]:
    """Return events as JSON; `details` has what an approver had seen, or by how much a mailing grew."""
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
    """Return as JSON who has agreed, who agreed to an earlier state (which no longer counts), and who must agree."""
    return {
        "agreed": list(agreements.people),
        EARLIER.replace(" ", "_"): list(agreements.earlier),
        "missing": list(missing),
    }
