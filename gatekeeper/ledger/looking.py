"""What a signed-in person sees of one mailing, with all that decides it."""

from __future__ import annotations

from datetime import datetime

from gatekeeper.ledger import mailing_cases
from gatekeeper.ledger.context import NotFound, VerbContext
from gatekeeper.ledger.mailing_cases import MailingCase
from gatekeeper.ledger.mailings import question_of
from gatekeeper.ledger.sight import Sight, involved_in_mailing, sight
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import MailingState
from gatekeeper.policy.approvers import Approvers
from gatekeeper.policy.matters import moment_after
from gatekeeper.rules.specs import Span
from gatekeeper.store.batch_views import BatchView
from gatekeeper.store.views import MailingView

__all__ = ["BatchView", "MailingView", "VisibleCase", "look"]

_MOST = 200  # mailings on a page
_MOST_LOOKED_AT = 2_000  # the newest ones, of which those of a page are chosen


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


def look(ctx: VerbContext, number: int) -> VisibleCase:
    """Return one mailing as the person of the act sees it. Raises NotFound where it is not there, or not for them."""
    case = mailing_cases.show(ctx, number)
    mailing, by = case.mailing, ctx.act.by
    question = question_of(ctx, mailing, case.events)
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
    )


def _after(ctx: VerbContext, mailing: MailingView, span: Span) -> datetime | None:
    if mailing.state is not MailingState.HELD or mailing.held_at is None:
        return None
    return moment_after(ctx.calendar, moment_of(mailing.held_at), span)
