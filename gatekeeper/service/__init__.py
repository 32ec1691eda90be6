"""Puts the processes of a gate together. Start with `gate.py`; with `--workers`, `supervisor.py`."""
