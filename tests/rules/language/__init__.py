"""Tests of gatekeeper.rules.language."""
