"""What people do: ask in advance, decide, take back, suspend, look. The same verbs for every face.

Start with `service.py`.
"""
