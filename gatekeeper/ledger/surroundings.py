"""The verbs that look at what else the people of a mailing get about then (T4), and for whom it was asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from difflib import SequenceMatcher

from gatekeeper.ledger.context import VerbContext
from gatekeeper.ledger.drafts import Wanted
from gatekeeper.ledger.sight import viewer
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.message import subject_key
from gatekeeper.policy.approvers import agency_of
from gatekeeper.store import Connection, deliveries, neighbours, people, tallies
from gatekeeper.store.db.hashing import read_secret
from gatekeeper.store.filters import Viewer
from gatekeeper.store.neighbours import Neighbour, SenderRecord
from gatekeeper.store.tallies import NOTHING
from gatekeeper.store.views import MailingView

__all__ = ["Neighbour", "Neighbours", "Outside", "Surroundings"]
_DAYS = timedelta(days=7)
_WEEK = 7 * 86_400.0
_DAY = 86_400.0
_ALIKE = 0.6  # of two subjects, from which on they are like each other


@immutable
class Neighbours:
    """What else some people get seven days before and after, those with a like subject first."""

    all: tuple[Neighbour, ...] = ()
    like: frozenset[str] = frozenset()  # ids of those with a like subject


@immutable
class Outside:
    """Whom a mailing reaches that its request did not declare."""

    request: str
    users: int | None  # None where the request names lists: their members may be of any agency
    agencies: tuple[str, ...]
    lists: tuple[str, ...]


@immutable
class Surroundings:
    """What somebody who decides wants to know beside the mailing itself."""

    neighbours: Neighbours
    record: SenderRecord
    minutes: float | None  # that sending it takes by the pace of the last 24 hours; None where it is not known
    a_minute: float | None
    waiting: int  # recipients of it that wait
    outside: Outside | None  # None where no request was made for it, or that declared nobody
    reached: int  # people of it whom other mailings have reached in the last seven days
    is_estimated: bool  # from some of them


def surroundings(ctx: VerbContext, mailing: MailingView) -> Surroundings:
    """Return what the same people get seven days before and after, what the sender sent, how long sending takes (T4).

    Only what the person of the act may see. Args: `mailing` which they were shown.
    """
    connection, seen = ctx.connection, _viewer(ctx)
    at = mailing.held_at or mailing.started_at
    audience = {*mailing.counts.agencies, *mailing.counts.lists}
    day = ctx.calendar.day(moment_of(at))
    beside = [
        *neighbours.mailings_beside(connection, audience, at, seen, mailing.key),
        *neighbours.requests_beside(connection, audience, _around(day), seen),
    ]
    waiting = tallies.tallies_of(connection, [mailing.key]).get(mailing.key, NOTHING).waiting
    pace = deliveries.pace_of(connection, deliveries.last_sent(connection, ctx.now), ctx.now - _DAY)
    reached, is_estimated = _reached(ctx, mailing)
    return Surroundings(
        neighbours=_like_first(mailing.subject, beside),
        record=neighbours.record_of(connection, mailing.sender, ctx.now),
        minutes=waiting / pace.a_minute if pace.a_minute else None,
        a_minute=pace.a_minute,
        waiting=waiting,
        outside=_outside(ctx, mailing, seen),
        reached=reached,
        is_estimated=is_estimated,
    )


def _viewer(ctx: VerbContext) -> Viewer | None:
    return viewer(ctx.ruleset, ctx.act.by) if ctx.act.by else None


def _around(day: date) -> tuple[str, str]:
    return (day - _DAYS).isoformat(), (day + _DAYS).isoformat()


def _like_first(subject: str, beside: Sequence[Neighbour]) -> Neighbours:
    like = frozenset(each.id for each in beside if _is_like(subject, each.subject))
    return Neighbours(
        tuple(sorted(beside, key=lambda each: (each.id not in like, each.planned or "", each.at or 0.0))), like
    )


def _is_like(one: str, other: str) -> bool:
    mine, theirs = subject_key(one), subject_key(other)
    if not mine or not theirs:
        return False
    return mine == theirs or SequenceMatcher(None, mine[:200], theirs[:200]).quick_ratio() >= _ALIKE


def _outside(ctx: VerbContext, mailing: MailingView, seen: Viewer | None) -> Outside | None:
    """Return whom it reaches that the request for it did not declare."""
    senders = filter(None, (mailing.sender, agency_of(ctx.ruleset, mailing.sender)))
    declared = neighbours.declared_audience(ctx.connection, tuple(senders), subject_key(mailing.subject), seen)
    if declared is None or not declared.audiences:
        return None
    counts, named = mailing.counts, set(declared.audiences)
    known = sum(users for agency, users in counts.agencies.items() if agency in named)
    has_lists = not named <= ctx.ruleset.agencies.keys()
    beyond = () if has_lists else tuple(each for each in counts.agencies if each not in named)
    users = None if has_lists else counts.users - known
    return Outside(declared.request, users, beyond, tuple(sorted(counts.lists - named)))


def _reached(ctx: VerbContext, mailing: MailingView) -> tuple[int, bool]:
    """Return how many people of a mailing others have reached in a week, and whether that is an estimate."""
    some, everybody = people.sample_of(ctx.connection, mailing.key), mailing.counts.users + mailing.counts.external
    share = people.share_reached(ctx.connection, some, ctx.now - _WEEK, mailing.key)
    found = round(share * max(everybody, len(some)))
    return (_rounded(found), True) if len(some) < everybody else (found, False)


def _rounded(number: int) -> int:
    """Return an estimate with the two digits that it is good for."""
    return int(float(f"{number:.1e}"))


# -- of what is only planned -------------------------------------------------------------------------------------


def beside_planned(ctx: VerbContext, wanted: Wanted, number: int | None) -> Neighbours:
    """Return what else its people get about the planned day, as far as the person of the act may see it.

    Args: `number` of the request that is submitted again.
    """
    if wanted.planned is None or not wanted.audiences:
        return Neighbours()
    audience, noon = set(wanted.audiences), ctx.start_of(wanted.planned) + _DAY / 2
    beside = [
        *neighbours.mailings_beside(ctx.connection, audience, noon, _viewer(ctx)),
        *neighbours.requests_beside(ctx.connection, audience, _around(wanted.planned), _viewer(ctx), number),
    ]
    return _like_first(wanted.subject or "", beside)


def reached_lately(connection: Connection, persons: Iterable[str], now: float) -> int:
    """Return how many of these people mailings to many have reached in the last seven days; of very many an estimate.

    Args: `persons` as an audience has them.
    """
    secret = read_secret(connection)
    hashes = sorted({people.hash_person(secret, each) for each in persons})
    found = round(people.share_reached(connection, hashes, now - _WEEK) * len(hashes))
    return found if len(hashes) <= people.SAMPLE else _rounded(found)
