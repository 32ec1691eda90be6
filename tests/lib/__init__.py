"""Tests of gatekeeper.lib."""
