"""Which approvals count: those whose giver has seen all that is decided now, or has allowed it by terms.

Somebody approves a held mailing; then more of it arrives. The approval is kept with the state that its giver had seen,
and each later state is compared with that: people reached, agencies, rules that hold it, contents. An approval that
does not cover the present state was given to an earlier state: it no longer counts, and its giver can approve again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.message import read_likeness
from gatekeeper.model import Likeness
from gatekeeper.rules import Ruleset
from gatekeeper.rules.likeness import unlike
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import Connection, views
from gatekeeper.store.batches import read_body
from gatekeeper.store.requests import RequestView, state_of
from gatekeeper.store.snapshots import KeptBatch, KeptBatches, MailingSnapshot, kept_batches, snapshot_of
from gatekeeper.store.versions import AGREED, IN_PART
from gatekeeper.store.views import EventView, MailingView

TEMPLATE = "template"
_BATCHES_NAMED = 5
_LIKENESSES_KEPT = 4096  # of as many messages, in the memory of one process
_WORDS_KEPT = 1_000_000  # of all of these together
_MOST_KINDS = 50  # contents that were seen and are unlike each other, with which a new one is compared


@immutable
class Agreement:
    """One approval with its time, the state that its giver had seen, and its terms."""

    by: str
    at: float
    seen: Mapping[str, Any]  # the state as JSON; empty where it was given under a version that did not keep it
    terms: Mapping[str, Any]

    def as_details(self) -> dict[str, Any]:
        """Return what an event of the timeline keeps of it."""
        return {"seen": dict(self.seen), "terms": dict(self.terms)}


@immutable
class Agreements:
    """All approvals of an undecided matter: those that count, and the people who approved an earlier state only."""

    counting: tuple[Agreement, ...] = ()
    earlier: tuple[str, ...] = ()

    def days(self, ruleset: Ruleset) -> dict[str, date]:
        """Return who gave an approval that counts, and on which day by the organisation's clock."""
        calendar = calendar_of(ruleset)
        return {each.by: calendar.day(moment_of(each.at)) for each in self.counting}

    @property
    def people(self) -> tuple[str, ...]:
        """The people whose approvals count."""
        return tuple(dict.fromkeys(each.by for each in self.counting))


def agreements_in(events: Iterable[EventView]) -> list[Agreement]:
    """Return every approval in a timeline, oldest first."""
    return [_agreement(event) for event in events if event.act == AGREED and event.by]


def _agreement(event: EventView) -> Agreement:
    details = event.details
    return Agreement(event.by or "", event.at, details.get("seen") or {}, details.get("terms") or {})


def split(given: Sequence[Agreement], counting: Iterable[Agreement]) -> Agreements:
    """Separate approvals that count from the people who gave the others."""
    kept = tuple(counting)
    people = {each.by for each in kept}
    return Agreements(kept, tuple(dict.fromkeys(each.by for each in given if each.by not in people)))


# -- held mailings -----------------------------------------------------------------------------------------------


@immutable
class DecidedMailing:
    """One held mailing that is decided about: its present state, all its contents, and the contents that the decision
    covers.
    """

    connection: Connection
    now: MailingSnapshot
    contents: KeptBatches
    decided: frozenset[str]  # digests of the contents that the decision is about

    def unseen(self, then: MailingSnapshot, terms: Mapping[str, Any]) -> tuple[str, ...]:
        """Return each difference from what somebody had seen that their terms do not allow; one text a difference."""
        if then.mailing != self.now.mailing:
            return ("it is another mailing since: the one that was looked at became part of it",)
        new = frozenset(self._not_allowed(then, terms))
        came = [one for one in self.contents.batches if one.digest in new]
        named = [_named(came, len(new)) + self._difference(then, came[0], terms)] if new else []
        return (*_reach(then, self.now, terms.get("max_users")), *named)

    def covered_by(self, one: Agreement) -> bool:
        """Return True where the giver of an approval has seen or allowed all of it."""
        then = MailingSnapshot.from_row(one.seen)
        if then is None or then.mailing != self.now.mailing:
            return False
        # the first difference settles it: a sender may have put hundreds of other contents there
        return not any(_reach(then, self.now, one.terms.get("max_users"))) and not any(
            self._not_allowed(then, one.terms)
        )

    def _not_allowed(self, then: MailingSnapshot, terms: Mapping[str, Any]) -> Iterable[str]:
        """Return the contents that were not seen then and that the terms do not allow, each found when asked for."""
        seen = self.contents.seen_in(then)
        new = self.decided - seen
        return self._unlike(seen, new) if new and terms.get("binding") == TEMPLATE else new

    def _unlike(self, seen: Collection[str], new: Collection[str]) -> Iterator[str]:
        """Yield the new contents that are like none that was seen, compared as a `template` permit compares them."""
        known = self._kinds(seen)
        bodies = {one.digest: one.body for one in self.contents.batches}
        return (each for each in sorted(new) if not _is_like(likeness_of(self.connection, bodies[each]), known))

    def _kinds(self, seen: Collection[str]) -> list[Likeness]:
        """Return the contents that were seen, of those that are like each other one."""
        found: list[Likeness] = []
        for body in self.contents.bodies(seen):
            own = likeness_of(self.connection, body)
            if len(found) < _MOST_KINDS and not _is_like(own, found):
                found.append(own)
        return found

    def _difference(self, then: MailingSnapshot, one: KeptBatch, terms: Mapping[str, Any]) -> str:
        """Return how a new content differs from what was seen, where contents may vary; "" where they may not."""
        seen = self._kinds(self.contents.seen_in(then)) if terms.get("binding") == TEMPLATE else []
        return f" ({unlike(seen[0], likeness_of(self.connection, one.body))})" if seen else ""


