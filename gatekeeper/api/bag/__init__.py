"""An export as a bag: `payload.py` has what is handed over, `tags.py` what explains it, `write.py` writes both."""
