"""The verbs on suspensions: senders, groups and agencies that may not send mass mail for a time (C10)."""

from __future__ import annotations

from datetime import date

from gatekeeper.address import is_valid, normalise
from gatekeeper.ledger import context
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound, VerbContext, named, require_reason
from gatekeeper.rules import Ruleset
from gatekeeper.store import suspensions as stored_suspensions
from gatekeeper.store.suspensions import SuspensionView

KINDS = ("sender", "group", "agency")
_MAY = ("approver", "admin")


def suspend(ctx: VerbContext, kind: str, name: str, until: date) -> SuspensionView:
    """Suspend somebody from mass mail until the end of a day. Raises NotAllowed, LedgerError."""
    require_reason(ctx, "a suspension needs a reason: who is suspended reads it")
    act = ctx.act
    _check_may(ctx, act.by)
    name = _name(ctx, kind, name)
    end = ctx.end_of(until)
    if end <= act.at:
        raise LedgerError(f"--until {until} has passed: expected the last day of the suspension")
    return find(ctx, stored_suspensions.suspend(ctx.connection, kind, name, end, act))


def end(ctx: VerbContext, number: int) -> SuspensionView:
    """End a suspension before its time. Raises NotFound, NotAllowed, LedgerError."""
    act = ctx.act
    _check_may(ctx, act.by)
    suspension = find(ctx, number)
    with named(suspension.id):
        stored_suspensions.end(ctx.connection, suspension, act)
    return find(ctx, number)


def find(ctx: VerbContext, number: int) -> SuspensionView:
    """Return the suspension of a number; raises NotFound."""
    found = stored_suspensions.find_suspension(ctx.connection, number, ctx.now)
    if found is None:
        raise NotFound(f"S-{number}: no such suspension; `gatekeeper suspend list` shows what there is")
    return found


def may_suspend(ruleset: Ruleset, by: str) -> bool:
    """Return True for somebody who may suspend others, and end suspensions."""
    return context.holds(ruleset, by, *_MAY)


def _check_may(ctx: VerbContext, by: str) -> None:
    if not may_suspend(ctx.ruleset, by):
        raise NotAllowed(f"{by} may not suspend anybody, nor end it; an approver or an admin may")


def _name(ctx: VerbContext, kind: str, name: str) -> str:
    if kind == "agency" and name not in ctx.ruleset.agencies:
        known = ", ".join(ctx.ruleset.agencies) or "none"
        raise LedgerError(f"agency {name!r}: expected the id of an agency of rules.yaml: {known}")
    if kind != "sender":
        return name
    if not is_valid(name):
        raise LedgerError(f"sender {name!r}: expected an address")
    return normalise(name)
