"""What has changed of what somebody may see, for pages that are open."""

from __future__ import annotations

from gatekeeper.ledger import waiting
from gatekeeper.ledger.context import VerbContext
from gatekeeper.ledger.sight import decides, viewer
from gatekeeper.lib.immutable import immutable
from gatekeeper.store import events, lists

_OVERLAP = 100  # events that are looked at again: of two nodes the later number may be there first
_MOST = 500


@immutable
class Change:
    """A mailing or a request as it is now. Args: `kind` is `mailing` or `request`."""

    kind: str
    id: str
    state: str
    version: str


@immutable
class Changes:
    """What has changed since an event. Args: `waiting` is how many matters wait for the person."""

    last: int
    matters: tuple[Change, ...] = ()
    waiting: int = 0


def changes(ctx: VerbContext, after: int) -> Changes:
    """Return what has changed since an event, as far as the person of the act may see it."""
    last, by = events.newest(ctx.connection), ctx.act.by
    keys = events.matters_after(ctx.connection, max(after - _OVERLAP, 0), _MOST)
    who = viewer(ctx.ruleset, by)
    mailings = lists.mailings_among(ctx.connection, keys[0], who) if keys[0] else ()
    requests = lists.requests_among(ctx.connection, keys[1], who) if keys[1] else ()
    found = [
        *(Change("mailing", each.id, each.state.value, each.version) for each in mailings),
        *(Change("request", each.id, each.state.value, each.version) for each in requests),
    ]
    return Changes(last, tuple(found), waiting.count(ctx) if decides(ctx.ruleset, by, ctx.today) else 0)
