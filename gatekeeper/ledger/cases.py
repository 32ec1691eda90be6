"""The verbs on cases (D2): whoever searches, preserves or exports records does it for an open one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound, VerbContext, holds, named
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.marks import marked_line
from gatekeeper.lifecycle import CaseState
from gatekeeper.store import cases as stored_cases
from gatekeeper.store import views
from gatekeeper.store.cases import CaseView, NewCase
from gatekeeper.store.preserved import await_removals
from gatekeeper.store.views import EventView, MailingView

SEES_RECORDS = ("records", "auditor")
KINDS = ("request", "litigation", "audit", "investigation")
_MOST_TITLE = 200  # characters of the title, and of the number elsewhere


@immutable
class RecordsCase:
    """A case with its timeline."""

    case: CaseView
    events: Sequence[EventView] = ()
    items: Sequence[str] = ()  # mailings that belong to it


@immutable
class CaseWanted:
    """A case as somebody asks for it."""

    title: str
    kind: str
    outside: str = ""  # its number elsewhere
    due: date | None = None


def open_case(ctx: VerbContext, wanted: CaseWanted) -> RecordsCase:
    """Open a case, as a records officer. Raises NotAllowed, LedgerError."""
    check_is_records(ctx, "open a case")
    title, outside = (marked_line(text, _MOST_TITLE) for text in (wanted.title, wanted.outside))
    if not title:
        raise LedgerError("a case needs a title, such as 'Smith v. State'")
    if wanted.kind not in KINDS:
        raise LedgerError(f"kind {wanted.kind!r}: expected one of {', '.join(KINDS)}")
    due = wanted.due.isoformat() if wanted.due else None
    number = stored_cases.open_case(ctx.connection, NewCase(title, wanted.kind, outside, due), ctx.act)
    return _shown(ctx, find(ctx, number))


def close_case(ctx: VerbContext, number: int) -> RecordsCase:
    """Close a case, as a records officer. Raises NotFound, NotAllowed, LedgerError."""
    check_is_records(ctx, "close a case")
    case = find(ctx, number, lock=True)
    with named(case.id):
        stored_cases.close_case(ctx.connection, case, ctx.act)
    return _shown(ctx, find(ctx, number))


def add_to_case(ctx: VerbContext, number: int, mailing_numbers: Sequence[int]) -> RecordsCase:
    """Let mailings belong to an open case: nothing of them is destroyed while it is open.

    Raises NotFound, NotAllowed, LedgerError.
    """
    check_is_records(ctx, "add to a case")
    case = find_open(ctx, number)
    found = [_mailing(ctx, each) for each in mailing_numbers]
    await_removals(ctx.connection)
    added = [mailing.id for mailing in found if stored_cases.add_item(ctx.connection, case, mailing.key, ctx.act)]
    if added:
        text = ", ".join(filter(None, (", ".join(added), ctx.act.reason)))
        stored_cases.note(ctx.connection, case.key, "added to case", replace(ctx.act, reason=text))
    return _shown(ctx, case)


def _mailing(ctx: VerbContext, number: int) -> MailingView:
    found = views.find_mailing(ctx.connection, number)
    if found is None:
        raise NotFound(f"M-{number}: no such mailing; `gatekeeper mailing list` shows what there is")
    return found


def list_cases(ctx: VerbContext, state: str | None) -> list[CaseView]:
    """Return the cases, newest first, as a records officer or an auditor; of one state, where named."""
    check_sees_records(ctx)
    return stored_cases.list_cases(ctx.connection, state)


def show_case(ctx: VerbContext, number: int) -> RecordsCase:
    """Return a case with its timeline, as a records officer or an auditor. Raises NotFound, NotAllowed."""
    check_sees_records(ctx)
    return _shown(ctx, find(ctx, number))


def _shown(ctx: VerbContext, case: CaseView) -> RecordsCase:
    events = views.events_of(ctx.connection, case=case.key)
    return RecordsCase(case, events, stored_cases.items_of(ctx.connection, case))


# -- for the other verbs on records ------------------------------------------------------------------------------


def find(ctx: VerbContext, number: int, *, lock: bool = False) -> CaseView:
    """Return the case of a number; raises NotFound. Args: `lock` keeps others from closing it meanwhile."""
    found = stored_cases.find_case(ctx.connection, number, lock=lock)
    if found is None:
        raise NotFound(f"C-{number}: no such case; `gatekeeper audit case list` shows what there is")
    return found


def find_open(ctx: VerbContext, number: int) -> CaseView:
    """Return the case of a number that records are used for. Raises NotFound, or LedgerError where it is closed."""
    case = find(ctx, number)
    if case.state is not CaseState.OPEN:
        raise LedgerError(f"{case.id}: it is closed; records are used for an open case")
    return case


def check_is_records(ctx: VerbContext, what: str) -> None:
    """Raise NotAllowed for somebody who is no records officer. Args: `what` they are about to do."""
    _check_holds(ctx, what, "records")


def check_sees_records(ctx: VerbContext, what: str = "look at cases", *more: str) -> None:
    """Raise NotAllowed for somebody who is neither a records officer nor an auditor. Args: `more` roles that may."""
    _check_holds(ctx, what, *dict.fromkeys((*SEES_RECORDS, *more)))


def _check_holds(ctx: VerbContext, what: str, *roles: str) -> None:
    if holds(ctx.ruleset, ctx.act.by, *roles):
        return
    allowed = dict.fromkeys(each for role in roles for each in ctx.ruleset.people_with(role))
    names = ", ".join(allowed) or f"nobody: name somebody with the role {roles[0]} under people in rules.yaml"
    raise NotAllowed(f"{ctx.act.by} may not {what}; who may: {names}")
