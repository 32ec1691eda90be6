"""The verbs of `gatekeeper audit` that have groups of their own, a file each."""
