"""Records of the organisation: what is searched of them, how they are handed over, and how they are destroyed.

Read first: `words.py` and `query.py` (what a search looks for), `texts.py` (what is searched), `text_duty.py`.
"""
