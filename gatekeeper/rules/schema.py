"""Stub while being written."""
from __future__ import annotations
from typing import Any
def schema() -> dict[str, Any]:
    return {}
