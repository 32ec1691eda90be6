"""What `gatekeeper init` writes. rules.yaml is the project's own; in an installed gate it is a copy of it."""
