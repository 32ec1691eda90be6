"""Compile the conditions of rules, and find the rules that may match a message."""
