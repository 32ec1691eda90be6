"""Loaders that publish snapshots of the directory: CSV, alias and list files, as the ruleset names them."""

from .load import load, unchanged
from .problems import DirectoryError

__all__ = ["DirectoryError", "load", "unchanged"]
