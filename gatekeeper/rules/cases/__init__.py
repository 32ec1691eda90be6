"""Case files: examples that a ruleset is tried on."""
