"""The verbs that look at whom a mailing goes to and what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from gatekeeper.directory.domains import Domains
from gatekeeper.ledger.context import NotFound, VerbContext
from gatekeeper.ledger.lists import ListPage
from gatekeeper.ledger.mailings import find, question_of
from gatekeeper.ledger.sight import Sight, check_may_read, involved_in_mailing, sight
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import RecipientState
from gatekeeper.store import deliveries, mailings, tallies, views
from gatekeeper.store.deliveries import AnswerCount, KeptRecipient, Pace, QueuedRelease, RecipientFilters
from gatekeeper.store.tallies import NOTHING, Tally
from gatekeeper.store.views import MailingView

__all__ = ["AnswerCount", "Answers", "Delivery", "KeptRecipient", "Recipients"]
_MOST = 500  # recipients on a page
_HOUR = 3_600.0


@immutable
class Recipients:
    """Whose recipients are looked through, which of them, and which part; "" for all."""

    agency: str = ""
    state: str = ""
    limit: int = 100
    after: str = ""
    case: str = ""  # for which an admin or auditor reads them
    is_noted: bool = False  # the timeline knows already that this person reads them


@immutable
class Delivery:
    """What became of a mailing: how many recipients have which state, and what waits to be sent."""

    mailing: MailingView
    tally: Tally
    queue: tuple[QueuedRelease, ...]
    pace: Pace  # of this mailing, in the last hour in which it was sent


@immutable
class Answers:
    """Recipients of what is stored of a mailing by domain and answer; the same for as long as the tally is the same."""

    inside: tuple[AnswerCount, ...]
    outside: tuple[AnswerCount, ...]


def recipients(ctx: VerbContext, number: int, sought: Recipients) -> ListPage[KeptRecipient]:
    """Return a part of the recipients for somebody who may read them, which the timeline notes first (S4, D4).

    Raises NotFound, NotAllowed, LedgerError.
    """
    mailing = _readable(ctx, number, sought.case)
    if not sought.is_noted:
        _note(ctx, mailing, "read", sought)
    filters = RecipientFilters(sought.agency, sought.state)
    after = _place(sought.after)
    return deliveries.recipients_of(ctx.connection, mailing.key, filters, min(sought.limit, _MOST), after)


def take_recipients(ctx: VerbContext, number: int, sought: Recipients) -> list[KeptRecipient]:
    """Return all of them for somebody who takes a copy, which the timeline notes each time. Raises as `recipients`."""
    mailing = _readable(ctx, number, sought.case)
    _note(ctx, mailing, "downloaded", sought)
    filters = RecipientFilters(sought.agency, sought.state)
    return list(deliveries.all_recipients_of(ctx.connection, mailing.key, filters))


def _note(ctx: VerbContext, mailing: MailingView, act: str, sought: Recipients) -> None:
    details = {"case": sought.case} if sought.case else {}
    mailings.note(ctx.connection, mailing, act, replace(ctx.act, reason="recipients", details=details))


def _readable(ctx: VerbContext, number: int, case: str) -> MailingView:
    """Return a mailing whose recipients somebody may read: of a mailing of several senders none of them may."""
    mailing = find(ctx.connection, number, lock=False)
    events = views.timeline(ctx.connection, mailing.key)
    who = involved_in_mailing(ctx, mailing, events)
    found = sight(ctx.ruleset, question_of(ctx, mailing, events), who, ctx.act.by)
    if found is Sight.NOTHING:
        raise NotFound(f"M-{number}: no such mailing")
    is_shared = ctx.act.by in who.owners and len(who.owners) > 1
    check_may_read(mailing.id, Sight.FACTS if is_shared else found, ctx.ruleset, ctx.act.by, case)
    return mailing


_PLACE = re.compile(r"(\d{1,18})\.(\d{1,9})")


def _place(after: str) -> tuple[int, int] | None:
    if not after:
        return None
    found = _PLACE.fullmatch(after)
    if found is None:
        raise NotFound(f"after {after!r}: expected what the part before names as the next")
    return int(found[1]), int(found[2])


def delivery(ctx: VerbContext, number: int) -> Delivery:
    """Return what became of a mailing, for somebody who may see it; raises NotFound."""
    mailing = _visible(ctx, number)
    connection, key = ctx.connection, mailing.key
    sent = deliveries.batches_sent_of(connection, key)
    return Delivery(
        mailing,
        tallies.tallies_of(connection, [key]).get(key, NOTHING),
        tuple(deliveries.queued_of(connection, key)),
        deliveries.pace_of(connection, sent, ctx.now - _HOUR),
    )


def answers(ctx: VerbContext, number: int) -> Answers:
    """Return the recipients of a mailing by domain and answer, for somebody who may see it, which reads them all.

    Raises NotFound.
    """
    mailing = _visible(ctx, number)
    agencies = {id: agency.domains for id, agency in ctx.ruleset.agencies.items()}
    domains = Domains(agencies, ctx.ruleset.domains, ctx.ruleset.outside)
    found = deliveries.answers_of(ctx.connection, mailing.key)
    is_inside = {each.domain: domains.place(each.domain)[0] for each in found}
    return Answers(
        tuple(each for each in found if is_inside[each.domain]),
        tuple(each for each in found if not is_inside[each.domain]),
    )


def _visible(ctx: VerbContext, number: int) -> MailingView:
    mailing = find(ctx.connection, number, lock=False)
    if not ctx.act.by:
        return mailing
    events = views.timeline(ctx.connection, mailing.key)
    who = involved_in_mailing(ctx, mailing, events)
    if sight(ctx.ruleset, question_of(ctx, mailing, events), who, ctx.act.by) is Sight.NOTHING:
        raise NotFound(f"M-{number}: no such mailing")
    return mailing


def states() -> Iterable[str]:
    """Return the states of recipients."""
    return [each.value for each in RecipientState]
