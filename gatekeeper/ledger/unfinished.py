"""Keeps a request that somebody writes step by step, one a person, and says what would become of it (M2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from gatekeeper.ledger import context, requests
from gatekeeper.ledger.context import VerbContext
from gatekeeper.ledger.drafts import Wanted, assess, doubts_about, draft_of
from gatekeeper.lib.immutable import immutable
from gatekeeper.policy.approvers import Question
from gatekeeper.store import unfinished
from gatekeeper.store.requests import Draft
from gatekeeper.store.unfinished import Unfinished

__all__ = ["Foreseen", "Unfinished", "begun", "drop", "foresee", "keep"]
_KEPT_SECONDS = 30 * 86_400.0


@immutable
class Foreseen:
    """What would become of a request that was submitted now."""

    draft: Draft
    rules: tuple[str, ...]  # that could hold such a mailing; () where it needs no request
    late: bool
    earliest: date | None  # the first day that would not be late
    whose: str  # who must agree, by name; "" where nobody
    warnings: tuple[str, ...]


def foresee(ctx: VerbContext, wanted: Wanted, number: int | None) -> Foreseen:
    """Say what would become of a request, and keep nothing. Raises as `submit` and `submit_again` do.

    Args: `number` of the request that it would be submitted again as.
    """
    before = requests.find(ctx.connection, number, lock=False).draft if number else None
    draft = draft_of(ctx, replace(wanted, content=None), before)
    requests.check_may_ask(ctx, draft.agency, ctx.act.by)
    assessed = assess(ctx, draft)
    whose = context.whose(ctx, _question(ctx, draft, assessed.rules), {}) if assessed.rules else ""
    doubts = tuple(doubts_about(ctx.ruleset, draft))
    return Foreseen(draft, assessed.rules, assessed.late, assessed.earliest, whose, doubts)


def _question(ctx: VerbContext, draft: Draft, rules: tuple[str, ...]) -> Question:
    known = ctx.ruleset.agencies
    return Question(
        id="this request",
        own=frozenset({ctx.act.by, *(each for each in draft.senders if "@" in each)}),
        agency=draft.agency,
        lists=frozenset(each for each in draft.audiences if each not in known),
        rules=rules,
        agencies=frozenset(each for each in draft.audiences if each in known),
        today=ctx.today,
    )


def begun(ctx: VerbContext) -> Unfinished | None:
    """Return what the person of the act has begun; None where they have begun nothing."""
    return unfinished.find(ctx.connection, ctx.act.by)


def keep(ctx: VerbContext, written: Unfinished) -> None:
    """Keep what the person of the act has written so far; what others have left for 30 days is forgotten."""
    unfinished.forget(ctx.connection, ctx.now - _KEPT_SECONDS)
    unfinished.keep(ctx.connection, ctx.act.by, written, ctx.now)


def drop(ctx: VerbContext) -> None:
    """Forget what the person of the act has begun."""
    unfinished.drop(ctx.connection, ctx.act.by)
