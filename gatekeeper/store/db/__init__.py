"""The database itself: engine, writer, statements, schema."""
