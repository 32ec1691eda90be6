"""Puts the processes of a gate together."""
