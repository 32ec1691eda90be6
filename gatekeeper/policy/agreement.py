"""Which yeses count: those whose giver has seen all that is decided now, or has allowed it by their terms (promise 8).

Somebody looks at a held mailing and agrees; then more of it comes. Their yes is kept with what they had seen, and what
is new is compared with it: whom it reaches, the agencies, the rules that hold it, the contents. A yes that does not
cover all of that is one to an earlier state: it counts no longer, and its giver can agree again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.message import read_likeness
from gatekeeper.model import Likeness
from gatekeeper.policy.approvers import Yes
from gatekeeper.rules import Ruleset
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import Connection
from gatekeeper.store import batches as keeping
from gatekeeper.store.requests import RequestView, state_of
from gatekeeper.store.sights import Contents, Held, Sight, contents_of, sight_of
from gatekeeper.store.versions import AGREED, IN_PART
from gatekeeper.store.views import EventView, MailingView

TEMPLATE = "template"
_BATCHES_NAMED = 5


@immutable
class Agreement:
    """That somebody has agreed: when, what they had seen, and on what terms."""

    by: str
    at: float
    seen: Mapping[str, Any]  # the state as JSON; empty where an earlier program did not keep it
    terms: Mapping[str, Any]

    def yes(self, ruleset: Ruleset) -> Yes:
        """As those count it who know who must agree, with the day by the organisation's clock."""
        return Yes(self.by, calendar_of(ruleset).day(moment_of(self.at)))

    def as_details(self) -> dict[str, Any]:
        """What an event keeps of it."""
        return {"seen": dict(self.seen), "terms": dict(self.terms)}


@immutable
class Agreements:
    """The yeses to something that waits: those that count, and who has agreed to an earlier state only."""

    counting: tuple[Agreement, ...] = ()
    earlier: tuple[str, ...] = ()

    def yeses(self, ruleset: Ruleset) -> tuple[Yes, ...]:
        """Those that count."""
        return tuple(each.yes(ruleset) for each in self.counting)

    @property
    def people(self) -> tuple[str, ...]:
        """Who has agreed to what is decided now."""
        return tuple(dict.fromkeys(each.by for each in self.counting))


def agreements_in(events: Iterable[EventView]) -> list[Agreement]:
    """Every yes of a timeline, oldest first."""
    return [_agreement(event) for event in events if event.act == AGREED and event.by]


def _agreement(event: EventView) -> Agreement:
    details = event.details
    return Agreement(event.by or "", event.at, details.get("seen") or {}, details.get("terms") or {})


def split(given: Sequence[Agreement], counting: Iterable[Agreement]) -> Agreements:
    """Of all yeses those that count, and the givers of the others."""
    kept = tuple(counting)
    people = {each.by for each in kept}
    return Agreements(kept, tuple(dict.fromkeys(each.by for each in given if each.by not in people)))


# -- held mailings -----------------------------------------------------------------------------------------------


@immutable
class Subject:
    """A held mailing that is decided about: what of it, and all that it has."""

    connection: Connection
    now: Sight
    contents: Contents
    decided: frozenset[str]  # digests of the contents that the decision is about

    def unseen(self, then: Sight, terms: Mapping[str, Any]) -> tuple[str, ...]:
        """By what it differs from what somebody had seen then and their terms allow, a text a difference."""
        if then.mailing != self.now.mailing:
            return ("it is another mailing since: the one that was looked at became part of it",)
        alike = terms.get("binding") == TEMPLATE
        return (*_reach(then, self.now, terms.get("max_users")), *self._contents(then, alike))

    def covered_by(self, one: Agreement) -> bool:
        """Whether the giver of a yes has seen or allowed all of it."""
        then = Sight.from_row(one.seen)
        return then is not None and not self.unseen(then, one.terms)

    def _contents(self, then: Sight, alike: bool) -> Iterator[str]:
        seen = self.contents.seen_in(then)
        new = self.decided - seen
        if new and alike:
            new = self._unlike(seen, new)
        if new:
            yield _named([one for one in self.contents.batches if one.digest in new], len(new))

    def _unlike(self, seen: Collection[str], new: Collection[str]) -> frozenset[str]:
        """Those of the new contents that are not like one that was seen, as a `template` permit compares them."""
        known = [self._likeness(body) for body in self.contents.bodies(seen)]
        return frozenset(each for each in new if not self._is_like(self.contents.bodies([each])[0], known))

    def _is_like(self, body: bytes, known: Sequence[Likeness]) -> bool:
        own = self._likeness(body)
        return any(
            own.links == each.links and own.attachments == each.attachments and own.fingerprints & each.fingerprints
            for each in known
        )

    def _likeness(self, body: bytes) -> Likeness:
        return read_likeness(b"".join(keeping.read_chunks(self.connection, body)))


