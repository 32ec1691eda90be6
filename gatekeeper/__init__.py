"""Gatekeeper: policy on mass e-mail, enforced inline."""

__version__ = "0.1.0"
