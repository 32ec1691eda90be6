"""The verbs on permits: declare an emergency, grant an exception, narrow, revoke, review, show (M1, M8, S3, S5).

Narrowing and revoking act on everything that has not left: one transaction changes the permit and holds again what was
released under it; then the caller waits until nothing is on its way any more.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from gatekeeper.ledger import context
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound, VerbContext, named, require_reason
from gatekeeper.ledger.seen import check_permit, keep_permits
from gatekeeper.ledger.sight import may_declare
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, RequestState
from gatekeeper.message import subject_key
from gatekeeper.model import Action, Reason, Scope
from gatekeeper.notices import held_notice
from gatekeeper.outbox.to_reviewers import tell_reviewed
from gatekeeper.outbox.to_senders import SenderNotice, by_sender, queue_held_notice
from gatekeeper.policy.approvers import Question, agency_of
from gatekeeper.store import Connection, batch_views, permit_views, views
from gatekeeper.store import permits as stored_permits
from gatekeeper.store import requests as stored_requests
from gatekeeper.store.events import Act
from gatekeeper.store.permit_views import PermitView
from gatekeeper.store.permits import Grant, PermitEffect
from gatekeeper.store.requests import RequestView
from gatekeeper.store.views import EventView

LONGEST_EMERGENCY = 72  # hours: an emergency is short


@immutable
class PermitCase:
    """A permit with its timeline, and what the last act stopped."""

    permit: PermitView
    events: tuple[EventView, ...]
    stopped: PermitEffect | None = None


@immutable
class Exempted:
    """The terms of a standing exception."""

    scope: Scope
    until: date
    rules: tuple[str, ...] = ()  # all that hold, where none is named
    subject: str = ""
    lists: tuple[str, ...] = ()
    max_users: int | None = None


@immutable
class Narrowed:
    """The new limits of a permit. None keeps a limit."""

    max_users: int | None = None
    until: date | None = None
    uses: int | None = None


# -- giving ------------------------------------------------------------------------------------------------------


def declare_emergency(ctx: VerbContext, agency: str, hours: float) -> PermitCase:
    """Let an agency's mail pass for so many hours (M1). Raises NotAllowed, LedgerError."""
    require_reason(ctx, "an emergency needs a reason: it is reviewed afterwards")
    act = ctx.act
    _check_agency(ctx, agency)
    if not 0 < hours <= LONGEST_EMERGENCY:
        raise LedgerError(f"{hours:g} hours: an emergency is short; expected more than 0, at most {LONGEST_EMERGENCY}")
    if not may_declare(ctx.ruleset, act.by, agency):
        raise NotAllowed(f"{act.by} may not declare an emergency of {agency}; a requester of it or an approver may")
    given = Grant(
        kind=stored_permits.EMERGENCY,
        rules=_holding(ctx),
        scope=Scope(agencies=frozenset({agency})),
        since=act.at,
        until=act.at + hours * 3600,
        review=stored_permits.OPEN,
    )
    return _given(ctx, stored_permits.grant(ctx.connection, given, act))


def grant_exception(ctx: VerbContext, wanted: Exempted) -> PermitCase:
    """Let somebody's mail pass until a day (M8, T8). Raises NotAllowed, LedgerError.

    Everyone whom the rules ask must agree: where one approval is not enough, use a request with --exception.
    """
    require_reason(ctx, "an exception needs a reason")
    act = ctx.act
    _check_scope(ctx, wanted.scope)
    rules = _rules(ctx, wanted.rules)
    until = ctx.end_of(wanted.until)
    if until <= act.at:
        raise LedgerError(f"--until {wanted.until} has passed: expected the last day on which it stands")
    agency = min(wanted.scope.agencies, default=None)
    question = Question("this exception", wanted.scope.senders, agency, frozenset(wanted.lists), rules, today=ctx.today)
    context.check_may_decide(ctx.ruleset, question, act.by)
    missing = context.missing(ctx.ruleset, question, {act.by: ctx.today})
    if missing:
        raise NotAllowed(
            f"this exception also needs the yes of {', '.join(missing)}: ask for it by `request submit --exception`"
        )
    given = Grant(
        kind=stored_permits.EXCEPTION,
        rules=rules,
        scope=wanted.scope,
        since=act.at,
        until=until,
        subject=wanted.subject,
        subject_key=subject_key(wanted.subject),
        lists=wanted.lists,
        ceiling=wanted.max_users,
    )
    return _given(ctx, stored_permits.grant(ctx.connection, given, act))


