"""The verbs on permits: declare an emergency, grant an exception, narrow, revoke, review, show (M1, M8, S3, S5).

Narrowing and revoking act on everything that has not left: one transaction changes the permit and holds again what was
released under it; then the caller waits until nothing is on its way any more.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from gatekeeper.ledger import context
from gatekeeper.ledger.context import CaseworkError, Desk, Matter, NotAllowed, NotFound, named, require_reason
from gatekeeper.ledger.seen import check_permit, keep_permits
from gatekeeper.lib.immutable import immutable
from gatekeeper.message import subject_key
from gatekeeper.model import Action, Reason, Scope
from gatekeeper.store import Connection, views
from gatekeeper.store import permits as granted
from gatekeeper.store.events import Act
from gatekeeper.store.permits import Grant, PermitEffect, PermitView
from gatekeeper.store.views import EventView

LONGEST_EMERGENCY = 72  # hours: an emergency is short (DESIGN 6)


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


def declare_emergency(
    connection: Connection, desk: Desk, agency: str, by: str, reason: str, hours: float
) -> PermitCase:
    """Let an agency's mail pass for so many hours (M1). Raises NotAllowed, CaseworkError."""
    require_reason(reason, "an emergency needs a reason: it is reviewed afterwards")
    act = desk.act(by, reason)
    _check_agency(desk, agency)
    if not 0 < hours <= LONGEST_EMERGENCY:
        raise CaseworkError(
            f"{hours:g} hours: an emergency is short; expected more than 0, at most {LONGEST_EMERGENCY}"
        )
    person = desk.ruleset.people.get(act.by)
    asks = person is not None and "requester" in person.roles and (not person.of or agency in person.of)
    if not asks and not context.holds(desk.ruleset, act.by, "approver"):
        raise NotAllowed(f"{act.by} may not declare an emergency of {agency}; a requester of it or an approver may")
    given = Grant(
        kind=granted.EMERGENCY,
        rules=_holding(desk),
        scope=Scope(agencies=frozenset({agency})),
        since=act.at,
        until=act.at + hours * 3600,
        review=granted.OPEN,
    )
    return _given(connection, desk, granted.grant(connection, given, act))


def grant_exception(connection: Connection, desk: Desk, wanted: Exempted, by: str, reason: str) -> PermitCase:
    """Let somebody's mail pass until a day (M8, T8). Raises NotAllowed, CaseworkError.

    Everyone whom the rules ask must agree: where one approval is not enough, use a request with --exception.
    """
    require_reason(reason, "an exception needs a reason")
    act = desk.act(by, reason)
    _check_scope(desk, wanted.scope)
    rules = _rules(desk, wanted.rules)
    until = desk.end_of(wanted.until)
    if until <= act.at:
        raise CaseworkError(f"--until {wanted.until} has passed: expected the last day on which it stands")
    agency = min(wanted.scope.agencies, default=None)
    matter = Matter("this exception", wanted.scope.senders, agency, frozenset(wanted.lists), rules, today=desk.today)
    context.check_may_decide(desk.ruleset, matter, act.by)
    missing = context.missing(desk.ruleset, matter, frozenset({act.by}))
    if missing:
        raise NotAllowed(
            f"this exception also needs the yes of {', '.join(missing)}: ask for it by `request submit --exception`"
        )
    given = Grant(
        kind=granted.EXCEPTION,
        rules=rules,
        scope=wanted.scope,
        since=act.at,
        until=until,
        subject=wanted.subject,
        subject_key=subject_key(wanted.subject),
        lists=wanted.lists,
        ceiling=wanted.max_users,
    )
    return _given(connection, desk, granted.grant(connection, given, act))


def _given(connection: Connection, desk: Desk, id: str) -> PermitCase:
    return show(connection, desk, int(id[2:]))


def _holding(desk: Desk) -> tuple[str, ...]:
    return tuple(rule.id for rule in desk.ruleset.rules if rule.action is Action.HOLD)


def _rules(desk: Desk, named_: tuple[str, ...]) -> tuple[str, ...]:
    known = _holding(desk)
    unknown = [rule for rule in named_ if rule not in known]
    if unknown:
        raise CaseworkError(f"rule {unknown[0]!r}: expected a rule that holds: {', '.join(known) or 'there is none'}")
    return named_ or known


def _check_agency(desk: Desk, agency: str) -> None:
    if agency not in desk.ruleset.agencies:
        known = ", ".join(desk.ruleset.agencies) or "none"
        raise CaseworkError(f"agency {agency!r}: expected the id of an agency of rules.yaml: {known}")


def _check_scope(desk: Desk, scope: Scope) -> None:
    if not scope:
        raise CaseworkError("an exception is for somebody: expected a sender, an agency or a group")
    for agency in scope.agencies:
        _check_agency(desk, agency)


# -- taking back -------------------------------------------------------------------------------------------------


