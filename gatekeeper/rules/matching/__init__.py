"""Compiles the conditions of rules, and finds those that a message may meet."""
