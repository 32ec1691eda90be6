"""A file a failure: real daemons are killed, cut off, starved and blocked, and every promise must hold."""
