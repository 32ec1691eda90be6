"""What a signed-in person sees: mailings by their sight, what waits for them, one with all that decides it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from gatekeeper.ledger import mailing_cases
from gatekeeper.ledger.context import NotFound, VerbContext
from gatekeeper.ledger.mailing_cases import MailingCase
from gatekeeper.ledger.mailings import question_of
from gatekeeper.ledger.sight import Sight, sees_all, sight
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import MailingState
from gatekeeper.policy.agreement import agreements_to, decided_mailing
from gatekeeper.policy.approvers import Approvers, Question
from gatekeeper.policy.matters import moment_after
from gatekeeper.rules.specs import Span
from gatekeeper.store import views
from gatekeeper.store.views import BatchView, MailingView

__all__ = ["BatchView", "MailingView", "VisibleCase", "Waiting", "listed", "look", "waiting"]

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


@immutable
class Waiting:
    """A held mailing in the queue of one person."""

    mailing: MailingView
    question: Question
    yours: bool
    ends: datetime | None  # as above
    agreed: int = 0
    missing: int = 0


def look(ctx: VerbContext, number: int) -> VisibleCase:
    """Return one mailing as the person of the act sees it. Raises NotFound where it is not there, or not for them."""
    case = mailing_cases.show(ctx, number)
    mailing, by = case.mailing, ctx.act.by
    question = question_of(ctx, mailing, case.events)
    owners = {mailing.sender, *(owner for batch in case.batches for owner in batch.owners)}
    found = sight(ctx.ruleset, question, owners, by)
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
        is_own=by in owners,
    )


def waiting(ctx: VerbContext) -> list[Waiting]:
    """Return held mailings that the person may see: first those that wait for them, the soonest to go back first."""
    held = views.list_mailings(ctx.connection, "held", _MOST_LOOKED_AT)
    asked = [(mailing, question_of(ctx, mailing)) for mailing in held]
    found = [_queued(ctx, *each) for each in asked if sight(ctx.ruleset, each[1], {each[0].sender}, ctx.act.by)]
    return _in_order(_with_agreements(ctx, each) for each in _in_order(found)[:_MOST])


def _in_order(queue: Iterable[Waiting]) -> list[Waiting]:
    return sorted(queue, key=lambda each: (not each.yours, each.ends or datetime.max.replace(tzinfo=UTC)))


def _queued(ctx: VerbContext, mailing: MailingView, question: Question) -> Waiting:
    yours = Approvers(ctx.ruleset).refusal(question, ctx.act.by) is None
    return Waiting(mailing, question, yours, _after(ctx, mailing, ctx.ruleset.held.expire))


def _with_agreements(ctx: VerbContext, each: Waiting) -> Waiting:
    """Return it with how many have agreed; it waits no more for somebody who has."""
    events = views.timeline(ctx.connection, each.mailing.key)
    agreements = agreements_to(decided_mailing(ctx.connection, each.mailing), events, each.mailing.held_at)
    missing = Approvers(ctx.ruleset).missing(each.question, agreements.days(ctx.ruleset))
    yours, agreed = each.yours and ctx.act.by not in agreements.people, len(agreements.people)
    return replace(each, yours=yours, agreed=agreed, missing=len(missing))


def listed(ctx: VerbContext, state: str | None) -> Sequence[MailingView]:
    """Return the newest mailings that the person may see, of one state where named."""
    by = ctx.act.by
    if sees_all(ctx.ruleset, by):
        return views.list_mailings(ctx.connection, state, _MOST)
    found = views.list_mailings(ctx.connection, state, _MOST_LOOKED_AT)
    return [each for each in found if sight(ctx.ruleset, question_of(ctx, each), {each.sender}, by)][:_MOST]


def _after(ctx: VerbContext, mailing: MailingView, span: Span) -> datetime | None:
    if mailing.state is not MailingState.HELD or mailing.held_at is None:
        return None
    return moment_after(ctx.calendar, moment_of(mailing.held_at), span)
