"""Tests of gatekeeper.delivery, against a real SMTP server over loopback."""
