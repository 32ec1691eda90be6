"""Tests of gatekeeper.directory.loaders."""
