"""The JSON of what the messages of a mailing contain, for whoever reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatekeeper.ledger.service import Reading
from gatekeeper.message import DEFECTS
from gatekeeper.message.preview import Contents
from gatekeeper.model import Mailbox


def reading_document(reading: Reading, contents: Sequence[Contents]) -> dict[str, Any]:
    """Return the messages that somebody reads as a JSON object; texts are as they came, unseen characters and all."""
    read = zip(reading.batches, contents, strict=True)
    return {
        "id": reading.mailing.id,
        "messages": [{"batch": batch.id, **contents_document(each)} for batch, each in read],
        "more": reading.more,
    }


def contents_document(contents: Contents) -> dict[str, Any]:
    """Return one message as a JSON object."""
    facts = contents.facts
    return {
        "from": [_mailbox(box) for box in facts.author],
        "to": [_mailbox(box) for box in facts.to],
        "cc": [_mailbox(box) for box in facts.cc],
        "subject": facts.subject,
        "defects": [{"defect": name, "text": DEFECTS[name]} for name in facts.defects],
        "texts": [{"type": part.type, "text": part.text, "cut": part.is_cut} for part in contents.texts],
        "links": list(contents.links),
        "files": [
            {"name": file.name, "type": file.type, "size": file.size, "sha256": file.digest or None}
            for file in contents.files
        ],
    }


def _mailbox(box: Mailbox) -> dict[str, str]:
    return {"name": box.name, "address": box.address}