def narrow(
    connection: Connection, desk: Desk, number: int, by: str, reason: str, to: Narrowed, seen: str | None
) -> PermitCase:
    """Narrow a permit from now on (S3). Raises NotFound, NotAllowed, CaseworkError, Stale."""
    require_reason(reason, "narrowing needs a reason")
    permit, mailings, act = _locked(connection, desk, number, by, reason)
    check_permit(connection, permit, seen)
    changes = _narrower(desk, permit, to)
    with named(permit.id):
        granted.change(connection, permit, "narrow", act, **changes)
    granted.stop(connection, permit, mailings, _why(desk, permit, f"was narrowed: {act.reason}"), act)
    return show(connection, desk, number)


def revoke(connection: Connection, desk: Desk, number: int, by: str, reason: str, seen: str | None) -> PermitCase:
    """Revoke a permit (S5). Raises NotFound, NotAllowed, CaseworkError, Stale."""
    require_reason(reason, "revoking needs a reason: who sends under it reads it")
    permit, mailings, act = _locked(connection, desk, number, by, reason)
    check_permit(connection, permit, seen)
    with named(permit.id):
        take_back(connection, desk, permit, mailings, act)
    return show(connection, desk, number)


def take_back(connection: Connection, desk: Desk, permit: PermitView, mailings: list[int], act: Act) -> None:
    """Revoke a permit that is locked with the mailings that used it; raises LifecycleError."""
    granted.change(connection, permit, "revoke", act)
    granted.stop(connection, permit, mailings, _why(desk, permit, f"was revoked: {act.reason}"), act)


def review(connection: Connection, desk: Desk, number: int, by: str, reason: str) -> PermitCase:
    """Close the review of an emergency (M1): an approver who did not declare it. Raises what `revoke` does."""
    require_reason(reason, "a review needs a reason: what was found")
    permit, act = find(connection, number), desk.act(by, reason)
    if permit.review is None:
        raise CaseworkError(f"{permit.id}: it is an {permit.kind}; reviews are of emergencies")
    if permit.review == granted.CLOSED:
        raise CaseworkError(f"{permit.id}: its review is closed already")
    if act.by == permit.given_by:
        raise NotAllowed(f"{permit.id}: {act.by} declared it; nobody decides their own")
    if not context.holds(desk.ruleset, act.by, "approver"):
        raise NotAllowed(f"{permit.id}: {act.by} may not review it; an approver may")
    granted.close_review(connection, permit, act)
    return show(connection, desk, number)


def _locked(connection: Connection, desk: Desk, number: int, by: str, reason: str) -> tuple[PermitView, list[int], Act]:
    permit, act = find(connection, number), desk.act(by, reason)
    agency = min(permit.scope.agencies, default=None)
    lists, agencies = frozenset(permit.lists), frozenset(permit.agencies)
    matter = Matter(permit.id, frozenset(), agency, lists, permit.rules, agencies, desk.today)
    context.may_revoke(desk.ruleset, matter, act.by)
    mailings = granted.lock_with_mailings(connection, permit.key)
    return find(connection, number), mailings, act


def _narrower(desk: Desk, permit: PermitView, to: Narrowed) -> dict[str, Any]:
    """Return the values to write; raises CaseworkError where one would allow more, or nothing is narrowed."""
    changes: dict[str, Any] = {}
    if to.max_users is not None:
        if permit.ceiling is not None and to.max_users > permit.ceiling:
            raise CaseworkError(f"{permit.id}: it allows {permit.ceiling} users; narrowing cannot allow more")
        changes["ceiling"] = to.max_users
    if to.until is not None:
        if desk.end_of(to.until) > permit.until:
            raise CaseworkError(f"{permit.id}: it ends {desk.day_of(permit.until)}; narrowing cannot make it longer")
        changes["until"] = desk.end_of(to.until)
    if to.uses is not None:
        if permit.uses is not None and to.uses > permit.uses:
            raise CaseworkError(f"{permit.id}: it has {permit.uses} uses; narrowing cannot give more")
        if to.uses <= permit.used:
            raise CaseworkError(f"{permit.id}: {permit.used} of its uses are used; expected more, or revoke it")
        changes["uses"] = to.uses
    if not changes:
        raise CaseworkError(f"{permit.id}: expected what to narrow: --max-users, --until or --uses")
    return changes


def _why(desk: Desk, permit: PermitView, what: str) -> tuple[Reason, ...]:
    """Return why the mailings under the permit are held from now on: each rule that it answered."""
    found = []
    for id in permit.rules:
        rule = desk.ruleset.rule(id)
        ask = tuple(str(term) for term in rule.ask) if rule else ()
        found.append(Reason(id, Action.HOLD, rule.cite if rule else "", f"{permit.id} {what}", ask))
    return tuple(found)


# -- looking -----------------------------------------------------------------------------------------------------


def show(connection: Connection, desk: Desk, number: int) -> PermitCase:
    """Return one permit with its timeline; raises NotFound."""
    permit = find(connection, number)
    keep_permits(connection, [permit], desk.now)
    return PermitCase(permit, tuple(views.events_of(connection, permit=permit.key)))


def find(connection: Connection, number: int) -> PermitView:
    """Return the permit of a number; raises NotFound."""
    found = granted.find_permit(connection, number)
    if found is None:
        raise NotFound(f"P-{number}: no such permit; `gatekeeper permit list` shows what there is")
    return found
