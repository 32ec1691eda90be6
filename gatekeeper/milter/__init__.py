"""The milter protocol without I/O: packets, and a session that is fed octets and yields what to do."""