def _given(ctx: VerbContext, id: str) -> PermitCase:
    return show(ctx, int(id[2:]))


def _holding(ctx: VerbContext) -> tuple[str, ...]:
    return tuple(rule.id for rule in ctx.ruleset.rules if rule.action is Action.HOLD)


def _rules(ctx: VerbContext, named_: tuple[str, ...]) -> tuple[str, ...]:
    known = _holding(ctx)
    unknown = [rule for rule in named_ if rule not in known]
    if unknown:
        raise LedgerError(f"rule {unknown[0]!r}: expected a rule that holds: {', '.join(known) or 'there is none'}")
    return named_ or known


def _check_agency(ctx: VerbContext, agency: str) -> None:
    if agency not in ctx.ruleset.agencies:
        known = ", ".join(ctx.ruleset.agencies) or "none"
        raise LedgerError(f"agency {agency!r}: expected the id of an agency of rules.yaml: {known}")


def _check_scope(ctx: VerbContext, scope: Scope) -> None:
    if not scope:
        raise LedgerError("an exception is for somebody: expected a sender, an agency or a group")
    for agency in scope.agencies:
        _check_agency(ctx, agency)


# -- taking back -------------------------------------------------------------------------------------------------


def narrow(ctx: VerbContext, number: int, to: Narrowed, seen: str | None) -> PermitCase:
    """Narrow a permit from now on (S3). Raises NotFound, NotAllowed, LedgerError, Stale."""
    require_reason(ctx, "narrowing needs a reason")
    permit, mailings, act = _locked(ctx, number)
    check_permit(ctx.connection, permit, seen)
    changes = _narrower(ctx, permit, to)
    with named(permit.id):
        stored_permits.change(ctx.connection, permit, "narrow", act, **changes)
    _stop(ctx, permit, mailings, f"was narrowed: {act.reason}")
    if request := _request_of(ctx, permit):
        stored_requests.note(ctx.connection, request.key, "narrowed", act)
    return show(ctx, number)


def revoke(ctx: VerbContext, number: int, seen: str | None) -> PermitCase:
    """Revoke a permit (S5). Raises NotFound, NotAllowed, LedgerError, Stale."""
    require_reason(ctx, "revoking needs a reason: who sends under it reads it")
    permit, mailings, act = _locked(ctx, number)
    check_permit(ctx.connection, permit, seen)
    with named(permit.id):
        take_back(ctx, permit, mailings, act)
    request = _request_of(ctx, permit)
    if request and request.state in (RequestState.APPROVED, RequestState.USED):
        decided = {"reason": act.reason, "decided_by": act.by}
        stored_requests.change(ctx.connection, request, "revoke", act, "revoked", **decided)
    return show(ctx, number)


def _request_of(ctx: VerbContext, permit: PermitView) -> RequestView | None:
    """Return the request that a permit was given for, locked; None where it was given for none."""
    return stored_requests.find_request(ctx.connection, int(permit.request[2:]), lock=True) if permit.request else None


def take_back(ctx: VerbContext, permit: PermitView, mailings: list[int], act: Act) -> None:
    """Revoke a permit that is locked with the mailings that used it; raises LifecycleError."""
    stored_permits.change(ctx.connection, permit, "revoke", act)
    _stop(ctx, permit, mailings, f"was revoked: {act.reason}")


def _stop(ctx: VerbContext, permit: PermitView, mailings: list[int], what: str) -> None:
    """Hold again what was released under a permit and has not left, and tell the senders of it."""
    stored_permits.stop(ctx.connection, permit, mailings, _why(ctx, permit, what), ctx.act)
    for key in mailings:
        mailing = views.view_mailing(ctx.connection, key)
        held = batch_views.batches_of(ctx.connection, key, BatchState.HELD) if mailing.held_at == ctx.now else []
        for own in by_sender(held):
            summary = ctx.letterhead.summary(mailing, mailing.reasons, own[0])
            notice = SenderNotice("held", key, summary, held_notice)
            queue_held_notice(ctx.connection, ctx.letterhead, notice, ctx.moment)


