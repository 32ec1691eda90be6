"""The console's rules with their directory: nobody waits for a slow server who can have what was read before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import pytest

pytest.importorskip("starlette")
from gatekeeper.service import console
from gatekeeper.store.rulesets import StoredRuleset

STORED = StoredRuleset("ab", "rules.yaml", "version: 1")


def test_while_one_reads_again_others_have_what_was_before(monkeypatch):
    stored, reading, may_go_on, read = [STORED], Event(), Event(), []

    def slow(found):
        read.append(found.digest)
        if len(read) > 1:
            reading.set()
            assert may_go_on.wait(10)
        return len(read)

    monkeypatch.setattr(console, "stored_rules", lambda store: stored[0])
    monkeypatch.setattr(console, "_policy", slow)
    in_force = console.PolicyInForce(None)
    assert in_force() == 1 == in_force()
    monkeypatch.setattr(console, "_DIRECTORY_SECONDS", -1.0)
    with ThreadPoolExecutor(2) as pool:
        again = pool.submit(in_force)
        assert reading.wait(10)
        assert in_force() == 1  # at once
        stored[0] = replace(STORED, digest="cd")  # other rules are waited for
        other = pool.submit(in_force)
        may_go_on.set()
        assert again.result(10) >= 2 and other.result(10) == 3
    assert read == ["ab", "ab", "cd"]
