"""Tests of gatekeeper.audit."""
