"""Tests of gatekeeper.wire."""
