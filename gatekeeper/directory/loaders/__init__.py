"""Read the directory from CSV, alias and list files, LDAP and SQL, and make snapshots.

`load.py` makes a snapshot; the other files read one kind of source each, or decide whether a source is believed.
This room does I/O, unlike the rest of `directory/`.
"""
