"""The payload of a bag: mailings with their messages, requests, permits, rules, audit lines, and an index of all.

Nothing in it depends on when it was exported or by whom, so that the same export has the same payload again.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from io import SEEK_END
from itertools import chain, islice
from tempfile import TemporaryFile
from typing import IO, Any

from gatekeeper.api.mailings import batch_document, envelope_document, mailing_case_document
from gatekeeper.api.permits import permit_case_document, suspension_document
from gatekeeper.api.report.csv_files import safe_cell
from gatekeeper.api.requests import request_case_document
from gatekeeper.archive.bag import Bag, BagFile
from gatekeeper.archive.mbox import mbox_entry
from gatekeeper.archive.premis import PremisEvent, PremisObject, premis
from gatekeeper.ledger.exporting import ExportPlan
from gatekeeper.ledger.mailing_cases import MailingCopy
from gatekeeper.ledger.service import LedgerService
from gatekeeper.lib.moments import moment_of, utc_text
from gatekeeper.lifecycle import BatchState
from gatekeeper.store.batch_views import StoredBatch
from gatekeeper.store.passed import NOT_KEPT

_COLUMNS = (
    *("control_number", "mailing", "batch", "date", "from", "subject", "recipients", "users", "state", "tag", "file"),
    "sha256",
)
_AGENT = "gatekeeper"
_AT_ONCE = 500


class Spool:
    """Rows of JSON values that are read again, in a file of no name: there may be a million."""

    def __init__(self) -> None:
        self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115 - it goes with the object

    def add(self, row: Iterable[Any]) -> None:
        """Add a row."""
        self._file.write(_line(list(row)))

    def __iter__(self) -> Iterator[list[Any]]:
        self._file.seek(0)
        yield from map(json.loads, self._file)
        self._file.seek(0, SEEK_END)


@dataclass
class Payload:
    """Writes the payload of one export.

    Args: `on_step` is called after each mailing and each other thing; `prefix` of control numbers, "" for none;
    `mbox` writes one a mailing besides.
    """

    service: LedgerService
    plan: ExportPlan
    bag: Bag
    by: str
    prefix: str = ""
    mbox: bool = False
    on_step: Callable[[int], None] = lambda steps: None
    _index: Spool = field(default_factory=Spool)
    _objects: Spool = field(default_factory=Spool)
    _events: Spool = field(default_factory=Spool)
    _lost: Spool = field(default_factory=Spool)

    @property
    def steps(self) -> int:
        """The number of steps that it takes."""
        plan = self.plan
        return len(plan.mailings) + len(plan.requests) + len(plan.permits) + len(plan.suspensions) + 1

    def write(self) -> None:
        """Write all of it but messages that are there already. Raises OSError, StoreError, LedgerError."""
        for number, digests in self.plan.mailings.items():
            self._mailing(self.service.export_copy(number, digests, self.by))
            self.on_step(1)
        self._matters()
        self._audit()
        self._indexes()
        self.on_step(1)

    # -- mailings ----------------------------------------------------------------------------------------------

    def _mailing(self, copy: MailingCopy) -> None:
        folder = f"data/mailings/{copy.case.mailing.id}"
        self._json(f"{folder}/mailing.json", mailing_case_document(copy.case))
        things = [_thing(copy, batch) for batch in copy.batches]
        numbers = self.service.control_numbers(self.plan.export, things, self.by) if self.prefix else {}
        for batch, thing in zip(copy.batches, things, strict=True):
            path = f"{folder}/{thing}.eml"
            written = self.bag.add(path, partial(self.service.stream, batch.body), batch.body.hex())
            envelope = {
                **batch_document(batch),
                "envelope": envelope_document(batch),
                "file": f"{thing}.eml",
                "added_when_sent": _trace(batch),
            }
            self._json(f"{folder}/{thing}.envelope.json", envelope)
            self._note(copy, batch, written, self.prefix and f"{self.prefix}-{numbers[thing]:06}")
        for event in copy.case.events:
            if event.act == NOT_KEPT:
                self._lost.add((copy.case.mailing.id, None, None, "message", f"{NOT_KEPT}: {event.text}"))
        if self.mbox and copy.batches:
            self.bag.add(f"{folder}/{copy.case.mailing.id}.mbox", partial(self._mbox, copy))

    def _mbox(self, copy: MailingCopy) -> Iterator[bytes]:
        for batch in copy.batches:
            yield from mbox_entry(batch.sender, moment_of(batch.received_at), self.service.stream(batch.body))

    def _note(self, copy: MailingCopy, batch: StoredBatch, written: BagFile, number: str) -> None:
        mailing, path = copy.case.mailing, written.path
        row = (
            *(number or None, mailing.id, batch.id, utc_text(batch.received_at), mailing.sender, mailing.subject),
            *(
                None if batch.state is BatchState.PASSED else batch.tally.recipients,
                mailing.counts.users,
                batch.state.value,
                None,
                path,
                written.sha256,
            ),
        )
        self._index.add(row)
        self._objects.add((path, written.size, written.sha256))
        self._events.add(("ingestion", utc_text(batch.received_at), f"came in as {mailing.id}", _AGENT, path))
        for event in copy.case.events:
            if kind := _PREMIS.get(event.act):
                self._events.add((kind, utc_text(event.at), event.text or event.act, event.by or _AGENT, path))

    # -- requests, permits, suspensions ------------------------------------------------------------------------

    def _matters(self) -> None:
        service = self.service
        for number in self.plan.requests:
            self._json(f"data/requests/R-{number}.json", request_case_document(service.show_request(number)))
            self.on_step(1)
        for number in self.plan.permits:
            self._json(f"data/permits/P-{number}.json", permit_case_document(service.show_permit(number)))
            self.on_step(1)
        for number in self.plan.suspensions:
            self._json(f"data/suspensions/S-{number}.json", suspension_document(service.suspension(number)))
            self.on_step(1)

    # -- audit -------------------------------------------------------------------------------------------------

    def _audit(self) -> None:
        lines = self.service.audit_lines(self.plan)
        rows = (
            {
                "chain": each.chain,
                "record": each.record,
                "before": each.before.hex(),
                "after": each.after.hex(),
                "line": each.line.decode("utf-8", "replace"),
            }
            for each in lines
        )
        self.bag.add("data/audit/lines.jsonl", lambda: (_line(row) for row in rows))
        for digest, text in sorted(self.service.rulesets_of(each.line for each in lines).items()):
            self.bag.add(f"data/rules/{digest}.yaml", partial(_whole, text))

    # -- indexes -----------------------------------------------------------------------------------------------

    def _indexes(self) -> None:
        self.bag.add("data/index.csv", lambda: csv_chunks(_COLUMNS, self._index))
        self.bag.add("data/index.jsonl", lambda: (_line(dict(zip(_COLUMNS, row, strict=True))) for row in self._index))
        self.bag.add("data/premis.xml", lambda: premis(self._premis_objects(), self._premis_events()))
        columns = ("mailing", "batch", "sha256", "part", "why")
        self.bag.add("data/exceptions.csv", lambda: csv_chunks(columns, self._exceptions()))

    def _premis_objects(self) -> Iterator[PremisObject]:
        return (PremisObject(*row) for row in self._objects)

    def _premis_events(self) -> Iterator[PremisEvent]:
        return (PremisEvent(kind, at, detail, agent, (path,)) for kind, at, detail, agent, path in self._events)

    def _exceptions(self) -> Iterator[tuple[Any, ...]]:
        """Yield the parts of messages that no search finds, some messages at a time; then messages that were lost."""
        rows = iter(self._index)
        while some := list(islice(rows, _AT_ONCE)):
            parts = self.service.unsearched_of({bytes.fromhex(row[-1]) for row in some})
            for row in some:
                yield from ((row[1], row[2], row[-1], part, why) for part, why in parts.get(row[-1], ()))
        yield from map(tuple, self._lost)

    def _json(self, path: str, document: Any) -> None:
        self.bag.add(path, partial(_whole, json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"))


_PREMIS = {"held": "policy assignment", "approved": "policy assignment", "denied": "policy assignment"}


def _thing(copy: MailingCopy, batch: StoredBatch) -> str:
    return f"{copy.case.mailing.id}-{batch.id}"


def _trace(batch: StoredBatch) -> str:
    """Return the field that stands before the message where it is sent on; the message itself is as it came in."""
    return batch.trace.decode("utf-8", "replace")


def _whole(text: str) -> Iterable[bytes]:
    return [text.encode("utf-8", "backslashreplace")]


def _line(row: Any) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def csv_chunks(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[bytes]:
    """Yield rows as CSV (RFC 4180), in which no text is a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    for row in chain([columns], rows):
        writer.writerow(map(safe_cell, row))
        yield text.getvalue().encode("utf-8", "backslashreplace")
        text.seek(0)
        text.truncate()
