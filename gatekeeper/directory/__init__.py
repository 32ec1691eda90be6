"""Loaders that publish snapshots of the directory: CSV, alias and list files, as the ruleset names them."""

from .load import load, unchanged
from .problems import DirectoryError
from .sources import NEVER_GOOD, Reading, Size, Sources

__all__ = ["NEVER_GOOD", "DirectoryError", "Reading", "Size", "Sources", "load", "unchanged"]