def subject_of(connection: Connection, mailing: MailingView) -> Subject:
    """All that is held of a mailing, as it is now."""
    contents = contents_of(connection, mailing.key)
    return Subject(connection, sight_of(connection, mailing), contents, contents.held())


def agreements_to(subject: Subject, events: Sequence[EventView], since: float | None) -> Agreements:
    """The yeses to a held mailing; from before it was last held, or approved in part, they are to an earlier state."""
    given = agreements_in(events)
    in_part = max((number for number, event in enumerate(events) if event.act == IN_PART), default=-1)
    recent = [event for event in events[in_part + 1 :] if event.at >= (since or 0.0)]
    return split(given, [each for each in agreements_in(recent) if subject.covered_by(each)])


def _reach(then: Sight, now: Sight, allowed: int | None) -> Iterator[str]:
    """Whom it reaches beyond what was seen or allowed, and what holds it that did not."""
    if now.users > (then.users if allowed is None else max(allowed, then.users)):
        yield f"{then.users:,} users then, {now.users:,} now"
    if now.external > then.external:
        yield f"{then.external:,} people outside then, {now.external:,} now"
    if agencies := sorted({*now.agencies} - {*then.agencies}):
        yield f"agencies that it did not reach then: {', '.join(agencies)}"
    rules = sorted({*now.rules} - {*then.rules})
    if then.rules and rules:  # that it was not held then, and is now, is no change: DESIGN 6
        yield f"rules that did not hold it then: {', '.join(rules)}"


def _named(came: Sequence[Held], contents: int) -> str:
    named = [str(one.id) for one in came[:_BATCHES_NAMED]]
    left = len(came) - len(named)
    batches = ", ".join([*named, f"{left:,} more"] if left else named)
    what = "1 message of other content" if contents == 1 else f"{contents:,} messages of other content"
    return f"{what}, in batch {batches}" if len(came) == 1 else f"{what}, in batches {batches}"


# -- requests ----------------------------------------------------------------------------------------------------


_ASKED = (  # of a request, in the order in which differences are named
    "agency", "requester", "senders", "subject", "purpose", "audiences", "planned", "needed_by", "exception", "content",
)  # fmt: skip
_BEGINS = frozenset({"submitted", "submitted again", "appealed"})


def agreements_to_request(request: RequestView, events: Sequence[EventView]) -> Agreements:
    """The yeses to a request; those from before it was last submitted are to an earlier state."""
    given, now = agreements_in(events), state_of(request)
    begun = max((number for number, event in enumerate(events) if event.act in _BEGINS), default=0)
    recent = agreements_in(events[begun:])
    return split(given, [each for each in recent if each.seen and not request_differences(each.seen, now, each.terms)])


def request_differences(then: Mapping[str, Any], now: Mapping[str, Any], terms: Mapping[str, Any]) -> tuple[str, ...]:
    """By what a request differs from what somebody had seen then and their terms allow, a text a difference."""
    if then.get("id") != now["id"]:
        return ("it is another request",)
    found = changed_fields(then, now, _ASKED)
    if terms.get("max_users") is None and now["users"] > then["users"]:
        found.append(f"{then['users']:,} users then, {now['users']:,} now")
    if rules := sorted({*now["rules"]} - {*then["rules"]}):
        found.append(f"rules that would not hold it then: {', '.join(rules)}")
    return tuple(found)


def changed_fields(then: Mapping[str, Any], now: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Each of these fields that has another value than was seen, in words."""
    changed = (name for name in names if then.get(name) != now[name])
    return [f"{name.replace('_', ' ')} was {_said(then.get(name))}, is {_said(now[name])}" for name in changed]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
