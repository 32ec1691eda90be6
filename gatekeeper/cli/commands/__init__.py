"""The commands, a file each; man.py has `completion` too."""
