"""Decide whether a permit covers a mailing, and say how the mailing differs from the permit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gatekeeper.model import Evidence, Name, Permit, Scope, Source
from gatekeeper.rules.likeness import unlike

_AFTER_ALL_ELSE = {"exception": 1, "approval": 2, "emergency": 3}  # the order in which permits are used


def uncovered(permit: Permit, evidence: Evidence, rule: str, now: datetime) -> tuple[str, ...]:
    """Return how the mailing differs from what the permit allows for a rule, one text a difference; () where covered.

    What a permit does not name does not bind (docs/ledger.md). The permit holds to the very end of `until`.

    Args: `rule` is the id of the rule, `now` an aware datetime.
    """
    if rule not in permit.rules:
        return (f"it does not answer rule {rule}",)
    return tuple(differences(permit, evidence, now))


def differences(permit: Permit, evidence: Evidence, now: datetime) -> Iterator[str]:
    """Yield the texts of `uncovered` that hold for any rule."""
    checks = (_state(permit), _users(permit, evidence), _agencies(permit, evidence), _lists(permit, evidence))
    yield from filter(None, checks)
    yield from filter(None, (_subject(permit, evidence), _content(permit, evidence)))
    yield from filter(None, (_sender(permit, evidence), _day(permit, evidence, now)))


def by_preference(permits: tuple[Permit, ...]) -> list[Permit]:
    """Return the permits in the order in which they are tried: first those that the mailing has used already."""
    return sorted(permits, key=lambda permit: (not permit.claimed, _AFTER_ALL_ELSE.get(permit.kind, 2), permit.id))


def is_for_sender_and_subject(permit: Permit, evidence: Evidence) -> bool:
    """Return True for a permit still in force for this sender and this subject, whatever else differs."""
    return not (_state(permit) or _sender(permit, evidence) or _subject(permit, evidence))


def is_relevant(permit: Permit, evidence: Evidence, now: datetime) -> bool:
    """Return True where the sender should be told how the mailing differs from the permit.

    Such a permit was used by the mailing, is for its subject, differs from the mailing only in subject or content, or
    is in force for its sender and any subject.
    """
    if was_given_for(permit, evidence):
        return True
    if not permit.subject_key:
        return not _sender(permit, evidence) and permit.state == "in force"
    found = set(differences(permit, evidence, now))
    return found <= {_subject(permit, evidence), _content(permit, evidence)}


def was_given_for(permit: Permit, evidence: Evidence) -> bool:
    """Return True for a permit that the mailing has used, or that was given for its subject."""
    return permit.claimed or (permit.subject_key != "" and permit.subject_key == evidence.facts.subject_key)


# -- one difference each -----------------------------------------------------------------------------------------


def _state(permit: Permit) -> str:
    if permit.state == "in force" or (permit.state == "used" and permit.claimed):
        return ""
    if permit.state == "used":
        return "its uses are used up by other mailings"
    return "it was revoked" if permit.state == "revoked" else f"its last day is over: it ended {permit.until:%Y-%m-%d}"


def _users(permit: Permit, evidence: Evidence) -> str:
    if permit.ceiling is None or evidence.counts.users <= permit.ceiling:
        return ""
    return f"{evidence.counts.users} users, permit allows {permit.ceiling}"


def _agencies(permit: Permit, evidence: Evidence) -> str:
    beyond = sorted(set(evidence.counts.agencies) - permit.agencies) if permit.agencies else []
    return f"reaches agencies that it does not name: {', '.join(beyond)}" if beyond else ""


def _lists(permit: Permit, evidence: Evidence) -> str:
    beyond = sorted(evidence.counts.lists - permit.lists) if permit.lists else []
    return f"goes to lists that it does not name: {', '.join(beyond)}" if beyond else ""


def _subject(permit: Permit, evidence: Evidence) -> str:
    if not permit.subject_key or permit.subject_key == evidence.facts.subject_key:
        return ""
    return f"the subject is not {permit.subject!r}"


def _content(permit: Permit, evidence: Evidence) -> str:
    if permit.digests and evidence.facts.content_digest not in permit.digests:
        return "the content is not what was approved"
    if permit.likeness is None:
        return ""
    return unlike(permit.likeness, evidence.likeness)


def _sender(permit: Permit, evidence: Evidence) -> str:
    """Return how the sender differs; "" where the permit covers the sender.

    Nothing vouches for an unauthenticated sender, so there only the approved content itself counts.
    """
    scope, source = permit.scope, evidence.source
    if not scope:
        return ""
    if not _is_within(scope, Name(source.mailbox, source.agency, source.groups)):
        return f"the sender is not {scope}"
    if evidence.facts.content_digest in permit.digests:
        return ""
    doubt = _doubt(scope, source)
    return f"{doubt}, and then only the very content that was approved may pass" if doubt else ""


def _is_within(scope: Scope, name: Name) -> bool:
    return name.address in scope.senders or name.agency in scope.agencies or not scope.groups.isdisjoint(name.groups)


def _doubt(scope: Scope, source: Source) -> str:
    """Return why the names that a message is sent under do not bear its sender out; "" where they do."""
    if not source.authenticated:
        return "the sender is not authenticated"
    if source.beside is None:
        return "neither a login nor MAIL FROM says for certain who sends it"
    beyond = next((name.address for name in source.beside if not _is_within(scope, name)), "")
    return f"it is also sent under the name {beyond}" if beyond else ""


def _day(permit: Permit, evidence: Evidence, now: datetime) -> str:
    if now > permit.until:
        return f"its last day is over: it ended {permit.until:%Y-%m-%d %H:%M %Z}".rstrip()
    if permit.since is None:
        return ""
    since = f"{permit.since:%Y-%m-%d %H:%M %Z}".rstrip()
    if permit.kind == "emergency" and (evidence.arrived or now) < permit.since:
        return f"it was declared after this mail had come, at {since}, and lets only what comes later pass"
    return f"its first day is to come: it begins {since}" if now < permit.since else ""
