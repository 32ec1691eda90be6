"""What people do with a held mailing: look, approve, deny, ask for changes, withdraw, take a copy.

Each verb is one transaction: it reads the mailing, checks who acts, changes it, and queues what follows from that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gatekeeper import affairs, notify
from gatekeeper.address import normalise
from gatekeeper.casework import who
from gatekeeper.casework.desk import CaseworkError, Desk, NotAllowed, NotFound, named, require_reason
from gatekeeper.casework.terms import Terms
from gatekeeper.casework.who import Matter
from gatekeeper.immutable import immutable
from gatekeeper.lifecycle import BatchState, advance
from gatekeeper.mail import read_likeness, subject_key
from gatekeeper.model import Likeness, Scope
from gatekeeper.notify import Occasion
from gatekeeper.store import Connection, keeping, ledger, views
from gatekeeper.store.act import Act
from gatekeeper.store.permits import APPROVAL, Grant
from gatekeeper.store.views import BatchView, EventView, MailingView
from gatekeeper.store.waiting import ASKED, origin_of
from gatekeeper.telling import queue_notice, queue_report, report_to

_OUTCOMES = {
    "deny": "denied, and what was held of it is not sent",
    "changes": "sent back with changes asked, and what was held of it is not sent",
    "withdraw": "withdrawn, and what was held of it is not sent",
}
_READERS = {"approver", "auditor", "admin"}  # roles that may take a copy of what is kept


@immutable
class Case:
    """A mailing with all that belongs to it, for who decides."""

    mailing: MailingView
    batches: list[BatchView]
    events: list[EventView]


@immutable
class Decision:
    """What came of an act: the mailing afterwards, the permit that was given, whose yes is still missing."""

    mailing: MailingView
    permit: str | None = None
    missing: tuple[str, ...] = ()


def show(connection: Connection, number: int) -> Case:
    """One mailing with its batches and its timeline; raises NotFound."""
    mailing = find(connection, number)
    return Case(mailing, views.find_batches(connection, mailing.key), views.timeline(connection, mailing.key))


def export(connection: Connection, desk: Desk, number: int, by: str) -> Case:
    """The mailing for who takes a copy, which its timeline notes first (S4, D4); raises NotFound or NotAllowed."""
    mailing, act = find(connection, number), desk.act(by)
    person = desk.ruleset.people.get(act.by)
    if not (person and _READERS & set(person.roles)) and act.by not in who.asked(
        desk.ruleset, matter_of(connection, desk, mailing)
    ):
        raise NotAllowed(f"{mailing.id}: {act.by} may not read it; an approver, an auditor or an admin may")
    ledger.note(connection, mailing, "exported", act)
    return show(connection, number)


def approve(connection: Connection, desk: Desk, number: int, by: str, reason: str, terms: Terms) -> Decision:
    """Say yes; once everyone whom the rules ask has, it is sent. Raises NotFound, NotAllowed, CaseworkError."""
    mailing, act = find(connection, number), desk.act(by, reason)
    matter = matter_of(connection, desk, mailing)
    who.check_may_decide(desk.ruleset, matter, act.by)
    with named(mailing.id):
        advance(mailing.state, "approve")
    yeses = affairs.agreed_since(desk.voice, views.timeline(connection, mailing.key), mailing.held_at)
    missing = who.missing(desk.ruleset, matter, (*yeses, act.by))
    if missing:
        ledger.note(connection, mailing, "agreed", act)
        return Decision(mailing, missing=missing)
    return _release(connection, desk, mailing, act, terms)


def _release(connection: Connection, desk: Desk, mailing: MailingView, act: Act, terms: Terms) -> Decision:
    kept = views.find_batches(connection, mailing.key)
    given = _grant(connection, desk, mailing, kept, terms)
    affair = affairs.of_mailing(connection, desk.voice, mailing.key, act.at)
    permit = ledger.approve(connection, mailing, kept, given, act)
    affairs.tell_decided(connection, affair, "approved, and is being sent", act.by, act.reason, act.at)
    _tell_released(connection, desk, mailing, kept, act, permit)
    return Decision(find(connection, int(mailing.id[2:])), permit=permit)


def _grant(connection: Connection, desk: Desk, mailing: MailingView, kept: list[BatchView], terms: Terms) -> Grant:
    """What was reviewed: what is held now, and nothing more unless the terms say so (DESIGN 6)."""
    until = desk.end_of(terms.until) if terms.until else desk.window_end(desk.today)
    if until <= desk.now:
        raise CaseworkError(f"{mailing.id}: --until {terms.until} has passed: expected the last day of the permit")
    ceiling = mailing.counts.users if terms.max_users is None else terms.max_users
    if ceiling < mailing.counts.users:
        raise CaseworkError(f"{mailing.id}: it reaches {mailing.counts.users} users; expected --max-users not below")
    template = terms.binding == "template"
    return Grant(
        kind=APPROVAL,
        rules=tuple(reason.rule for reason in mailing.reasons),
        scope=Scope(senders=frozenset({mailing.sender})),
        since=desk.now,
        until=until,
        binding="template" if template else "exact",
        digests=() if template else tuple(sorted({batch.content_digest for batch in kept})),
        likeness=_likeness(connection, mailing, kept) if template else None,
        subject=mailing.subject,
        subject_key=subject_key(mailing.subject) if template else "",
        ceiling=ceiling,
        agencies=tuple(sorted(mailing.counts.agencies)),
        uses=terms.uses or 1,
        mailing_key=mailing.key,
    )


def _likeness(connection: Connection, mailing: MailingView, kept: list[BatchView]) -> Likeness:
    """What all of its messages have in common; raises CaseworkError where they differ in more than their texts."""
    bodies = {batch.body for batch in kept}
    found = [read_likeness(b"".join(keeping.read_chunks(connection, body))) for body in sorted(bodies)]
    if len({(each.links, each.attachments) for each in found}) != 1:
        raise CaseworkError(f"{mailing.id}: its messages differ in links or attachments: expected --binding exact")
    return Likeness(frozenset().union(*(each.fingerprints for each in found)), found[0].links, found[0].attachments)


def ask_changes(connection: Connection, desk: Desk, number: int, by: str, reason: str) -> Decision:
    """Send it back to its sender with what should be changed. Raises NotFound, NotAllowed, CaseworkError."""
    require_reason(reason, "changes need a text that says what should be changed: the sender reads it")
    mailing, act = find(connection, number), desk.act(by, reason)
    who.check_may_decide(desk.ruleset, matter_of(connection, desk, mailing), act.by)
    return _close(connection, desk, mailing, "changes", act, BatchState.RETURNED, Occasion.DENIED)


def ask(connection: Connection, desk: Desk, number: int, by: str, whom: str) -> Decision:
    """Have one more agree: an owner who is asked only when needed (T7). Raises NotFound, NotAllowed, CaseworkError."""
    mailing, act, also = find(connection, number), desk.act(by), normalise(whom)
    matter = matter_of(connection, desk, mailing)
    who.check_may_decide(desk.ruleset, matter, act.by)
    who.check_may_be_asked(desk.ruleset, matter, also)
    with named(mailing.id):
        advance(mailing.state, "approve")
    ledger.note(connection, mailing, ASKED, replace(act, reason=also))
    affairs.ask_also(connection, affairs.of_mailing(connection, desk.voice, mailing.key, act.at), also, act.at)
    events = views.timeline(connection, mailing.key)
    yeses = affairs.agreed_since(desk.voice, events, mailing.held_at)
    return Decision(mailing, missing=who.missing(desk.ruleset, matter_of(connection, desk, mailing), yeses))


def _tell_released(
    connection: Connection, desk: Desk, mailing: MailingView, kept: Iterable[BatchView], act: Act, permit: str
) -> None:
    told = [batch for batch in kept if batch.notify]
    if not told:
        return
    summary = desk.voice.summary(
        mailing.id, mailing.sender, mailing.subject, mailing.counts, mailing.reasons, told[0].message_id
    )
    content = notify.released_notice(summary, desk.voice.organisation, desk.moment, act.by, act.reason)
    queue_notice(connection, f"released:{mailing.id}:{permit}", mailing.sender, content, act.at, mailing.key)


def deny(connection: Connection, desk: Desk, number: int, by: str, reason: str) -> Decision:
    """Say no: nothing of what is held is sent. Raises NotFound, NotAllowed, CaseworkError."""
    require_reason(reason, "a denial needs a reason: the sender reads it")
    mailing, act = find(connection, number), desk.act(by, reason)
    who.check_may_decide(desk.ruleset, matter_of(connection, desk, mailing), act.by)
    return _close(connection, desk, mailing, "deny", act, BatchState.RETURNED, Occasion.DENIED)


def withdraw(connection: Connection, desk: Desk, number: int, by: str, reason: str) -> Decision:
    """Take it back: its sender, or an admin. Raises NotFound, NotAllowed, CaseworkError."""
    mailing, act = find(connection, number), desk.act(by, reason)
    if act.by != mailing.sender and not who.holds(desk.ruleset, act.by, "admin"):
        raise NotAllowed(f"{mailing.id}: {act.by} may not withdraw it; its sender {mailing.sender} or an admin may")
    return _close(connection, desk, mailing, "withdraw", act, BatchState.WITHDRAWN, Occasion.WITHDRAWN)


def _close(
    connection: Connection,
    desk: Desk,
    mailing: MailingView,
    name: str,
    act: Act,
    left: BatchState,
    occasion: Occasion,
) -> Decision:
    kept = [batch for batch in views.find_batches(connection, mailing.key) if batch.state is BatchState.HELD]
    affair = affairs.of_mailing(connection, desk.voice, mailing.key, act.at)
    with named(mailing.id):
        ledger.close(connection, mailing, name, act, left)
    affairs.tell_decided(connection, affair, _OUTCOMES[name], act.by, act.reason, act.at)
    inside = any(batch.notify for batch in kept)
    asked = "changes asked: " if name == "changes" else ""
    reasons = (asked + act.reason,) if act.reason else ()
    to = report_to(kept, mailing, inside)
    queue_report(connection, desk.voice, mailing, kept, to, occasion, reasons, act.at)
    return Decision(find(connection, int(mailing.id[2:])))


def find(connection: Connection, number: int) -> MailingView:
    """The mailing of a number, locked until the transaction ends; raises NotFound."""
    found = views.find_mailing(connection, number, lock=True)
    if found is None:
        raise NotFound(f"M-{number}: no such mailing; `gatekeeper mailing list` shows what there is")
    return found


def matter_of(connection: Connection, desk: Desk, mailing: MailingView) -> Matter:
    """A held mailing as something to be decided, today."""
    origin, events = origin_of(connection, mailing.key), views.timeline(connection, mailing.key)
    logins = origin.logins if origin else frozenset()
    return affairs.matter_of_mailing(desk.voice, mailing, logins, events, desk.today)


__all__ = ["Case", "CaseworkError", "Decision", "approve", "deny", "export", "find", "matter_of", "show", "withdraw"]
