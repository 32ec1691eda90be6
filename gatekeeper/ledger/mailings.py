"""The verbs on a held mailing: show, export, approve, deny, ask for changes, withdraw.

Each verb is one transaction: it reads the mailing, checks who acts, changes the mailing, and queues what follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial, reduce

from gatekeeper import notices
from gatekeeper.address import normalise
from gatekeeper.ledger import context
from gatekeeper.ledger.context import (
    LedgerError,
    NotAllowed,
    NotFound,
    VerbContext,
    named,
    require_reason,
)
from gatekeeper.ledger.seen import Seen, SeenMailing, check_unchanged, grown_lately, look, shown
from gatekeeper.ledger.terms import Terms
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, MailingState, advance
from gatekeeper.message import subject_key
from gatekeeper.model import Counts, Likeness, Scope
from gatekeeper.notices import ApprovalNote, Occasion
from gatekeeper.outbox import to_approvers
from gatekeeper.outbox.delivery_reports import EndOfMailing, queue_report
from gatekeeper.outbox.held_content import HeldContent, read_content
from gatekeeper.outbox.matter_brief import MatterOutcome, of_mailing
from gatekeeper.outbox.to_senders import SenderNotice, by_sender, queue_notice
from gatekeeper.outbox.who_decides import question_of_held, question_of_mailing
from gatekeeper.policy import agreement
from gatekeeper.policy.agreement import Agreement, decided_mailing
from gatekeeper.policy.approvers import Question
from gatekeeper.policy.denials import with_category
from gatekeeper.policy.matters import WINDOW
from gatekeeper.rules.likeness import unlike
from gatekeeper.store import Connection, batch_views, mailings, views
from gatekeeper.store.across import is_common
from gatekeeper.store.batch_views import BatchView
from gatekeeper.store.events import ASKED, Act
from gatekeeper.store.held import held_facts
from gatekeeper.store.permits import APPROVAL, Grant
from gatekeeper.store.reminders import held_batches
from gatekeeper.store.versions import AGREED
from gatekeeper.store.views import EventView, MailingView

_OUTCOMES = {
    "deny": "denied",
    "changes": "sent back with changes asked",
    "withdraw": "withdrawn",
}
_LEFT = {  # how each act that closes a mailing leaves what was held, and what its sender is told
    "deny": (BatchState.RETURNED, Occasion.DENIED),
    "changes": (BatchState.RETURNED, Occasion.RETURNED),
    "withdraw": (BatchState.WITHDRAWN, Occasion.WITHDRAWN),
}


@immutable
class FinalYes:
    """The approval that releases a mailing or a part of it: the act, the terms of all who agreed, and who they are."""

    act: Act
    terms: Terms
    people: tuple[str, ...]  # in the order in which they agreed


@immutable
class Decision:
    """The outcome of an act: the mailing afterwards, the permit that was given, who must still agree."""

    mailing: MailingView
    permit: str | None = None
    missing: tuple[str, ...] = ()
    grew: str = ""  # what came of it in the last minute, where nobody said what they had looked at
    sending: int = 0  # recipients to whom it is sent by this act
    still_held: int = 0  # recipients for whom it is held after it
    whose: str = ""  # who must still agree, by name


def read_ahead(connection: Connection, number: int, *, template: bool) -> None:
    """Read the contents that a verb on the mailing compares; nothing where there is no such mailing.

    Args: `template` where an approval is given that binds to what all contents have in common.
    """
    mailing = views.find_mailing(connection, number)
    if mailing is not None and mailing.state is MailingState.HELD:
        agreement.read_ahead(connection, mailing, template=template)


def approve(ctx: VerbContext, number: int, terms: Terms, seen: Seen) -> Decision:
    """Approve a mailing; it is sent once everyone whom the rules ask has approved.

    Raises NotFound, NotAllowed, LedgerError, Stale.
    """
    mailing, act = find(ctx.connection, number), ctx.act
    looked = look(ctx.connection, mailing, seen)
    question = _as_seen(question_of(ctx, mailing), looked)
    context.check_may_decide(ctx.ruleset, question, act.by)
    with named(mailing.id):
        advance(mailing.state, "approve in part" if looked.only else "approve")
    own = _yes(ctx, mailing, looked, act, terms)
    act = replace(act, details=own.as_details())
    events = views.timeline(ctx.connection, mailing.key)
    others = agreement.agreements_to(looked.subject, events, mailing.held_at)
    yeses = others.days(ctx.ruleset) | {act.by: ctx.today}
    missing = context.missing(ctx.ruleset, question, yeses)
    grew = "" if seen.version else grown_lately(mailing, events, ctx.now)
    if missing:
        mailings.note(ctx.connection, mailing, AGREED, act)
        decision = _decided(ctx, mailing, missing=missing, grew=grew)
        return replace(decision, whose=context.whose(ctx, question, yeses))
    people = *(each for each in others.people if each != act.by), act.by
    final = FinalYes(act, _together(ctx, looked, [own, *others.counting]), people)
    kept = batch_views.batches_of(ctx.connection, mailing.key)
    held = [one for one in kept if one.state is BatchState.HELD]
    if looked.only:
        chosen = [one for one in held if looked.then.has(one.id, one.place)]
        permit = _release_part(ctx, mailing, looked, final, chosen)
    else:
        chosen = held
        permit = _release(ctx, mailing, looked, final, kept)
    decision = _decided(ctx, mailing, permit=permit, grew=grew)
    sending = _recipients_of(chosen)
    return replace(decision, sending=sending, still_held=_recipients_of(held) - sending)


def _recipients_of(kept: Iterable[BatchView]) -> int:
    return sum(batch.tally.waiting for batch in kept)


def _as_seen(question: Question, looked: SeenMailing) -> Question:
    """Return what is decided: the whole mailing, or with `only_seen` the mailing as it was seen."""
    then = looked.then
    if not looked.only or not then.rules:  # without rules it was not held then, and nobody was asked yet
        return question
    return replace(question, rules=then.rules, agencies=frozenset(then.agencies), lists=frozenset(then.lists))


def _yes(ctx: VerbContext, mailing: MailingView, looked: SeenMailing, act: Act, terms: Terms) -> Agreement:
    """Return an approval with what its giver has seen; raises Stale, or LedgerError for impossible terms."""
    if not looked.only:
        check_unchanged(mailing, looked, terms.as_row())
    users = looked.subject.now.users
    if terms.until and ctx.end_of(terms.until) <= ctx.now:
        raise LedgerError(f"{mailing.id}: --until {terms.until} has passed: expected the last day of the permit")
    if terms.max_users is not None and terms.max_users < users:
        raise LedgerError(f"{mailing.id}: it reaches {users} users; expected --max-users not below")
    return Agreement(act.by, act.at, looked.as_row(), terms.as_row())


def _together(ctx: VerbContext, looked: SeenMailing, agreed: Iterable[Agreement]) -> Terms:
    """Return the strictest of all terms; a term that somebody left out is as they had seen it."""
    last = ctx.calendar.add(ctx.today, WINDOW)
    as_seen = Terms(looked.subject.now.users, last, 1, "exact")
    each = [Terms.from_row(one.terms).or_else(as_seen) for one in agreed]
    return reduce(Terms.and_also, each)


def _release(
    ctx: VerbContext,
    mailing: MailingView,
    looked: SeenMailing,
    final: FinalYes,
    kept: list[BatchView],
) -> str:
    """Release all that is held of a mailing; returns the id of the permit."""
    act = final.act
    given = _grant(ctx, mailing, looked, kept, final.terms)
    brief = of_mailing(ctx.connection, ctx.letterhead, mailing.key, act.at)
    permit = mailings.approve(ctx.connection, mailing, kept, given, act)
    outcome = MatterOutcome("approved", final.people, "is on its way", act.reason)
    to_approvers.tell_decided(ctx.connection, brief, outcome, act.at)
    _tell_released(ctx, mailing, kept, ApprovalNote(final.people, act.reason), permit)
    return permit


def _release_part(
    ctx: VerbContext,
    mailing: MailingView,
    looked: SeenMailing,
    final: FinalYes,
    chosen: list[BatchView],
) -> str:
    """Release the batches that somebody had seen, and leave later ones held."""
    if not chosen:
        raise LedgerError(f"{mailing.id}: nothing of what was seen is held any more; look at it again")
    given = _grant(ctx, mailing, looked, chosen, final.terms)
    permit = mailings.approve_part(ctx.connection, mailing, chosen, given, final.act)
    then = looked.then
    counts = Counts(users=then.users, external=then.external)
    in_part = views.view_mailing(ctx.connection, mailing.key).state is MailingState.HELD
    seen = replace(mailing, counts=counts)
    _tell_released(ctx, seen, chosen, ApprovalNote(final.people, final.act.reason, in_part=in_part), permit)
    return permit


def _grant(
    ctx: VerbContext,
    mailing: MailingView,
    looked: SeenMailing,
    kept: list[BatchView],
    terms: Terms,
) -> Grant:
    """Return the permit to give: what was reviewed, and no more unless the terms say so."""
    until = ctx.end_of(terms.until) if terms.until else ctx.window_end(ctx.today)
    if until <= ctx.now:
        raise LedgerError(f"{mailing.id}: one who agreed allowed it until {terms.until}: ask them to agree again")
    template, now = terms.binding == agreement.TEMPLATE, looked.subject.now
    return Grant(
        kind=APPROVAL,
        rules=now.rules or tuple(reason.rule for reason in mailing.reasons),
        scope=Scope(senders=frozenset((mailing.sender, *(batch.owner for batch in kept if batch.owner)))),
        since=ctx.now,
        until=until,
        binding="template" if template else "exact",
        digests=() if template else tuple(sorted({batch.content_digest for batch in kept})),
        likeness=_likeness(ctx.connection, mailing, kept) if template else None,
        subject=mailing.subject,
        subject_key=subject_key(mailing.subject) if template else "",
        ceiling=terms.max_users,
        agencies=now.agencies,
        uses=terms.uses or 1,
        mailing_key=mailing.key,
    )


def _decided(
    ctx: VerbContext,
    mailing: MailingView,
    *,
    permit: str | None = None,
    missing: tuple[str, ...] = (),
    grew: str = "",
) -> Decision:
    return Decision(shown(ctx, find(ctx.connection, int(mailing.id[2:]))), permit, missing, grew)


def _likeness(connection: Connection, mailing: MailingView, kept: list[BatchView]) -> Likeness:
    """Return what the first message is like, with the numbers of all; raises LedgerError where another one differs."""
    bodies = dict.fromkeys(batch.body for batch in kept)
    found = [agreement.likeness_of(connection, body) for body in bodies]
    tokens = frozenset[str]().union(*(each.tokens for each in found))
    common = replace(found[0], tokens=tokens)
    if difference := next(filter(None, (unlike(common, each) for each in found)), ""):
        raise LedgerError(f"{mailing.id}: its messages differ ({difference}): expected --binding exact")
    return common


def ask_changes(ctx: VerbContext, number: int, seen: Seen) -> Decision:
    """Send a mailing back to its sender with what should be changed.

    Raises NotFound, NotAllowed, LedgerError, Stale.
    """
    require_reason(ctx, "changes need a text that says what should be changed: the sender reads it")
    mailing, act = find(ctx.connection, number), ctx.act
    context.check_may_decide(ctx.ruleset, question_of(ctx, mailing), act.by)
    return _close(ctx, mailing, "changes", act, seen)


def content_for_asking(connection: Connection, number: int) -> HeldContent | None:
    """Read what is held of a mailing, for a notice to one more person; takes long, so that no lock is held."""
    mailing = views.find_mailing(connection, number)
    return read_content(connection, mailing.key) if mailing else None


def ask(ctx: VerbContext, number: int, whom: str, content: HeldContent | None) -> Decision:
    """Have one more agree: an owner who is asked only when needed (T7). Raises NotFound, NotAllowed, LedgerError."""
    mailing, act, also = find(ctx.connection, number), ctx.act, normalise(whom)
    question = question_of(ctx, mailing)
    context.check_may_decide(ctx.ruleset, question, act.by)
    context.check_may_be_asked(ctx.ruleset, question, also)
    with named(mailing.id):
        advance(mailing.state, "approve")
    brief = of_mailing(ctx.connection, ctx.letterhead, mailing.key, act.at, content)
    asked = to_approvers.ask_also(ctx.connection, brief, also, act)
    mailings.note(ctx.connection, mailing, ASKED, replace(act, reason=also, details=asked.as_details()))
    events = views.timeline(ctx.connection, mailing.key)
    yeses = agreement.agreements_to(decided_mailing(ctx.connection, mailing), events, mailing.held_at).days(ctx.ruleset)
    question = question_of(ctx, mailing, events)
    missing = context.missing(ctx.ruleset, question, yeses)
    return replace(_decided(ctx, mailing, missing=missing), whose=context.whose(ctx, question, yeses))


def _tell_released(
    ctx: VerbContext, mailing: MailingView, kept: Iterable[BatchView], note: ApprovalNote, permit: str
) -> None:
    """Tell each sender that their part of a mailing was approved."""
    left = by_sender(_still_held(ctx, mailing)) if note.in_part else []
    held = {own[0].owner: _recipients_of(own) for own in left}
    for own in by_sender(each for each in kept if each.state is BatchState.HELD):
        summary = ctx.letterhead.summary(mailing, mailing.reasons, own[0])
        render = partial(notices.released_notice, approval=_of_sender(note, own, held))
        notice = SenderNotice(f"released:{permit}", mailing.key, summary, render)
        queue_notice(ctx.connection, ctx.letterhead, notice, ctx.moment)


def _of_sender(note: ApprovalNote, own: Sequence[BatchView], held: Mapping[str, int]) -> ApprovalNote:
    """Return the note with how many recipients one sender's own messages go to, and for how many they are held."""
    return replace(note, recipients=_recipients_of(own), held=held.get(own[0].owner, 0))


