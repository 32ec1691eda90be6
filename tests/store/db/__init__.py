"""Tests of gatekeeper.store.db."""
