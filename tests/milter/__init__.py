"""Tests of gatekeeper.milter."""
