"""The tests of Gatekeeper."""
