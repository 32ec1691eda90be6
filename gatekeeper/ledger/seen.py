"""Compares a case with the version that somebody has looked at (docs/deciding.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gatekeeper.ledger.context import LedgerError, VerbContext
from gatekeeper.lib.immutable import immutable
from gatekeeper.policy.agreement import DecidedMailing, changed_fields, decided_mailing, request_differences
from gatekeeper.store import Connection, permit_views, versions
from gatekeeper.store.growth import GREW, add_growth, growth_text
from gatekeeper.store.permit_views import PermitView
from gatekeeper.store.requests import RequestView, state_of
from gatekeeper.store.snapshots import MailingSnapshot, store_shown
from gatekeeper.store.views import EventView, MailingView

_CONTENTS_KEPT = 100  # digests that a yes names; the position says which batches it was about, however many
LATELY_SECONDS = 60.0  # in which growth is told to who decides without saying what they have looked at


class Stale(LedgerError):
    """A decision about something that has changed since it was looked at; `differences` has each, in words."""

    def __init__(self, id: str, differences: Iterable[str], version: str, then: str = "nothing was done") -> None:
        self.differences = tuple(differences)
        self.version = version
        super().__init__(
            f"{id}: it has changed since you looked, and {then}: {'; '.join(self.differences)}. "
            f"Look again; what it is now has --seen {version}"
        )


@immutable
class Seen:
    """The version that a decision names, and whether only that is decided."""

    version: str | None = None  # None where they do not say
    only: bool = False  # decide about what was seen, and leave the rest


@immutable
class SeenMailing:
    """A held mailing as a decision is about it."""

    subject: DecidedMailing
    then: MailingSnapshot  # what its giver has looked at: as it is now where they do not say
    only: bool = False  # the decision is about what there was then, and something has come since

    def as_row(self) -> dict[str, Any]:
        """Return what an approval keeps of it, as JSON; of very many different contents the first."""
        contents = sorted(self.subject.contents.seen_in(self.then))
        return self.then.as_row() | {"contents": contents[:_CONTENTS_KEPT]}


def look(connection: Connection, mailing: MailingView, seen: Seen) -> SeenMailing:
    """Return a held mailing as a decision is about it; raises LedgerError for a version that is not known."""
    subject = decided_mailing(connection, mailing)
    if seen.version is None or seen.version == mailing.version:
        return SeenMailing(subject, subject.now)
    then = MailingSnapshot.from_row(recall(connection, mailing.id, seen.version))
    if then is None:
        raise LedgerError(_unknown(mailing.id, seen.version))
    if not seen.only or then.mailing != mailing.key or not subject.contents.has_come_since(then):
        return SeenMailing(subject, then)
    part = DecidedMailing(connection, then, subject.contents, subject.contents.held() & subject.contents.seen_in(then))
    return SeenMailing(part, then, only=True)


def check_unchanged(mailing: MailingView, looked: SeenMailing, terms: Mapping[str, Any]) -> None:
    """Raise Stale where something is held that was not seen, and that the terms do not cover."""
    differences = looked.subject.unseen(looked.then, terms)
    if differences:
        raise Stale(mailing.id, differences, mailing.version, "nothing was sent")


def recall(connection: Connection, id: str, version: str) -> Mapping[str, Any]:
    """Return the state that was seen; raises LedgerError for a version that is not known."""
    state = versions.recall(connection, version)
    if state is None:
        raise LedgerError(_unknown(id, version))
    return state


def _unknown(id: str, version: str) -> str:
    return f"{id}: --seen {version} is no version of it that anybody was shown: expected the version of `show --json`"


def grown_lately(mailing: MailingView, events: Sequence[EventView], now: float) -> str:
    """Return, in words, how a held mailing grew in the last minute, and the version that has it; "" for nothing."""
    lately = [each.details for each in events if each.act == GREW and now - each.details["last"] <= LATELY_SECONDS]
    if not lately:
        return ""
    grown = lately[0]
    for each in lately[1:]:
        grown = add_growth(grown, each)
    return (
        f"{mailing.id} grew in the last {LATELY_SECONDS:.0f} s: {growth_text(grown)}. The decision is about all of it; "
        f"what there is of it now has --seen {mailing.version}"
    )


def shown(ctx: VerbContext, mailing: MailingView) -> MailingView:
    """Store the state behind the version of a mailing that is about to be shown."""
    store_shown(ctx.connection, [mailing], ctx.now)
    return mailing


# -- requests and permits ----------------------------------------------------------------------------------------


def check_request(connection: Connection, request: RequestView, seen: str | None, terms: Mapping[str, Any]) -> None:
    """Raise Stale where something is asked for that was not seen, and that the terms do not cover."""
    if seen is None or seen == request.version:
        return
    differences = request_differences(recall(connection, request.id, seen), state_of(request), terms)
    if differences:
        raise Stale(request.id, differences, request.version)


def check_permit(connection: Connection, permit: PermitView, seen: str | None) -> None:
    """Raise Stale where the permit allows something else than was seen; what has used it since is no difference."""
    if seen is None or seen == permit.version:
        return
    then, now = recall(connection, permit.id, seen), permit_views.state_of(permit)
    differences = changed_fields(then, now, ("id", "state", "max_users", "until", "uses"))
    if differences:
        raise Stale(permit.id, differences, permit.version)


States = Mapping[str, Mapping[str, Any]]  # what people see of cases before deciding, by version


def states_of_requests(shown: Iterable[RequestView]) -> States:
    """Return the states behind the versions of requests that are about to be shown."""
    return {each.version: state_of(each) for each in shown}


def states_of_permits(shown: Iterable[PermitView]) -> States:
    """Return the states behind the versions of permits that are about to be shown."""
    return {each.version: permit_views.state_of(each) for each in shown}


def keep_requests(connection: Connection, shown: Iterable[RequestView], now: float) -> None:
    """Store the states behind the versions of requests that are about to be shown."""
    versions.keep(connection, states_of_requests(shown), now)


def keep_permits(connection: Connection, shown: Iterable[PermitView], now: float) -> None:
    """Store the states behind the versions of permits that are about to be shown."""
    versions.keep(connection, states_of_permits(shown), now)
