"""The verbs on a mailing that only look: show it, read its messages, take a copy of them.

Showing it shows facts; reading and copying give out content, and the timeline notes them first (S4, D4).
"""

from __future__ import annotations

from dataclasses import replace

from gatekeeper.ledger import context
from gatekeeper.ledger.context import NotAllowed, NotFound, VerbContext
from gatekeeper.ledger.mailings import find, question_of
from gatekeeper.ledger.seen import shown
from gatekeeper.ledger.sight import Sight, check_may_read, involved_in_mailing, sight_of_others
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import MailingState
from gatekeeper.message.preview import file_octets
from gatekeeper.policy import agreement
from gatekeeper.policy.agreement import Agreements
from gatekeeper.policy.approvers import Approvers, Question
from gatekeeper.store import Connection, batch_views, mailings, views
from gatekeeper.store.batch_views import BatchView, StoredBatch
from gatekeeper.store.batches import read_body
from gatekeeper.store.events import Act
from gatekeeper.store.views import EventView, MailingView

_READERS = {"approver", "auditor", "admin"}  # roles that may take a copy of what is kept
_MOST_READ = 5  # contents that one reading shows, unless a batch is named


@immutable
class MailingCase:
    """A mailing with batches, timeline and approvals, for people who decide."""

    mailing: MailingView
    batches: list[BatchView]
    events: list[EventView]
    agreements: Agreements = Agreements()
    missing: tuple[str, ...] = ()  # who must still agree, while it is held
    still: int = 0  # how many of them
    question: Question | None = None  # what is to be decided; None where it is not held
    whose: str = ""  # the same by name


@immutable
class MailingCopy:
    """A mailing for somebody who takes a copy of it: its messages with all their recipients."""

    case: MailingCase
    batches: list[StoredBatch]


@immutable
class Reading:
    """What somebody reads of a mailing: its messages of different content, and how many more there are."""

    mailing: MailingView
    batches: tuple[BatchView, ...]  # one of each content
    more: int = 0


@immutable
class FilePlace:
    """Where a file of a held message is: in which batch, and its place there, which counts from 1 (`file_octets`)."""

    batch: int
    part: int


def show(ctx: VerbContext, number: int) -> MailingCase:
    """Return one mailing with its batches, its timeline and who has agreed; raises NotFound."""
    mailing = find(ctx.connection, number, lock=False)
    return _case(ctx, mailing, batch_views.batches_of(ctx.connection, mailing.key))


def show_contents(ctx: VerbContext, number: int) -> MailingCase:
    """Return the same with one batch of each content, of however many there are."""
    mailing = find(ctx.connection, number, lock=False)
    return _case(ctx, mailing, batch_views.first_of_each_content(ctx.connection, mailing.key))


def _case(ctx: VerbContext, mailing: MailingView, kept: list[BatchView]) -> MailingCase:
    events = views.timeline(ctx.connection, mailing.key)
    case = MailingCase(mailing, kept, events)
    if mailing.state is not MailingState.HELD:
        return case
    agreements = agreement.agreements_of(ctx.connection, mailing, events)
    question, yeses = question_of(ctx, mailing, events), agreements.days(ctx.ruleset)
    missing, whose = context.missing(ctx.ruleset, question, yeses), context.whose(ctx, question, yeses)
    still = Approvers(ctx.ruleset).number_missing(question, yeses)
    return replace(case, agreements=agreements, missing=missing, whose=whose, still=still, question=question)


def export(ctx: VerbContext, number: int) -> MailingCopy:
    """Return a mailing for somebody who takes a copy, which the timeline notes first (S4, D4).

    Raises NotFound or NotAllowed.
    """
    mailing, act = find(ctx.connection, number), ctx.act
    person = ctx.ruleset.people.get(act.by)
    if not (person and _READERS & set(person.roles)) and act.by not in context.asked(
        ctx.ruleset, question_of(ctx, mailing)
    ):
        raise NotAllowed(f"{mailing.id}: {act.by} may not read it; an approver, an auditor or an admin may")
    mailings.note(ctx.connection, mailing, "exported", act)
    shown(ctx, mailing)
    return MailingCopy(show(ctx, number), batch_views.find_batches(ctx.connection, mailing.key))


