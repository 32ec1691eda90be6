"""Tests of gatekeeper.policy."""
