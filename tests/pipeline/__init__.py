"""Tests of gatekeeper.pipeline."""