def read(ctx: VerbContext, number: int, batch: int | None, case: str) -> Reading:
    """Return the messages of a mailing for somebody who reads them, which the timeline notes first (S4, D4).

    Args: `batch` that is read, else the first of each content; `case` for which an admin or an auditor reads it.

    Raises NotFound, NotAllowed.
    """
    mailing, chosen = _readable(ctx, number, batch, case)
    for one in chosen[:_MOST_READ]:
        mailings.note(ctx.connection, mailing, "read", _act(ctx, f"batch {one.id}", one, case))
    return Reading(mailing, tuple(chosen[:_MOST_READ]), len(chosen) - len(chosen[:_MOST_READ]))


def file_ahead(connection: Connection, number: int, place: FilePlace) -> bytes | None:
    """Read a file of a held message, decoded; None where there is none. It takes long, so no lock is held."""
    mailing = views.find_mailing(connection, number)
    kept = batch_views.batches_of(connection, mailing.key) if mailing else ()
    bodies = [one.body for one in kept if one.id == place.batch]
    return file_octets(read_body(connection, bodies[0]), place.part) if bodies else None


def take_file(ctx: VerbContext, number: int, place: FilePlace, octets: bytes | None, case: str) -> bytes:
    """Return a file that was read ahead for somebody who takes it, which the timeline notes first (S4, D4).

    Raises NotFound, NotAllowed.
    """
    mailing, (one,) = _readable(ctx, number, place.batch, case)
    if octets is None:
        raise NotFound(f"{mailing.id}: batch {one.id} has no file {place.part} by itself: `--content` lists its files")
    act = _act(ctx, f"batch {one.id}, file {place.part}", one, case)
    mailings.note(ctx.connection, mailing, "downloaded", act)
    return octets


def _readable(ctx: VerbContext, number: int, batch: int | None, case: str) -> tuple[MailingView, list[BatchView]]:
    """Return a mailing with the batches that somebody may read: the one named, else the first of each content."""
    mailing = find(ctx.connection, number)
    some = (
        batch_views.first_of_each_content(ctx.connection, mailing.key)
        if batch is None
        else batch_views.some_batches(ctx.connection, mailing.key, [batch])
    )
    each = {one.content_digest: one for one in reversed(_may_read(ctx, mailing, some, case))}
    if not each:
        kept = _may_read(ctx, mailing, batch_views.batches_of(ctx.connection, mailing.key), case)
        if not kept:
            by = f": they were destroyed, {mailing.destroyed}" if mailing.destroyed else ""
            raise NotFound(f"{mailing.id}: no message of it is kept{by}")
        raise NotFound(f"{mailing.id}: batch {batch}: expected one of {', '.join(str(one.id) for one in kept)}")
    return mailing, sorted(each.values(), key=lambda one: one.id)


def _act(ctx: VerbContext, what: str, batch: BatchView, case: str) -> Act:
    return replace(ctx.act, reason=what, details={"batch": batch.id, **({"case": case} if case else {})})


def _may_read(ctx: VerbContext, mailing: MailingView, kept: list[BatchView], case: str) -> list[BatchView]:
    """Return the batches of a mailing that somebody may read; raises NotAllowed where these are none.

    Approvers may read all, and whoever is asked while it is held and for 30 days; admins and auditors with a case; and
    everybody what is their own.
    """
    events, by = views.timeline(ctx.connection, mailing.key), ctx.act.by
    own = [batch for batch in kept if by in batch.owners]
    who = involved_in_mailing(ctx, mailing, events)
    found = sight_of_others(ctx.ruleset, question_of(ctx, mailing, events), who, by)
    if by in who.owners and found is not Sight.CONTENT:
        return own
    check_may_read(mailing.id, found, ctx.ruleset, by, case)
    return kept
