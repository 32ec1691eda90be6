"""A request and a permit as one person sees them: what they see of it, and what they may do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from gatekeeper.ledger import context, permits, requests
from gatekeeper.ledger.context import NotAllowed, NotFound, VerbContext
from gatekeeper.ledger.permits import PermitCase
from gatekeeper.ledger.requests import RequestCase
from gatekeeper.ledger.sight import Involved, Sight, asks_for, check_may_read, involved, sees_all, sight, viewer
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import RequestState, allows
from gatekeeper.outbox.to_requesters import SUBMITTED_ACTS
from gatekeeper.policy.approvers import Approvers, Question
from gatekeeper.policy.matters import last_day, moment_after
from gatekeeper.store import Connection, batches
from gatekeeper.store import requests as stored_requests
from gatekeeper.store.lists import is_seen_permit
from gatekeeper.store.requests import RequestView

_DECIDING = ("approve", "deny", "changes", "ask")
_WAITS = (RequestState.SUBMITTED, RequestState.CHANGES)


@immutable
class VisibleRequest:
    """A request as one person sees it."""

    case: RequestCase
    sight: Sight
    may: frozenset[str]  # approve, deny, changes, ask, withdraw, revise, appeal, revoke
    refusal: str | None  # why they may not decide it; None where they may
    asked: tuple[str, ...]  # everybody who may decide it; () where it waits for nobody
    ends: datetime | None  # when it expires undecided; None where it does not
    reminds: datetime | None
    is_own: bool
    says: str = ""  # what the requester wrote when they last submitted it


@immutable
class VisiblePermit:
    """A permit as one person sees it."""

    case: PermitCase
    may: frozenset[str]  # narrow, revoke, review


def look(ctx: VerbContext, number: int) -> VisibleRequest:
    """Return one request as the person of the act sees it. Raises NotFound where it is not there, or not for them."""
    case = requests.look(ctx, number)
    request, by = case.request, ctx.act.by
    question = requests.question_of(ctx, request, request.rules)
    who = _involved(ctx, case)
    found = sight(ctx.ruleset, question, who, by)
    if found is Sight.NOTHING:
        raise NotFound(f"R-{number}: no such request")
    approvers, waits = Approvers(ctx.ruleset), request.state is RequestState.SUBMITTED
    refusal = approvers.refusal(question, by) if waits else f"{request.id} is {request.state}"
    last = last_day(ctx.ruleset, request) if request.state in _WAITS else None
    since = moment_of(request.submitted_at)
    return VisibleRequest(
        case=case,
        sight=found,
        may=_may(ctx, request, question, refusal),
        refusal=refusal,
        asked=tuple(sorted(approvers.available_deciders(question))) if waits else (),
        ends=ctx.calendar.before(last + timedelta(days=1), 0) if last else None,
        reminds=moment_after(ctx.calendar, since, ctx.ruleset.held.remind) if waits else None,
        is_own=by in who.owners,
        says=next((each.text or "" for each in reversed(case.events) if each.act in SUBMITTED_ACTS), ""),
    )


def _involved(ctx: VerbContext, case: RequestCase) -> Involved:
    request = case.request
    owners = {request.requester, *(each for each in request.draft.senders if "@" in each)}
    waits = request.state in _WAITS
    return involved(ctx, owners, case.events, waits=waits, changed_at=request.changed_at)


def _may(ctx: VerbContext, request: RequestView, question: Question, refusal: str | None) -> frozenset[str]:
    """Return what somebody may do with a request now."""
    by, state = ctx.act.by, request.state
    asking = asks_for(ctx.ruleset, by, request.draft.agency)
    open_to_appeal = not request.final and not request.appealed
    may = {
        **dict.fromkeys(_DECIDING, refusal is None),
        "withdraw": by == request.requester or asking or context.holds(ctx.ruleset, by, "admin"),
        "revise": asking,
        "appeal": asking and open_to_appeal,
        "revoke": _may_revoke(ctx, question),
    }
    return frozenset(act for act, has_right in may.items() if has_right and allows(state, _NAMES.get(act, act)))


_NAMES = {"ask": "approve"}  # acts that the table of states has by another name


def _may_revoke(ctx: VerbContext, question: Question) -> bool:
    try:
        context.may_revoke(ctx.ruleset, question, ctx.act.by)
    except NotAllowed:
        return False
    return True


def content_ahead(connection: Connection, number: int) -> bytes | None:
    """Read the message of a request before a lock is taken; None where it has none, or is not there."""
    request = stored_requests.find_request(connection, number)
    bound = request.draft.content if request else None
    return batches.read_body(connection, bound.body) if bound else None


def read(ctx: VerbContext, number: int, message: bytes | None, case: str) -> bytes | None:
    """Return the message of a request for somebody who reads it, which the timeline notes first (S4, D4).

    Args: `message` was read ahead; `case` for which an admin or an auditor reads it. Raises NotFound, NotAllowed.
    """
    seen = look(ctx, number)
    request = seen.case.request
    check_may_read(request.id, seen.sight, ctx.ruleset, ctx.act.by, case)
    if message is not None:
        act = replace(ctx.act, reason="its message", details={"case": case} if case else {})
        stored_requests.note(ctx.connection, request.key, "read", act)
    return message


def look_at_permit(ctx: VerbContext, number: int) -> VisiblePermit:
    """Return one permit as the person of the act sees it. Raises NotFound where it is not there, or not for them."""
    by = ctx.act.by
    if not sees_all(ctx.ruleset, by) and not is_seen_permit(ctx.connection, number, viewer(ctx.ruleset, by)):
        raise NotFound(f"P-{number}: no such permit")
    case = permits.look(ctx, number)
    permit = case.permit
    may = {
        "narrow": _may_revoke(ctx, permits.question_of(ctx, permit)) and allows(permit.state, "narrow"),
        "revoke": _may_revoke(ctx, permits.question_of(ctx, permit)) and allows(permit.state, "revoke"),
        "review": permits.may_review(ctx, permit),
    }
    return VisiblePermit(case, frozenset(act for act, is_open in may.items() if is_open))
