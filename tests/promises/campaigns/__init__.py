"""Campaigns against the limit: each sends one thing to everybody, written a little otherwise each time.

A campaign is a function that makes the nth copy. `CAMPAIGNS` has them all by name, docs/mailings.md a row for each.
"""

from __future__ import annotations

from tests.promises.campaigns import names, subjects, texts, things
from tests.promises.campaigns.campaign import CAMPAIGNS, Campaign, Copy, Material, Reach

__all__ = ["CAMPAIGNS", "Campaign", "Copy", "Material", "Reach", "names", "subjects", "texts", "things"]