def _is_like(own: Likeness, known: Sequence[Likeness]) -> bool:
    return any(not unlike(each, own) for each in known)


_likenesses: dict[bytes, Likeness] = {}  # by the digest of a body, which never changes


def likeness_of(connection: Connection, body: bytes) -> Likeness:
    """Return what a stored message has in common with its like; it is read once a process.

    Args: `body` is the digest by which the message is stored.
    """
    found = _likenesses.get(body)
    if found is None:
        found = read_likeness(read_body(connection, body))
        _keep(body, found)
    return found


def _keep(body: bytes, found: Likeness) -> None:
    """Keep a likeness, in place of the oldest ones where there are too many or too long ones."""
    _likenesses[body] = found
    while len(_likenesses) > _LIKENESSES_KEPT or sum(map(_size, list(_likenesses.values()))) > _WORDS_KEPT:
        _likenesses.pop(next(iter(_likenesses)), None)


def _size(likeness: Likeness) -> int:
    return sum(len(text.spelled) for text in likeness.texts)


def read_ahead(connection: Connection, mailing: MailingView, *, template: bool = False) -> None:
    """Compare a held mailing with its approvals before any lock is taken, so that its contents are known by then.

    Hundreds of messages take seconds to read, and other mail must not wait for them. Args: `template` where an approval
    is given that binds to what all contents have in common.
    """
    decided, events = decided_mailing(connection, mailing), views.timeline(connection, mailing.key)
    agreements_to(decided, events, mailing.held_at)
    for body in decided.contents.bodies(decided.decided) if template else ():
        likeness_of(connection, body)


def decided_mailing(connection: Connection, mailing: MailingView) -> DecidedMailing:
    """Return a held mailing as it is now, with all that is held of it."""
    contents = kept_batches(connection, mailing.key)
    return DecidedMailing(connection, snapshot_of(connection, mailing), contents, contents.held())


def agreements_of(connection: Connection, mailing: MailingView, events: Sequence[EventView]) -> Agreements:
    """Return the approvals of a held mailing; its contents are compared only where there are any."""
    if not agreements_in(events):
        return Agreements()
    return agreements_to(decided_mailing(connection, mailing), events, mailing.held_at)


def agreements_to(subject: DecidedMailing, events: Sequence[EventView], since: float | None) -> Agreements:
    """Return the approvals of a held mailing.

    Those from before it was last held, or last approved in part, were given to an earlier state.
    """
    given = agreements_in(events)
    in_part = max((number for number, event in enumerate(events) if event.act == IN_PART), default=-1)
    recent = [event for event in events[in_part + 1 :] if event.at >= (since or 0.0)]
    return split(given, [each for each in agreements_in(recent) if subject.covered_by(each)])


def _reach(then: MailingSnapshot, now: MailingSnapshot, allowed: int | None) -> Iterator[str]:
    """Yield the people reached beyond what was seen or allowed, and rules that hold it now and did not then."""
    if now.users > (then.users if allowed is None else max(allowed, then.users)):
        yield f"{then.users:,} users then, {now.users:,} now"
    if now.external > then.external:
        yield f"{then.external:,} people outside then, {now.external:,} now"
    if agencies := sorted({*now.agencies} - {*then.agencies}):
        yield f"agencies that it did not reach then: {', '.join(agencies)}"
    rules = sorted({*now.rules} - {*then.rules})
    if then.rules and rules:  # becoming held is no change
        yield f"rules that did not hold it then: {', '.join(rules)}"


def _named(came: Sequence[KeptBatch], contents: int) -> str:
    named = [str(one.id) for one in came[:_BATCHES_NAMED]]
    left = len(came) - len(named)
    batches = ", ".join([*named, f"{left:,} more"] if left else named)
    what = "1 message of other content" if contents == 1 else f"{contents:,} messages of other content"
    return f"{what}, in batch {batches}" if len(came) == 1 else f"{what}, in batches {batches}"


# -- requests ----------------------------------------------------------------------------------------------------


_REQUEST_FIELDS = (  # in the order in which differences are named
    "agency", "requester", "senders", "subject", "purpose", "audiences", "planned", "needed_by", "exception", "content",
)  # fmt: skip
_SUBMITTED_ACTS = frozenset({"submitted", "submitted again", "appealed"})


def agreements_to_request(request: RequestView, events: Sequence[EventView]) -> Agreements:
    """Return the approvals of a request; those from before it was last submitted were given to an earlier state."""
    given, now = agreements_in(events), state_of(request)
    begun = max((number for number, event in enumerate(events) if event.act in _SUBMITTED_ACTS), default=0)
    recent = agreements_in(events[begun:])
    return split(given, [each for each in recent if each.seen and not request_differences(each.seen, now, each.terms)])


def request_differences(then: Mapping[str, Any], now: Mapping[str, Any], terms: Mapping[str, Any]) -> tuple[str, ...]:
    """Return each difference from what somebody had seen that their terms do not allow; one text a difference."""
    if then.get("id") != now["id"]:
        return ("it is another request",)
    found = changed_fields(then, now, _REQUEST_FIELDS)
    if terms.get("max_users") is None and now["users"] > then["users"]:
        found.append(f"{then['users']:,} users then, {now['users']:,} now")
    if rules := sorted({*now["rules"]} - {*then["rules"]}):
        found.append(f"rules that would not hold it then: {', '.join(rules)}")
    return tuple(found)


def changed_fields(then: Mapping[str, Any], now: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return one text for each of these fields whose value has changed since it was seen."""
    changed = (name for name in names if then.get(name) != now[name])
    return [
        f"{name.replace('_', ' ')} was {_value_text(then.get(name))}, is {_value_text(now[name])}" for name in changed
    ]


def _value_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