def deny(ctx: VerbContext, number: int, seen: Seen, category: str) -> Decision:
    """Deny a mailing: nothing of what is held is sent. Raises NotFound, NotAllowed, LedgerError, Stale."""
    require_reason(ctx, "a denial needs a reason: the sender reads it")
    mailing, act = find(ctx.connection, number), context.denial(ctx, category)
    context.check_may_decide(ctx.ruleset, question_of(ctx, mailing), act.by)
    return _close(ctx, mailing, "deny", act, seen)


def _still_held(ctx: VerbContext, mailing: MailingView) -> list[BatchView]:
    return batch_views.batches_of(ctx.connection, mailing.key, BatchState.HELD)


def withdraw(ctx: VerbContext, number: int, seen: Seen) -> Decision:
    """Withdraw a mailing, as the owner of all that is held of it or an admin.

    Raises NotFound, NotAllowed, LedgerError, Stale.
    """
    mailing, act = find(ctx.connection, number), ctx.act
    origin = held_batches(ctx.connection, mailing.key)
    owners = origin.owners if origin else frozenset({mailing.sender})
    if act.by not in owners and not context.holds(ctx.ruleset, act.by, "admin"):
        who = f"its sender {' or '.join(sorted(owners))} or an admin" if owners else "an admin"
        raise NotAllowed(f"{mailing.id}: {act.by} may not withdraw it; {who} may")
    return _close(ctx, mailing, "withdraw", act, seen)


