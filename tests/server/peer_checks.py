"""Peers in force, of a text, for the listeners of tests."""

from __future__ import annotations

from pathlib import Path

from gatekeeper.directory.loaders.load import load
from gatekeeper.policy.active import Policy
from gatekeeper.policy.peers import PeerChecks
from gatekeeper.rules import parse_peers, parse_ruleset


def checks(text: str) -> PeerChecks:
    ruleset = parse_ruleset("version: 1\nrules: [{id: a, when: {size: {over: 1GB}}, then: hold, say: x}]\n", "", Path())
    policy = Policy(ruleset, load(ruleset), peers=parse_peers(text, "peers.yaml"))
    return PeerChecks(lambda: policy)
