"""Reads rules.yaml: checks it, says what is wrong with it, and makes a ruleset of it."""
