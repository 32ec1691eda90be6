"""The engine room of the store: connections, the one writer, compiled statements, the schema, hashes and clocks.

Read first: `engine.py` (how a database is opened), `writer.py` (group commit), `schema.py` (the tables),
`statements.py` (statements for the path of every message).
"""
