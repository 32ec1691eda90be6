"""The certificate of a disposal: what was destroyed, by whose word, and how. Its digest is in the chain of acts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from gatekeeper.lib.moments import utc_text
from gatekeeper.lifecycle import DisposalState
from gatekeeper.store import Connection
from gatekeeper.store.disposals import (
    CONTENT,
    DESTROYED,
    ELSEWHERE,
    KEPT,
    DisposalView,
    Item,
    items_of,
    list_disposals,
)

METHOD = {  # certificates are made again of these, so none is ever changed: what is done otherwise gets another name
    "sqlite": "Rows deleted with secure_delete (their octets are overwritten), their words merged out of the index, "
    "the write-ahead log emptied.",
    "postgresql": "Rows deleted, and their tables vacuumed: the space is free, and is overwritten as it is used again.",
}


def certificate(disposal: DisposalView, items: Iterable[Item], kind: str, done_at: float) -> dict[str, Any]:
    """Return the certificate of a disposal as JSON.

    Args: `kind` of database; `done_at` when it was done, which stands in the disposal only afterwards.
    """
    every = list(items)
    until = None if disposal.backups is None else done_at + disposal.backups
    return {
        "certificate": disposal.id,
        "class": disposal.name,
        "schedule": disposal.schedule or None,
        "cite": disposal.cite or None,
        "keep": disposal.keep,
        "cutoff": utc_text(disposal.cutoff),
        "list": disposal.digest,
        "proposed_by": disposal.proposed_by or None,
        "proposed": utc_text(disposal.proposed_at),
        "signed_by": disposal.signed_by,
        "signed": utc_text(disposal.signed_at),
        "signature_needed": not disposal.automatic,
        "done": utc_text(done_at),
        "method": METHOD[kind],
        "copies_in_backups_expire": None if until is None else utc_text(until)[:10],
        "destroyed": sum(item.state in (DESTROYED, ELSEWHERE) for item in every),
        "kept": sum(item.state == KEPT for item in every),
        "octets": sum(item.octets for item in every if item.state == DESTROYED),
        "items": [_item(item) for item in every],
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        **named(item),
        "sha256": item.digest,
        "octets": item.octets,
        "destroyed": item.state in (DESTROYED, ELSEWHERE),
        "why": "something else still has the same message" if item.state == ELSEWHERE else item.reason,
    }


def named(item: Item) -> dict[str, str]:
    """Return the name of an item as JSON has it: the mailing of a message, or another record."""
    return {"mailing" if item.kind == CONTENT else "record": item.name}


def digest_of(document: dict[str, Any]) -> str:
    """Return the SHA-256 of a certificate: of its JSON, keys in order, without blanks."""
    return sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# -- of what is done -----------------------------------------------------------------------------------------------

CERTIFIED = DisposalState.DONE


def certificate_of(disposal: DisposalView, items: Iterable[Item]) -> dict[str, Any]:
    """Return the certificate of a disposal that is done, as it was made on the kind of database that it was made on.

    Where its digest is none of these, somebody has changed it: the certificate is as the database has it now.
    """
    every, done_at = list(items), disposal.done_at or 0.0
    made = [certificate(disposal, every, kind, done_at) for kind in METHOD]
    return next((each for each in made if digest_of(each) == disposal.certificate), made[0])


def problems_of_certificates(connection: Connection) -> Iterator[str]:
    """Yield disposals whose certificate is not the one that the chain of acts has."""
    for disposal in list_disposals(connection, DisposalState.DONE):
        if (
            disposal.disposed is None
            and digest_of(certificate_of(disposal, items_of(connection, disposal))) != disposal.certificate
        ):
            yield f"{disposal.id}: what it says of its items is not what its certificate says"
