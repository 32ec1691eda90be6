"""The audit: what every judgment saw and decided, written in a chain, read back, and judged again.

Read first: `record.py` (what a record holds), `recorder.py` (writes records off the message path), `replay.py` and
`comparison.py` (judge past decisions under a draft). The chain of hashes itself is in `store/audit_chain.py`.
"""
