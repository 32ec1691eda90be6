"""What a signed-in person sees: mailings by their sight, what waits for them, one with all that decides it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from gatekeeper.ledger import mailing_cases
from gatekeeper.ledger.context import NotFound, VerbContext
from gatekeeper.ledger.mailing_cases import MailingCase
from gatekeeper.ledger.mailings import question_of
from gatekeeper.ledger.sight import Sight, sees_all, sight
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import MailingState
from gatekeeper.policy.approvers import Approvers
from gatekeeper.policy.matters import moment_after
from gatekeeper.rules.specs import Span
from gatekeeper.store import views
from gatekeeper.store.views import BatchView, MailingView

__all__ = ["BatchView", "MailingView", "SeenMailing", "Waiting", "listed", "look", "waiting"]

_MOST = 200  # mailings on a page


@immutable
class SeenMailing:
    """A mailing as one person sees it."""

    case: MailingCase
    sight: Sight
    refusal: str | None  # why they may not decide it; None where they may
    asked: tuple[str, ...]  # everybody who may decide it
    ends: datetime | None  # when it goes back undecided; None where it is not held, or waits for ever
    reminds: datetime | None
    is_own: bool


@immutable
class Waiting:
    """A held mailing in the queue of one person."""

    mailing: MailingView
    yours: bool
    ends: datetime | None
    agreed: int
    missing: int


def look(ctx: VerbContext, number: int) -> SeenMailing:
    """Return one mailing as the person of the act sees it. Raises NotFound where it is not there, or not for them."""
    case = mailing_cases.show(ctx, number)
    mailing, by = case.mailing, ctx.act.by
    question = question_of(ctx, mailing)
    owners = {mailing.sender, *(owner for batch in case.batches for owner in batch.owners)}
    found = sight(ctx.ruleset, question, owners, by)
    if found is Sight.NOTHING:
        raise NotFound(f"M-{number}: no such mailing")
    approvers, is_held = Approvers(ctx.ruleset), mailing.state is MailingState.HELD
    held = ctx.ruleset.held
    return SeenMailing(
        case=case,
        sight=found,
        refusal=approvers.refusal(question, by) if is_held else f"{mailing.id} is not held",
        asked=tuple(sorted(approvers.available_deciders(question))) if is_held else (),
        ends=_after(ctx, mailing, held.expire),
        reminds=_after(ctx, mailing, held.remind),
        is_own=by in owners,
    )


def waiting(ctx: VerbContext) -> list[Waiting]:
    """Return held mailings that the person may see: first those that wait for them, the soonest to go back first."""
    found = [each for each in map(partial(_waiting, ctx), views.list_mailings(ctx.connection, "held", _MOST)) if each]
    never = datetime.max.replace(tzinfo=ctx.moment.tzinfo)
    return sorted(found, key=lambda each: (not each.yours, each.ends or never))


def _waiting(ctx: VerbContext, mailing: MailingView) -> Waiting | None:
    question, by = question_of(ctx, mailing), ctx.act.by
    if sight(ctx.ruleset, question, {mailing.sender}, by) is Sight.NOTHING:
        return None
    case = mailing_cases.show(ctx, int(mailing.id.removeprefix("M-")))
    agreed, yours = len(case.agreements.people), Approvers(ctx.ruleset).refusal(question, by) is None
    yours = yours and by not in case.agreements.people
    return Waiting(mailing, yours, _after(ctx, mailing, ctx.ruleset.held.expire), agreed, len(case.missing))


def listed(ctx: VerbContext, state: str | None) -> Sequence[MailingView]:
    """Return the newest mailings that the person may see, of one state where named."""
    found, by = views.list_mailings(ctx.connection, state, _MOST), ctx.act.by
    if sees_all(ctx.ruleset, by):
        return found
    return [each for each in found if sight(ctx.ruleset, question_of(ctx, each), {each.sender}, by)]


def _after(ctx: VerbContext, mailing: MailingView, span: Span) -> datetime | None:
    if mailing.state is not MailingState.HELD or mailing.held_at is None:
        return None
    return moment_after(ctx.calendar, moment_of(mailing.held_at), span)
