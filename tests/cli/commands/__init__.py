"""Tests of gatekeeper.cli.commands."""
