"""Which recorded decisions may not age out: those about what a hold in force or an open case keeps.

Of mail with a number the record goes with its mailing; of ordinary mail by the keyed hash of its sender, and its time.
"""

from __future__ import annotations

import json

from gatekeeper.audit.record import Frame, Record
from gatekeeper.store import Connection, audit_chain, preserved
from gatekeeper.store.preserved import Hold


def lines_kept(connection: Connection, lines: list[bytes]) -> bool:
    """Return True where one of the lines of a block may not be destroyed."""
    records = [Record._make(json.loads(line)) for line in lines if line.startswith(b"[")]
    numbered = {record.key for record in records if record.mailing and record.key is not None}
    if preserved.kept(connection, numbered):
        return True
    holds = preserved.holds_in_force(connection)
    frames = audit_chain.read_frames(connection) if any(hold.row["agencies"] for hold in holds) else {}
    return any(_keeps(hold, record, frames) for hold in holds for record in records)


def _keeps(hold: Hold, record: Record, frames: dict[str, str]) -> bool:
    """Return True where a record of ordinary mail is in the scope of a hold, or may be."""
    if record.mailing or not hold.covers(record.at, record.at):
        return False
    if hold.names_people:
        return record.source in hold.recorded_names
    return bool(hold.row["agencies"]) and _agency(record, frames) in hold.row["agencies"]


def _agency(record: Record, frames: dict[str, str]) -> object:
    """Return the agency of the sender that a record has; None where it has none."""
    text = frames.get(record.frame)
    names = Frame.read(text).fields if text else ()
    return record.values[names.index("sender_agency")] if "sender_agency" in names else None
