"""Records of the organisation: what is searched of them, and how they are handed over.

Read first: `words.py` and `query.py` (what a search looks for), `texts.py` (what is searched), `text_duty.py`.
"""
