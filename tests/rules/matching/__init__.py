"""Tests of gatekeeper.rules.matching."""
