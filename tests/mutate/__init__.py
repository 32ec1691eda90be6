"""Changes one place of the program at a time, and asks whether a test sees it: `make mutate`, CONTRIBUTING.md."""
