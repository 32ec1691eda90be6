"""The verbs that hand records over for a case (C6, D2): what belongs to an export, and its acts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from functools import partial
from typing import Any

from gatekeeper.audit.record import Frame
from gatekeeper.ledger import cases, mailing_cases, searching
from gatekeeper.ledger.context import LedgerError, NotFound, VerbContext
from gatekeeper.ledger.mailing_cases import MailingCopy
from gatekeeper.ledger.searching import Found, SearchWanted
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.marks import marked_line
from gatekeeper.store import Connection, Store, audit_chain, batch_views, exports, record_export, searches, views
from gatekeeper.store import cases as stored_cases
from gatekeeper.store.audit_chain import LocatedLine
from gatekeeper.store.db.hashing import named_secret
from gatekeeper.store.exports import ExportView
from gatekeeper.store.views import EventView

__all__ = ["EventView", "ExportPlan", "ExportView", "LocatedLine"]
_SIGNING = "signing"
_MOST_TO = 200  # characters of whom an export was handed over to
# Of the case's timeline; whoever gets an export is told of no hold.
_OF_CUSTODY = ("case opened", "case closed", "searched", "export begun", "exported", "handed over", "timestamped")


@immutable
class ExportPlan:
    """What is handed over: of each mailing all messages, or those whose content was found."""

    export: ExportView
    found: Found
    mailings: Mapping[int, frozenset[str] | None]  # number -> digests of messages; None for all
    requests: tuple[int, ...]
    permits: tuple[int, ...]
    suspensions: tuple[int, ...]
    keys: Mapping[int, int] = field(default_factory=dict)  # of mailings, by number

    @property
    def named(self) -> dict[str, tuple[int, ...]]:
        """The numbers of matters by the column of events that leads to them."""
        return {
            "mailing_id": tuple(self.mailings),
            "request_id": self.requests,
            "permit_id": self.permits,
            "suspension_id": self.suspensions,
        }


def wanted_of_search(ctx: VerbContext, number: int) -> SearchWanted:
    """Return what a saved search looked for; raises NotFound."""
    saved = searches.find(ctx.connection, number)
    if saved is None:
        raise NotFound(f"search {number}: no such search; `gatekeeper audit search --save` makes one")
    asked: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in saved.query.items()
    }
    return SearchWanted(**asked)


def wanted_of_case(ctx: VerbContext, number: int) -> SearchWanted:
    """Return the search for the mailings that were added to a case. Raises NotFound, LedgerError for none."""
    items = stored_cases.items_of(ctx.connection, cases.find(ctx, number))
    if not items:
        raise LedgerError(f"C-{number} has no mailings of its own: expected words to look for, or a saved search")
    return SearchWanted(mailings=tuple(map(_number, items)))


def begin(ctx: VerbContext, case: int, asked: Mapping[str, Any]) -> ExportView:
    """Begin an export, as a records officer, which the case's timeline notes. Raises as `plan`."""
    cases.check_is_records(ctx, "export records")
    return exports.begin(ctx.connection, cases.find_open(ctx, case).key, asked, ctx.act)


def plan(ctx: VerbContext, store: Store, number: int, wanted: SearchWanted) -> ExportPlan:
    """Return what belongs to an export. Raises NotFound, NotAllowed, LedgerError."""
    cases.check_is_records(ctx, "export records")
    export = find(ctx, number)
    found = searching.search(ctx, store, int(export.case.removeprefix("C-")), wanted, None)
    messages: dict[int, set[str] | None] = {}
    others: dict[str, set[int]] = {"request": set(), "permit": set(), "suspension": set()}
    for hit in found.hits:
        if hit.kind == "mailing":
            _add(messages, _number(hit.id), hit.digest)
        elif hit.kind in others:
            others[hit.kind].add(_number(hit.id))
    keys = record_export.keys_of_mailings(ctx.connection, list(messages))
    given, asked = record_export.permits_of(ctx.connection, list(keys.values()))
    return ExportPlan(
        export=export,
        found=found,
        mailings={number: None if each is None else frozenset(each) for number, each in sorted(messages.items())},
        requests=tuple(sorted(others["request"] | asked)),
        permits=tuple(sorted(others["permit"] | given)),
        suspensions=tuple(sorted(others["suspension"])),
        keys=keys,
    )


