"""Tests of gatekeeper.ops."""
