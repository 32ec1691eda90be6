"""Read rules.yaml: check the file, report all its problems, and make a ruleset.

`reader.py` does the whole; `document.py` has the grammar as tables. `yaml_nodes.py` reads YAML into nodes with their
places, `value_types.py` and `scalars.py` have the shapes of values, and each `read_*.py` one area of the file.
"""