def _close(ctx: VerbContext, mailing: MailingView, name: str, act: Act, seen: Seen) -> Decision:
    left, occasion = _LEFT[name]
    with named(mailing.id):
        advance(mailing.state, name)
    if seen.version:
        check_unchanged(mailing, look(ctx.connection, mailing, seen), {})
    grew = "" if seen.version else grown_lately(mailing, views.timeline(ctx.connection, mailing.key), ctx.now)
    kept = batch_views.find_batches(ctx.connection, mailing.key, BatchState.HELD)
    brief = of_mailing(ctx.connection, ctx.letterhead, mailing.key, act.at)
    common = is_common(ctx.connection, mailing.key)
    with named(mailing.id):
        mailings.close(ctx.connection, mailing, name, act, left)
    said = with_category(ctx.ruleset, act.details, act.reason)
    outcome = MatterOutcome(_OUTCOMES[name], (act.by,), "what was held of it is not sent", said)
    to_approvers.tell_decided(ctx.connection, brief, outcome, act.at)
    reasons = (said,) if act.reason else ()
    queue_report(ctx.connection, ctx.letterhead, EndOfMailing(mailing, kept, occasion, reasons, act.by, common), act.at)
    return _decided(ctx, mailing, grew=grew)


def find(connection: Connection, number: int, *, lock: bool = True) -> MailingView:
    """Return the mailing of a number, locked until the transaction ends unless told not to; raises NotFound."""
    found = views.find_mailing(connection, number, lock=lock)
    if found is None:
        raise NotFound(f"M-{number}: no such mailing; `gatekeeper mailing list` shows what there is")
    return found


def question_of(ctx: VerbContext, mailing: MailingView, events: Sequence[EventView] | None = None) -> Question:
    """Return a held mailing as a question that is to be decided today. Args: `events` of it, where they are known."""
    held = held_facts(ctx.connection, mailing.key) if mailing.state is MailingState.HELD else ()
    for facts in held:
        return question_of_held(ctx.letterhead, facts, ctx.today)
    known = views.timeline(ctx.connection, mailing.key) if events is None else events
    return question_of_mailing(ctx.letterhead, mailing, None, known, ctx.today)
