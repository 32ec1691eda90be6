"""Patterns mean the same on every Python that the gate runs on.

Python before 3.11.5, which is Debian 12's, lets a group that is repeated possessively match what it does not
(gh-106052), unless the group is atomic: of HTML the gate read next to nothing there.
"""

from __future__ import annotations

import json
import subprocess
import sys


def test_what_is_repeated_possessively_is_one_character_or_an_atomic_group():
    done = subprocess.run(
        [sys.executable, "-m", "tests.patterns_compiled"], capture_output=True, text=True, timeout=60, check=True
    )
    number, wrong = json.loads(done.stdout)
    assert number > 300
    assert wrong == [], "write (?>...)*+ in place of (?:...)*+"
