"""The JSON of what is due by the schedule of records."""

from __future__ import annotations

from typing import Any

from gatekeeper.ledger.due import ClassDue
from gatekeeper.lib.moments import utc_text


def due_document(one: ClassDue) -> dict[str, Any]:
    """Return a class of records, and what of it is due, as a JSON object."""
    return {
        "class": one.name,
        "keep": one.rule.keep.text,
        "after": one.rule.after,
        "cite": one.rule.cite or None,
        "dispose": one.rule.dispose,
        "cutoff": utc_text(one.cutoff),
        "due": one.due.number,
        "octets": one.due.octets,
        "oldest": utc_text(one.due.oldest),
    }
