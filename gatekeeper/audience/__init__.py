"""Whom a transaction reaches: recipients against a snapshot of the directory, lists counted as their members.

`Directory` is the snapshot, made by the `directory` room and swapped whole; `count` reads it.
"""

from .consent import Consent
from .count import count
from .directory import Directory, Reach
from .entries import Entry

__all__ = ["Consent", "Directory", "Entry", "Reach", "count"]
