"""The verbs on disposals (C7): who proposes what is due to be destroyed, who signs it, who looks at it.

Two people: a records officer proposes, which signs the list; somebody else, with the role that the schedule names,
signs it after them. Nobody signs what they have proposed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gatekeeper.archive.disposing import FINDS, age_of, wanted
from gatekeeper.ledger.cases import SEES_RECORDS, check_is_records, check_sees_records
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound, VerbContext, holds, named
from gatekeeper.lib.immutable import immutable
from gatekeeper.rules.record_classes import APPROVED
from gatekeeper.store import disposals as stored_disposals
from gatekeeper.store import views
from gatekeeper.store.disposals import DisposalView, Found, Item, NewDisposal
from gatekeeper.store.views import EventView

CLASSES = tuple(FINDS)  # of which a list can be made; decisions go by their age

_MOST_LISTED = 1_000  # for people


@immutable
class ShownDisposal:
    """A disposal with what became of its items, and its timeline."""

    disposal: DisposalView
    counts: Mapping[str, int]
    items: Sequence[Item]
    events: Sequence[EventView]


def find_due(ctx: VerbContext, name: str) -> tuple[NewDisposal, list[Found]]:
    """Return what a list would have now, as a records officer. Raises NotAllowed, LedgerError."""
    check_is_records(ctx, "propose a disposal")
    if name not in CLASSES:
        raise LedgerError(f"class {name!r}: expected one of {', '.join(CLASSES)}; decisions go by themselves")
    rule = ctx.ruleset.record_class(name)
    age = age_of(ctx.ruleset, name, ctx.now)
    if age is None:
        raise LedgerError(f"class {name} is kept for ever: nothing of it is ever due")
    if rule.dispose != APPROVED:
        raise LedgerError(
            f"class {name} is destroyed without a signature (dispose: {rule.dispose}): nobody proposes it"
        )
    found = FINDS[name](ctx.connection, age)
    if not found:
        raise LedgerError(f"class {name}: nothing is due that is neither preserved nor proposed already")
    return wanted(ctx.ruleset, name, age), found


def begin(ctx: VerbContext, wanted: NewDisposal) -> int:
    """Begin a list; return its number."""
    return stored_disposals.begin(ctx.connection, wanted, ctx.act)


def add_items(ctx: VerbContext, number: int, first: int, found: Sequence[Found]) -> None:
    """Add a part of a list."""
    stored_disposals.add_items(ctx.connection, number, first, found)


def propose(ctx: VerbContext, number: int, digest: str) -> None:
    """Propose a list that is complete. Raises NotFound, LedgerError."""
    disposal = find(ctx, number, lock=True)
    with named(disposal.id):
        stored_disposals.propose(ctx.connection, disposal, digest, ctx.act)


def check_may_sign(ctx: VerbContext, number: int, digest: str | None) -> str:
    """Return the digest of a list as it is now, for somebody who may sign it: beside the writer, for it may be long.

    Args: `digest` of the list that was looked at, where the signature is for that one only. Raises NotFound,
    NotAllowed, LedgerError.
    """
    disposal, second = find(ctx, number), ctx.ruleset.records.second
    if not holds(ctx.ruleset, ctx.act.by, second):
        who = ", ".join(ctx.ruleset.people_with(second)) or f"nobody: no one under people has the role {second}"
        raise NotAllowed(f"{disposal.id}: {ctx.act.by} may not sign it; who may: {who}")
    if ctx.act.by == disposal.proposed_by:
        raise NotAllowed(f"{disposal.id}: {ctx.act.by} has proposed it; nobody signs what they have proposed")
    if digest is not None and digest != disposal.digest:
        raise LedgerError(f"{disposal.id}: its list is {disposal.digest}, and not the one that was looked at")
    return stored_disposals.listed_digest(ctx.connection, disposal)


def sign(ctx: VerbContext, number: int, listed: str) -> None:
    """Sign a disposal, once `check_may_sign` has let somebody. Raises NotFound, LedgerError.

    Args: `listed` is the digest of its list as that has found it.
    """
    disposal = find(ctx, number, lock=True)
    if listed != disposal.digest:
        raise LedgerError(f"{disposal.id}: its list is not the one that was proposed: see `gatekeeper audit verify`")
    with named(disposal.id):
        stored_disposals.sign(ctx.connection, disposal, ctx.act)


def withdraw(ctx: VerbContext, number: int) -> None:
    """Withdraw a disposal that nobody has signed, as a records officer. Raises NotFound, NotAllowed, LedgerError."""
    check_is_records(ctx, "withdraw a disposal")
    disposal = find(ctx, number, lock=True)
    with named(disposal.id):
        stored_disposals.withdraw(ctx.connection, disposal, ctx.act)


def list_disposals(ctx: VerbContext, state: str | None) -> list[DisposalView]:
    """Return the disposals, newest first; of one state, where named. Raises NotAllowed."""
    _check_sees(ctx)
    return stored_disposals.list_disposals(ctx.connection, state, _MOST_LISTED)


def show(ctx: VerbContext, number: int) -> ShownDisposal:
    """Return a disposal with its items and its timeline. Raises NotFound, NotAllowed."""
    _check_sees(ctx)
    return shown(ctx, number)


def _check_sees(ctx: VerbContext) -> None:
    """Raise NotAllowed for who neither uses records nor signs disposals."""
    check_sees_records(ctx, "look at disposals", ctx.ruleset.records.second)


def find(ctx: VerbContext, number: int, *, lock: bool = False) -> DisposalView:
    """Return the disposal of a number; raises NotFound. Args: `lock` keeps others from changing it meanwhile."""
    found = stored_disposals.find_disposal(ctx.connection, number, lock=lock)
    if found is None:
        raise NotFound(f"D-{number}: no such disposal; `gatekeeper audit dispose list` shows what there is")
    return found


def shown(ctx: VerbContext, number: int) -> ShownDisposal:
    """Return a disposal with its items and its timeline, for whoever has just acted on it."""
    disposal = find(ctx, number)
    counts = stored_disposals.count_items(ctx.connection, disposal)
    items = tuple(stored_disposals.items_of(ctx.connection, disposal))
    if not holds(ctx.ruleset, ctx.act.by, *SEES_RECORDS):
        items = tuple(replace(item, why=item.reason) for item in items)
    return ShownDisposal(disposal, counts, items, views.events_of(ctx.connection, disposal=disposal.key))
