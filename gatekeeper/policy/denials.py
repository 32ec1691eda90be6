"""The categories of denials (policy C4), as the rules in force name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatekeeper.rules import Ruleset


def with_category(ruleset: Ruleset, details: Mapping[str, Any], reason: str) -> str:
    """Return the reason of a denial behind the words of its category: `not official business: no raffles`.

    Args: `details` of the event. Without a category that the rules have, the reason is returned as it is.
    """
    words = ruleset.denials.get(details.get("category", ""), "")
    return f"{words}: {reason}" if words and reason else reason or words
