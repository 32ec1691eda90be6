"""What a signed-in person sees of one mailing, with all that decides it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from gatekeeper.ledger import mailing_cases
from gatekeeper.ledger.context import NotFound, VerbContext, holds
from gatekeeper.ledger.mailing_cases import MailingCase
from gatekeeper.ledger.mailings import question_of
from gatekeeper.ledger.sight import Involved, Sight, involved_in_mailing, sight, sight_of_others
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import MailingState
from gatekeeper.model import Reason
from gatekeeper.policy.approvers import Approvers, Question
from gatekeeper.policy.matters import moment_after
from gatekeeper.rules.permit_notes import PermitNote, split_notes
from gatekeeper.rules.specs import Span
from gatekeeper.store.batch_views import BatchView
from gatekeeper.store.views import MailingView

__all__ = ["BatchView", "MailingView", "VisibleCase", "look"]


@immutable
class VisibleCase:
    """A mailing as one person sees it."""

    case: MailingCase
    sight: Sight
    refusal: str | None  # why they may not decide it; None where they may
    asked: tuple[str, ...]  # everybody who may decide it
    ends: datetime | None  # when it goes back undecided; None where it is not held, or waits for ever
    reminds: datetime | None
    is_own: bool
    readable: tuple[BatchView, ...] = ()  # one batch of each content that they may read
    needs_case: bool = False  # they may read it all for a case
    differs: tuple[PermitNote, ...] = ()  # from what was permitted
    reasons: tuple[Reason, ...] = ()  # why it is held, without these differences
    may_be_asked: tuple[str, ...] = ()  # owners whom somebody who decides may ask as well


def look(ctx: VerbContext, number: int) -> VisibleCase:
    """Return one mailing as the person of the act sees it. Raises NotFound where it is not there, or not for them."""
    case = mailing_cases.show_contents(ctx, number)
    mailing, by = case.mailing, ctx.act.by
    question = case.question or question_of(ctx, mailing, case.events)
    who = involved_in_mailing(ctx, mailing, case.events)
    found = sight(ctx.ruleset, question, who, by)
    if found is Sight.NOTHING:
        raise NotFound(f"M-{number}: no such mailing")
    approvers, is_held = Approvers(ctx.ruleset), mailing.state is MailingState.HELD
    held = ctx.ruleset.held
    return VisibleCase(
        case=case,
        sight=found,
        refusal=approvers.refusal(question, by) if is_held else f"{mailing.id} is not held",
        asked=tuple(sorted(approvers.available_deciders(question))) if is_held else (),
        ends=_after(ctx, mailing, held.expire),
        reminds=_after(ctx, mailing, held.remind),
        is_own=by in who.owners,
        readable=_readable(ctx, case, question, who) if found is Sight.CONTENT else (),
        needs_case=found is Sight.FACTS and holds(ctx.ruleset, by, "admin", "auditor"),
        **_reasons(mailing),
        may_be_asked=_may_be_asked(ctx, case, question),
    )


def _reasons(mailing: MailingView) -> dict[str, Any]:
    """Return why it is held, and apart from that how it differs from what was permitted."""
    split = [(reason, *split_notes(reason.text)) for reason in mailing.reasons]
    notes = dict.fromkeys(note for _, _, found in split for note in found)
    return {"reasons": tuple(replace(reason, text=text) for reason, text, _ in split), "differs": tuple(notes)}


def _may_be_asked(ctx: VerbContext, case: MailingCase, question: Question) -> tuple[str, ...]:
    owners = set(ctx.ruleset.people_with("owner")) - question.own - question.also - set(case.agreements.people)
    return tuple(sorted(owners - {ctx.act.by}))


def _readable(ctx: VerbContext, case: MailingCase, question: Question, who: Involved) -> tuple[BatchView, ...]:
    """Return the batches that somebody may read who may read some: all, or what is their own."""
    by = ctx.act.by
    if sight_of_others(ctx.ruleset, question, who, by) is Sight.CONTENT:
        return tuple(case.batches)
    return tuple(batch for batch in case.batches if by in batch.owners)


def _after(ctx: VerbContext, mailing: MailingView, span: Span) -> datetime | None:
    if mailing.state is not MailingState.HELD or mailing.held_at is None:
        return None
    return moment_after(ctx.calendar, moment_of(mailing.held_at), span)
