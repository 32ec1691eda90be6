"""Tests of gatekeeper.background."""
