"""The verbs on legal holds (D2, C7): what is in the scope of one in force is destroyed by nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from gatekeeper.address import is_valid, normalise
from gatekeeper.ledger import cases
from gatekeeper.ledger.cases import SEES_RECORDS, check_is_records, check_sees_records
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound, VerbContext, holds, named, require_reason
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.marks import marked_line
from gatekeeper.lifecycle import PreserveState
from gatekeeper.outbox import to_custodians
from gatekeeper.store import preserves as stored_preserves
from gatekeeper.store import views
from gatekeeper.store.preserved import Counted, count_kept
from gatekeeper.store.preserves import PreserveView, Scope
from gatekeeper.store.views import EventView

LITIGATION = "litigation"  # cases of this kind need two signatures for a release
_MOST_WORDS = 200  # characters of words of a subject
_MOST_LISTED = 1_000  # holds, for people
_MOST_NAMED = 1_000  # custodians, audiences and the like of one hold


@immutable
class ShownPreserve:
    """A hold with its timeline, and what it keeps now; a custodian sees of it what they were told."""

    hold: PreserveView
    events: Sequence[EventView] = ()
    kept: Counted | None = None  # None for a custodian


@immutable
class PreserveWanted:
    """A hold as somebody asks for it."""

    case: int
    custodians: tuple[str, ...] = ()
    agencies: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    mailings: tuple[int, ...] = ()
    since: date | None = None
    until: date | None = None
    silent: bool = False


def place(ctx: VerbContext, wanted: PreserveWanted) -> int:
    """Place a hold, as a records officer; return its number. Raises NotFound, NotAllowed, LedgerError."""
    check_is_records(ctx, "place a hold")
    case = cases.find_open(ctx, wanted.case)
    require_reason(ctx, "a hold needs a reason: whoever is told of it reads it")
    scope = _scope(ctx, wanted)
    details = {"case": case.id, "silent": wanted.silent}
    number = stored_preserves.place(ctx.connection, case, scope, wanted.silent, replace(ctx.act, details=details))
    if not wanted.silent:
        _tell(ctx, find(ctx, number))
    return number


def _scope(ctx: VerbContext, wanted: PreserveWanted) -> Scope:
    since = ctx.start_of(wanted.since) if wanted.since else None
    until = ctx.end_of(wanted.until) if wanted.until else None
    if since is not None and until is not None and until < since:
        raise LedgerError(f"until {wanted.until} is before since {wanted.since}: expected a later day")
    scope = Scope(
        tuple(_custodians(wanted.custodians)),
        tuple(_agencies(ctx, wanted.agencies)),
        tuple(_audiences(ctx, wanted.audiences)),
        tuple(filter(None, (marked_line(each, _MOST_WORDS) for each in wanted.subjects))),
        tuple(_mailings(ctx, wanted.mailings)),
        since,
        until,
    )
    if scope.names_nothing:
        raise LedgerError("a hold needs a scope: custodians, agencies, audiences, words of a subject, or mailings")
    parts = (scope.custodians, scope.agencies, scope.audiences, scope.subjects, scope.mailings)
    if max(map(len, parts)) > _MOST_NAMED:
        raise LedgerError(f"a hold names at most {_MOST_NAMED} of a kind: expected several holds")
    return scope


def _custodians(addresses: Iterable[str]) -> Iterable[str]:
    for each in addresses:
        if not is_valid(each):
            raise LedgerError(f"custodian {each!r}: expected an address")
        yield normalise(each)


def _agencies(ctx: VerbContext, names: Iterable[str]) -> Iterable[str]:
    for each in names:
        if each not in ctx.ruleset.agencies:
            known = ", ".join(ctx.ruleset.agencies) or "none"
            raise LedgerError(f"agency {each!r}: expected the id of an agency of rules.yaml: {known}")
        yield each


def _audiences(ctx: VerbContext, names: Iterable[str]) -> Iterable[str]:
    for each in names:
        if each in ctx.ruleset.agencies:
            yield each
        elif is_valid(each):
            yield normalise(each)
        else:
            raise LedgerError(f"audience {each!r}: expected the id of an agency, or the address of a list")


def _mailings(ctx: VerbContext, numbers: Iterable[int]) -> Iterable[int]:
    for each in numbers:
        if views.find_mailing(ctx.connection, each) is None:
            raise NotFound(f"M-{each}: no such mailing; `gatekeeper mailing list` shows what there is")
        yield each


# -- custodians --------------------------------------------------------------------------------------------------


def notify(ctx: VerbContext, number: int) -> None:
    """Tell the custodians who have not acknowledged a hold. Raises NotFound, NotAllowed, LedgerError."""
    check_is_records(ctx, "tell custodians")
    hold = _in_force(ctx, number)
    if hold.silent:
        raise LedgerError(f"{hold.id}: it is silent: nobody is told of it")
    _tell(ctx, hold)


def _tell(ctx: VerbContext, hold: PreserveView) -> None:
    waiting = [one.address for one in hold.custodians if one.acknowledged_at is None]
    if not waiting:
        return
    to_custodians.tell(ctx.connection, ctx.letterhead, hold, waiting, ctx.now)
    stored_preserves.told(ctx.connection, hold, waiting, ctx.now)
    act = replace(ctx.act, reason=", ".join(waiting), details={})
    stored_preserves.note(ctx.connection, hold.key, "custodians told", act)


def acknowledge(ctx: VerbContext, number: int, custodian: str) -> None:
    """Write that a custodian knows of a hold: they say so themselves, or a records officer for them."""
    hold = _in_force(ctx, number, for_custodian=True)
    address = normalise(custodian) if custodian else ctx.act.by
    known = {one.address for one in hold.custodians}
    if address != ctx.act.by or hold.silent:
        check_is_records(ctx, "acknowledge for somebody else")
    if address not in known:
        raise NotFound(f"H-{number}: {address} is no custodian of such a hold")
    stored_preserves.acknowledge(ctx.connection, hold, address, replace(ctx.act, reason=address))


# -- release -----------------------------------------------------------------------------------------------------


def release(ctx: VerbContext, number: int) -> None:
    """Release a hold, as a records officer; for a lawsuit the first of two signatures, of two people.

    Raises NotFound, NotAllowed, LedgerError.
    """
    hold = _in_force(ctx, number)
    second = ctx.ruleset.records.second
    require_reason(ctx, f"{hold.id}: a release needs a reason: the audit keeps it")
    signs = hold.case_kind == LITIGATION and hold.agreed_by is not None
    if signs and hold.agreed_by != ctx.act.by and not holds(ctx.ruleset, ctx.act.by, second):
        who = ", ".join(ctx.ruleset.people_with(second)) or f"nobody: no one has the role {second}"
        raise NotAllowed(f"{hold.id}: its release waits for the signature of {second}; who may sign: {who}")
    if signs and hold.agreed_by == ctx.act.by:
        raise NotAllowed(f"{hold.id}: {ctx.act.by} has signed its release; another has to, with the role {second}")
    if not signs:
        check_is_records(ctx, "release a hold")
    end = stored_preserves.release if signs or hold.case_kind != LITIGATION else stored_preserves.agree
    with named(hold.id):
        end(ctx.connection, hold, ctx.act)


# -- looking -----------------------------------------------------------------------------------------------------


def list_preserves(ctx: VerbContext, state: str | None) -> list[PreserveView]:
    """Return the holds, newest first, as a records officer or an auditor; of one state, where named."""
    check_sees_records(ctx, "look at holds")
    return stored_preserves.list_preserves(ctx.connection, state, _MOST_LISTED)


def show(ctx: VerbContext, number: int) -> ShownPreserve:
    """Return a hold with its timeline and what it keeps now. Raises NotFound, NotAllowed."""
    hold = stored_preserves.find_preserve(ctx.connection, number)
    if hold is None or not _is_to_sign(ctx, hold):
        check_sees_records(ctx, "look at holds")
    return shown(ctx, number)


def find(ctx: VerbContext, number: int, *, lock: bool = False) -> PreserveView:
    """Return the hold of a number; raises NotFound. Args: `lock` keeps others from releasing it meanwhile."""
    found = stored_preserves.find_preserve(ctx.connection, number, lock=lock)
    if found is None:
        raise NotFound(f"H-{number}: no such hold; `gatekeeper audit preserve list` shows what there is")
    return found


def _in_force(ctx: VerbContext, number: int, *, for_custodian: bool = False) -> PreserveView:
    hold = stored_preserves.find_preserve(ctx.connection, number, lock=True)
    is_theirs = hold is not None and (_is_told(ctx, hold) if for_custodian else _is_to_sign(ctx, hold))
    if not is_theirs:  # who may not know of a hold is refused alike, whether or not there is one
        check_sees_records(ctx, "look at holds")
    hold = find(ctx, number)
    if hold.state is not PreserveState.IN_FORCE:
        raise LedgerError(f"{hold.id}: it is released")
    return hold


def _is_told(ctx: VerbContext, hold: PreserveView) -> bool:
    """Return True where the person of the act is a custodian who may know of a hold."""
    return not hold.silent and any(ctx.act.by == one.address for one in hold.custodians)


def _is_to_sign(ctx: VerbContext, hold: PreserveView) -> bool:
    """Return True where a release waits for the second signature, which the person of the act may give."""
    waits = hold.state is PreserveState.IN_FORCE and hold.agreed_by is not None
    return waits and holds(ctx.ruleset, ctx.act.by, ctx.ruleset.records.second)


def shown(ctx: VerbContext, number: int) -> ShownPreserve:
    """Return a hold for whoever has just acted on it: beside the writer, for what it keeps takes long to count."""
    hold = find(ctx, number)
    events = views.events_of(ctx.connection, preserve=hold.key)
    return ShownPreserve(hold, events, count_kept(ctx.connection, hold.key))


def acknowledged(ctx: VerbContext, number: int) -> ShownPreserve:
    """Return a hold for whoever has acknowledged it: of a custodian's own, what the letter to them says."""
    if holds(ctx.ruleset, ctx.act.by, *SEES_RECORDS):
        return shown(ctx, number)
    hold = find(ctx, number)
    own = tuple(one for one in hold.custodians if one.address == ctx.act.by)
    scope = Scope((ctx.act.by,), subjects=hold.scope.subjects, since=hold.scope.since, until=hold.scope.until)
    return ShownPreserve(replace(hold, scope=scope, custodians=own, agreed_by=None))
