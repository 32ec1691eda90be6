"""Tests of gatekeeper.service."""
