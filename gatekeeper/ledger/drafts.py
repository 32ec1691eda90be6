"""Makes the draft of a request of what a requester wrote, and says what the rules make of it (M2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from hashlib import sha256

from gatekeeper.address import is_valid, normalise
from gatekeeper.directory.domains import Domains
from gatekeeper.ledger.context import LedgerError, VerbContext
from gatekeeper.lib.immutable import immutable
from gatekeeper.message import read_facts, read_likeness, subject_key
from gatekeeper.policy.planned_rules import rules_for
from gatekeeper.rules import Ruleset
from gatekeeper.store import batches
from gatekeeper.store.requests import Assessment, Content, Draft


@immutable
class Wanted:
    """What a requester asks for, as written; None keeps the value of a request that is submitted again."""

    agency: str | None = None
    senders: tuple[str, ...] | None = None
    subject: str | None = None
    purpose: str | None = None
    audiences: tuple[str, ...] | None = None
    users: int | None = None
    planned: date | None = None
    needed_by: date | None = None
    exception: bool | None = None
    content: bytes | None = None  # a message, lines ending in CRLF


def draft_of(ctx: VerbContext, wanted: Wanted, before: Draft | None) -> Draft:
    """Return a complete and valid draft; raises LedgerError with the first thing that is wrong."""
    subject = before.subject if wanted.subject is None and before else " ".join((wanted.subject or "").split())
    draft = Draft(
        agency=wanted.agency or (before.agency if before else ""),
        senders=tuple(_sender(ctx, each) for each in wanted.senders or (before.senders if before else ())),
        subject=subject,
        subject_key=subject_key(subject),
        purpose=" ".join((wanted.purpose or (before.purpose if before else "")).split()),
        audiences=tuple(_audience(ctx, each) for each in wanted.audiences or (before.audiences if before else ())),
        users=wanted.users if wanted.users is not None else before.users if before else 0,
        planned=wanted.planned or (before.planned if before else None),
        needed_by=wanted.needed_by or (before.needed_by if before else None),
        exception=wanted.exception if wanted.exception is not None else bool(before and before.exception),
        content=before.content if before else None,
    )
    _check_whole(ctx, draft)
    if wanted.content is not None:
        draft = replace(draft, content=_content(ctx, wanted.content))
    return draft


def _check_whole(ctx: VerbContext, draft: Draft) -> None:
    if draft.agency not in ctx.ruleset.agencies:
        known = ", ".join(ctx.ruleset.agencies) or "none"
        raise LedgerError(f"agency {draft.agency!r}: expected the id of an agency of rules.yaml: {known}")
    if not draft.senders:
        raise LedgerError("a request needs a sender: who is going to send it")
    if draft.users < 1:
        raise LedgerError("a request needs the number of users that it is to reach at most: 1 or more")
    if not draft.exception and not draft.subject:
        raise LedgerError("a request needs the subject line of the mailing")
    if not draft.exception and draft.planned is None:
        raise LedgerError("a request needs the day on which it is planned to be sent")
    if draft.planned and draft.planned < ctx.today:
        raise LedgerError(f"planned for {draft.planned}, which has passed: expected {ctx.today} or later")
    if draft.needed_by and draft.planned and draft.needed_by < draft.planned:
        raise LedgerError(f"needed by {draft.needed_by}, before it is planned: expected {draft.planned} or later")


def _sender(ctx: VerbContext, text: str) -> str:
    if text in ctx.ruleset.agencies or text.startswith("group:"):
        return text
    if not is_valid(text):
        raise LedgerError(f"sender {text!r}: expected an address, the id of an agency, or group:NAME")
    return normalise(text)


def _audience(ctx: VerbContext, text: str) -> str:
    if text in ctx.ruleset.agencies:
        return text
    if not is_valid(text):
        known = ", ".join(ctx.ruleset.agencies)
        raise LedgerError(f"audience {text!r}: expected the address of a list, or the id of an agency: {known}")
    return normalise(text)


def _content(ctx: VerbContext, content: bytes) -> Content:
    """Store the message that the request is bound to, so that those who decide can read it."""
    body = sha256(content).digest()
    batches.store_whole(ctx.connection, body, content, ctx.now)
    return Content(read_facts(content).content_digest, read_likeness(content), body)


# -- what the rules make of it -----------------------------------------------------------------------------------


def assess(ctx: VerbContext, draft: Draft) -> Assessment:
    """Return which rules the request answers, and whether it comes late; raises LedgerError where that is refused."""
    notice = ctx.ruleset.requests.notice
    earliest = ctx.calendar.earliest(ctx.moment, notice.working_days, notice.time) if notice else None
    late = earliest is not None and draft.planned is not None and draft.planned < earliest
    if late and ctx.ruleset.requests.late == "refuse":
        raise LedgerError(f"it comes too late: the earliest day that can be planned now is {earliest}")
    return Assessment(rules_for(ctx.ruleset, draft, draft.users, ctx.moment), late, earliest)


def doubts_about(ruleset: Ruleset, draft: Draft) -> Iterator[str]:
    """Yield a warning for each sender from outside, and for each list that rules.yaml does not name."""
    domains = Domains({name: each.domains for name, each in ruleset.agencies.items()}, ruleset.domains, ruleset.outside)
    for sender in draft.senders:
        if "@" in sender and not domains.place(sender.rpartition("@")[2])[0]:
            yield f"sender {sender} is below no domain of the rules: the gate takes mail only from inside"
    for audience in draft.audiences:
        if "@" in audience and audience not in ruleset.lists:
            known = ", ".join(ruleset.lists) or "none"
            yield f"audience {audience}: rules.yaml names no such list, the directory may; it names {known}"
