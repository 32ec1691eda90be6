"""What a permit covers, and by what a mailing has outgrown it."""

from __future__ import annotations

from datetime import datetime

from ..model import Evidence, Permit


def uncovered(permit: Permit, evidence: Evidence, rule: str, now: datetime) -> tuple[str, ...]:
    """Say how the mailing differs from what the permit allows for the rule of that id.

    Empty means that the permit covers it. A permit without digests binds by all else; one without agencies is for any
    (DESIGN 6). `now` is an aware datetime; the permit holds to the very end of `until`.
    """
    if rule not in permit.rules:
        return (f"it does not answer rule {rule}",)
    checks = (_content(permit, evidence), _users(permit, evidence), _agencies(permit, evidence), _window(permit, now))
    return tuple(difference for difference in checks if difference)


def _content(permit: Permit, evidence: Evidence) -> str:
    if not permit.digests or evidence.facts.content_digest in permit.digests:
        return ""
    return "the content is not what was approved"


def _users(permit: Permit, evidence: Evidence) -> str:
    if evidence.counts.users <= permit.ceiling:
        return ""
    return f"{evidence.counts.users} users, permit allows {permit.ceiling}"


def _agencies(permit: Permit, evidence: Evidence) -> str:
    beyond = sorted(set(evidence.counts.agencies) - permit.agencies) if permit.agencies else []
    return f"reaches {', '.join(beyond)}, which it does not name" if beyond else ""


def _window(permit: Permit, now: datetime) -> str:
    return "" if now <= permit.until else f"it ended {permit.until:%Y-%m-%d %H:%M %Z}".rstrip()