def review(ctx: VerbContext, number: int) -> PermitCase:
    """Close the review of an emergency (M1): an approver who did not declare it. Raises what `revoke` does."""
    require_reason(ctx, "a review needs a reason: what was found")
    permit, act = find(ctx.connection, number), ctx.act
    if permit.review is None:
        raise LedgerError(f"{permit.id}: it is an {permit.kind}; reviews are of emergencies")
    if permit.review == stored_permits.CLOSED:
        raise LedgerError(f"{permit.id}: its review is closed already")
    if act.by == permit.given_by:
        raise NotAllowed(f"{permit.id}: {act.by} declared it; nobody decides their own")
    if not context.holds(ctx.ruleset, act.by, "approver"):
        raise NotAllowed(f"{permit.id}: {act.by} may not review it; an approver may")
    stored_permits.close_review(ctx.connection, permit, act)
    tell_reviewed(ctx.connection, ctx.letterhead, permit, act.by, act.reason, act.at)
    return show(ctx, number)


def _locked(ctx: VerbContext, number: int) -> tuple[PermitView, list[int], Act]:
    permit, act = find(ctx.connection, number), ctx.act
    context.may_revoke(ctx.ruleset, question_of(ctx, permit), act.by)
    mailings = stored_permits.lock_with_mailings(ctx.connection, permit.key)
    return find(ctx.connection, number), mailings, act


def question_of(ctx: VerbContext, permit: PermitView) -> Question:
    """Return a permit as a question about which somebody decides today."""
    agency = _agency_of(ctx, permit.scope)
    lists, agencies = frozenset(permit.lists), frozenset(permit.agencies)
    return Question(permit.id, frozenset(), agency, lists, permit.rules, agencies, ctx.today)


def _agency_of(ctx: VerbContext, scope: Scope) -> str | None:
    """Return the agency whose mail a permit is for; of several, one that the person of the act has a role for."""
    named = (*scope.agencies, *(agency_of(ctx.ruleset, sender) for sender in scope.senders))
    person, found = ctx.ruleset.people.get(ctx.act.by), set(filter(None, named))
    return min(found & set(person.of if person else ()) or found, default=None)


def may_review(ctx: VerbContext, permit: PermitView) -> bool:
    """Return True where the person of the act may close the review of a permit."""
    is_others = ctx.act.by != permit.given_by and context.holds(ctx.ruleset, ctx.act.by, "approver")
    return permit.review == stored_permits.OPEN and is_others


def _narrower(ctx: VerbContext, permit: PermitView, to: Narrowed) -> dict[str, Any]:
    """Return the values to write; raises LedgerError where one would allow more, or nothing is narrowed."""
    changes: dict[str, Any] = {}
    if to.max_users is not None:
        if permit.ceiling is not None and to.max_users > permit.ceiling:
            raise LedgerError(f"{permit.id}: it allows {permit.ceiling} users; narrowing cannot allow more")
        changes["ceiling"] = to.max_users
    if to.until is not None:
        if ctx.end_of(to.until) > permit.until:
            raise LedgerError(f"{permit.id}: it ends {ctx.day_of(permit.until)}; narrowing cannot make it longer")
        changes["until"] = ctx.end_of(to.until)
    if to.uses is not None:
        if permit.uses is not None and to.uses > permit.uses:
            raise LedgerError(f"{permit.id}: it has {permit.uses} uses; narrowing cannot give more")
        if to.uses <= permit.used:
            raise LedgerError(f"{permit.id}: {permit.used} of its uses are used; expected more, or revoke it")
        changes["uses"] = to.uses
    if not changes:
        raise LedgerError(f"{permit.id}: expected what to narrow: --max-users, --until or --uses")
    return changes


def _why(ctx: VerbContext, permit: PermitView, what: str) -> tuple[Reason, ...]:
    """Return why the mailings under the permit are held from now on: each rule that it answered."""
    found = []
    for id in permit.rules:
        rule = ctx.ruleset.rule(id)
        ask = tuple(str(term) for term in rule.ask) if rule else ()
        found.append(Reason(id, Action.HOLD, rule.cite if rule else "", f"{permit.id} {what}", ask))
    return tuple(found)


# -- looking -----------------------------------------------------------------------------------------------------


def show(ctx: VerbContext, number: int) -> PermitCase:
    """Return one permit that was just acted on, and store the state behind its version; raises NotFound."""
    case = look(ctx, number)
    keep_permits(ctx.connection, [case.permit], ctx.now)
    return case


def look(ctx: VerbContext, number: int) -> PermitCase:
    """Return one permit with its timeline; raises NotFound."""
    permit = find(ctx.connection, number)
    return PermitCase(permit, tuple(views.events_of(ctx.connection, permit=permit.key)))


def find(connection: Connection, number: int) -> PermitView:
    """Return the permit of a number; raises NotFound."""
    found = permit_views.find_permit(connection, number)
    if found is None:
        raise NotFound(f"P-{number}: no such permit; `gatekeeper permit list` shows what there is")
    return found
