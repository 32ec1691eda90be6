"""Whom a transaction reaches: recipients against a snapshot of the directory, lists counted as their members."""
