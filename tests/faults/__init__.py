"""A file a failure: real daemons are killed, cut off, starved and blocked, and every promise of DESIGN 1 must hold."""
