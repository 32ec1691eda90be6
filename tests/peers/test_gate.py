"""The running gate that other tests stand on."""

import pytest

from tests.peers.gate import Gate


def test_a_gate_starts_on_its_own_ports_and_ends_on_sigterm():
    with Gate("maildir:mail") as gate:
        assert gate.page("/livez")[0] == 200
        assert gate.metric("gatekeeper_ruleset_reloads_total", result="ok") == 1
        assert gate.terminate() == 0
        home = gate.home
    assert not home.exists()


def test_a_killed_gate_comes_back_on_the_same_ports():
    with Gate("maildir:mail") as gate:
        gate.kill()
        assert not gate.running and gate.page("/livez")[0] == 0
        gate.start()
        assert gate.page("/readyz")[0] == 200


def test_a_gate_that_cannot_start_says_why():
    with pytest.raises(AssertionError, match="serve ended with"), Gate("maildir:mail", rules="version: 1\nrools: []\n"):
        pass
