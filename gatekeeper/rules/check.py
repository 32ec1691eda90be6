"""Stub while being written."""
from __future__ import annotations
from datetime import date
from pathlib import Path
from .problems import Problem
from .ruleset import Ruleset
def check_ruleset(text: str, name: str, folder: Path) -> tuple[Problem, ...]:
    return ()
def parse_ruleset(text: str, name: str, folder: Path) -> Ruleset:
    return Ruleset(digest="", text=text, folder=folder)
def read_ruleset(path: Path) -> Ruleset:
    return Ruleset(digest="", text="", folder=path.parent)
def date_warnings(ruleset: Ruleset, today: date) -> tuple[str, ...]:
    return ()
