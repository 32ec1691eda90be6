"""What is immutable is a value: equal to its like, of the same hash, and in tests nothing can be set in it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest

from gatekeeper.model import Client, Counts, Mailbox, Source


def test_a_value_is_what_it_is_made_of():
    one, other = Mailbox("Jo", "jo@example.org"), Mailbox("Jo", "jo@example.org")
    assert one == other and len({one, other}) == 1
    assert replace(one, name="Joe") == Mailbox("Joe", "jo@example.org") != one
    assert pickle.loads(pickle.dumps(one)) == one


def test_nothing_is_set_in_it():
    for each, name in ((Source("jo@example.org"), "mailbox"), (Client("192.0.2.1"), "address"), (Counts(), "users")):
        with pytest.raises(FrozenInstanceError):
            setattr(each, name, getattr(each, name))


def test_a_running_gate_has_the_same_values():
    """There nothing hinders who sets a field, but type checkers; all else is as here."""
    here = repr(replace(Source("jo@example.org", groups=("staff",)), agency="DOA"))
    program = (
        "import pickle; from dataclasses import replace; from gatekeeper.model import Source\n"
        "one = replace(Source('jo@example.org', groups=('staff',)), agency='DOA')\n"
        "assert one == pickle.loads(pickle.dumps(one)) and len({one, replace(one)}) == 1\n"
        "one.agency = one.agency\n"
        "print(repr(one), end='')"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert there == here
