"""The verbs that list mailings, requests and permits by parts, as far as somebody may see them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TypeVar

from gatekeeper.address import normalise
from gatekeeper.ledger.context import LedgerError, NotFound, VerbContext
from gatekeeper.ledger.seen import States, states_of_permits, states_of_requests
from gatekeeper.ledger.sight import viewer
from gatekeeper.lib.immutable import immutable
from gatekeeper.store import Connection, lists, versions
from gatekeeper.store.filters import MOST_COUNTED, Filters, ListPage, Place, Viewer
from gatekeeper.store.permit_views import PermitView
from gatekeeper.store.requests import RequestView
from gatekeeper.store.snapshots import states_of
from gatekeeper.store.views import MailingView

__all__ = ["MOST_COUNTED", "ListPage", "Sought", "mailings", "permits", "requests"]
T = TypeVar("T")
_MOST = 1_000  # rows of a part
_MOST_WORDS = 200  # characters that are looked for


@immutable
class Sought:
    """What somebody looks for in a list, and which part of it; "" and None for anything."""

    states: tuple[str, ...] = ()
    agency: str = ""  # the id of the sender's or requester's
    sender: str = ""
    rule: str = ""
    words: str = ""  # in the subject or the sender; or a number
    since: date | None = None  # of the last change, or since when a permit is given
    mine: bool = False
    kind: str = ""  # of permits: approval, exception, emergency; of what waits: mailing, request
    review: str = ""  # of permits: open, closed
    limit: int = 50
    after: str = ""  # the `next` of the part before


Shown = tuple[ListPage[T], States]  # a part of a list, and the states behind its versions that are not stored yet


def mailings(ctx: VerbContext, sought: Sought) -> Shown[MailingView]:
    """Return a part of the numbered mailings that the person of the act may see; all of them where it is nobody's."""
    found = _listed(ctx, sought, "M", lists.list_mailings)
    return found, versions.unkept(ctx.connection, states_of(ctx.connection, found.rows), ctx.now)


def requests(ctx: VerbContext, sought: Sought) -> Shown[RequestView]:
    """Return a part of the requests that the person of the act may see; all of them where it is nobody's."""
    found = _listed(ctx, sought, "R", lists.list_requests)
    return found, versions.unkept(ctx.connection, states_of_requests(found.rows), ctx.now)


def permits(ctx: VerbContext, sought: Sought) -> Shown[PermitView]:
    """Return a part of the permits that the person of the act may see; all of them where it is nobody's."""
    found = _listed(ctx, sought, "P", lists.list_permits)
    return found, versions.unkept(ctx.connection, states_of_permits(found.rows), ctx.now)


Lister = Callable[[Connection, Filters, Viewer | None, Place], ListPage[T]]


def _listed(ctx: VerbContext, sought: Sought, letter: str, lister: Lister[T]) -> ListPage[T]:
    by = ctx.act.by
    place = Place(_limit(sought.limit), place_after(sought.after, letter))
    return lister(ctx.connection, filters_of(ctx, sought), viewer(ctx.ruleset, by) if by else None, place)


def filters_of(ctx: VerbContext, sought: Sought) -> Filters:
    """Return what is looked for as the database takes it."""
    since = ctx.start_of(sought.since) if sought.since else None
    return Filters(
        states=sought.states,
        agency=_plain(sought.agency),
        sender=normalise(_plain(sought.sender)) if sought.sender else "",
        rule=_plain(sought.rule),
        words=_plain(sought.words).strip()[:_MOST_WORDS],
        since=since,
        mine=ctx.act.by if sought.mine else "",
        kind=_plain(sought.kind),
        review=_plain(sought.review),
    )


def _plain(text: str) -> str:
    """Return a text without what no database looks for: NUL and its like."""
    return "".join(each for each in text if each.isprintable())


def _limit(limit: int) -> int:
    if not 1 <= limit <= _MOST:
        raise LedgerError(f"limit {limit}: expected 1 to {_MOST:,} rows")
    return limit


def place_after(after: str, letter: str) -> int | None:
    """Return the number after which a part of a list begins; raises LedgerError for what is no such place."""
    if not after:
        return None
    named, _, number = after.partition("-")
    if named != letter or not (number.isascii() and number.isdigit() and len(number) < 10):
        raise NotFound(f"after {after!r}: expected what the part before names as the next, such as {letter}-17")
    return int(number)
