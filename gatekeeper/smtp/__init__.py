"""The SMTP protocol without I/O: commands, parameters, replies, data, envelope, Received."""
