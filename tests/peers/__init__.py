"""Real peers that tests talk to: a sink, a Postfix, a running gate."""
