"""Find whom a transaction reaches: recipients against a snapshot of the directory, lists counted as their members.

Read `audience.py` first, then `snapshot.py`. `entries.py`, `lists.py` and `domains.py` are the tables of a snapshot,
`routing.py` follows local parts that route. `loaders/` reads the sources and makes snapshots.
"""