def _add(messages: dict[int, set[str] | None], number: int, digest: str) -> None:
    """Add a mailing that was found by its facts, which is whole, or a message of it."""
    if not digest:
        messages[number] = None
    elif (known := messages.setdefault(number, set())) is not None:
        known.add(digest)


def _number(id: str) -> int:
    return int(id.partition("-")[2])


def find(ctx: VerbContext, number: int) -> ExportView:
    """Return an export; raises NotFound."""
    found = exports.find(ctx.connection, number)
    if found is None:
        raise NotFound(f"E-{number}: no such export")
    return found


def copy(ctx: VerbContext, number: int, digests: frozenset[str] | None) -> MailingCopy:
    """Return a mailing of an export with its messages; that it was taken stands on the case's timeline."""
    case = mailing_cases.show(ctx, number)
    kept = batch_views.find_batches(ctx.connection, case.mailing.key)
    return MailingCopy(case, [each for each in kept if digests is None or each.body.hex() in digests])


def audit_lines(connection: Connection, planned: ExportPlan) -> Iterator[LocatedLine]:
    """Yield the recorded decisions and acts about what is handed over."""
    yield from record_export.lines_about(connection, 0.0, list(planned.keys.values()), planned.named)


def rulesets(connection: Connection, lines: Iterable[bytes]) -> dict[str, str]:
    """Return the texts of the rulesets by which these lines decided, by digest."""
    frames = audit_chain.read_frames(connection)
    names = {name for line in lines if (name := record_export.frame_of(line)) in frames}
    return record_export.rulesets_of(connection, sorted({Frame.read(frames[name]).ruleset for name in names}))


def control_numbers(ctx: VerbContext, export: ExportView, things: Iterable[str]) -> dict[str, int]:
    """Return the control numbers of things, which stay the same in all exports of a case."""
    return exports.numbered(ctx.connection, export.case_key, things)


def custody(ctx: VerbContext, planned: ExportPlan) -> list[tuple[str, EventView]]:
    """Return what stands on the case's timeline, and who read, took or exported the mailings, oldest first."""
    own = views.events_of(ctx.connection, case=planned.export.case_key)
    found = [(planned.export.case, each) for each in own if each.act in _OF_CUSTODY]
    for number, key in planned.keys.items():
        told = views.timeline(ctx.connection, key)
        found += [(f"M-{number}", each) for each in told if each.act in ("read", "downloaded", "exported")]
    return sorted(found, key=lambda each: each[1].at)


def finish(ctx: VerbContext, export: ExportView, made: Mapping[str, Any]) -> None:
    """Note that an export is whole."""
    exports.finish(ctx.connection, export, made, ctx.act)


def receive(ctx: VerbContext, number: int, to: str, at: str) -> ExportView:
    """Note to whom an export was handed over, and when. Raises NotFound, NotAllowed, LedgerError."""
    cases.check_is_records(ctx, "note a receipt")
    if not (to := marked_line(to, _MOST_TO)):
        raise LedgerError(f"E-{number}: expected to whom it was handed over, such as 'Clerk of court, J. Doe'")
    export = _whole(ctx, number)
    act = replace(ctx.act, reason=f"to {to} on {at}" + (f": {ctx.act.reason}" if ctx.act.reason else ""))
    details = {"to": to, "on": at, "payload": export.payload}
    exports.note(ctx.connection, export, "handed over", act, details)
    return export


def note_timestamp(ctx: VerbContext, number: int, digest: str) -> ExportView:
    """Note the SHA-256 of a timestamp of an export. Raises NotFound, NotAllowed, LedgerError."""
    cases.check_is_records(ctx, "note a timestamp")
    export = _whole(ctx, number)
    exports.note(ctx.connection, export, "timestamped", ctx.act, {"timestamp": digest, "tags": export.tags})
    return export


def _whole(ctx: VerbContext, number: int) -> ExportView:
    export = find(ctx, number)
    if export.done_at is None:
        raise LedgerError(f"{export.id}: it is not whole yet: run the same `gatekeeper audit export` again")
    return export


def signing_key(store: Store, new: bytes) -> bytes:
    """Return the key that this database signs with, a new one at first."""
    return store.call(partial(named_secret, name=_SIGNING, new=new))
