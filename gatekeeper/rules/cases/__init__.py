"""Read case files: examples with which a ruleset is tested."""
