"""Gatekeeper between real Postfixes, in the set-ups of docs/postfix.md."""
