"""The JSON of mailings, as the CLI, the HTTP API and the console show it."""

from __future__ import annotations

from typing import Any

from gatekeeper.api.timeline import agreements_document, timeline_document
from gatekeeper.ledger.service import MailingCase, MailingCopy
from gatekeeper.lib.moments import utc_text
from gatekeeper.store.batch_views import BatchView, StoredBatch
from gatekeeper.store.views import MailingView


def mailing_document(mailing: MailingView) -> dict[str, Any]:
    """Return a mailing as a JSON object, as listings show it."""
    return {
        "id": mailing.id,
        "state": mailing.state.value,
        "version": mailing.version,
        "sender": mailing.sender,
        "subject": mailing.subject,
        "users": mailing.counts.users,
        "external": mailing.counts.external,
        "agencies": sorted(mailing.counts.agencies),
        "batches": mailing.batches,
        "sent": mailing.sent,
        "refused": mailing.refused,
        "rules": [reason.rule for reason in mailing.reasons],
        "started": utc_text(mailing.started_at),
        "held": utc_text(mailing.held_at) if mailing.held_at else None,
        "forgotten": mailing.forgotten,
        "destroyed": mailing.destroyed,
        "disposed": mailing.disposed,
    }


def mailing_case_document(case: MailingCase) -> dict[str, Any]:
    """Return a mailing as a JSON object with its reasons, batches, approvals and timeline."""
    return {
        **mailing_document(case.mailing),
        "users_by_agency": dict(case.mailing.counts.agencies),
        "reached_before_hold": case.mailing.reached_before,
        "joined": dict(case.mailing.joined),
        "reasons": [
            {"rule": reason.rule, "action": reason.action.value, "cite": reason.cite, "text": reason.text}
            for reason in case.mailing.reasons
        ],
        "kept": [batch_document(batch) for batch in case.batches],
        **agreements_document(case.agreements, case.missing),
        "timeline": timeline_document(case.events),
    }


def export_file_name(copy: MailingCopy, batch: BatchView) -> str:
    """Return the name of the file that an export writes a batch's message to."""
    return f"{copy.case.mailing.id}-{batch.id}.eml"


def export_document(copy: MailingCopy) -> dict[str, Any]:
    """Return a mailing as a JSON object for export (policy C6): messages with file, envelope and deliveries."""
    kept = [
        {**batch_document(batch), "file": export_file_name(copy, batch), "envelope": envelope_document(batch)}
        for batch in copy.batches
    ]
    return {**mailing_case_document(copy.case), "kept": kept}


def envelope_document(batch: StoredBatch) -> dict[str, Any]:
    """Return the envelope of a message as a JSON object, with what became of each recipient."""
    return {
        "sender": batch.sender,
        "parameters": list(batch.parameters),
        "recipients": [
            {
                "address": view.recipient.address,
                "parameters": list(view.recipient.parameters),
                "state": view.state.value,
                "reply": view.reply,
            }
            for view in batch.recipients
        ],
    }


def batch_document(batch: BatchView) -> dict[str, Any]:
    """Return a stored message as a JSON object, without its recipients."""
    tally = batch.tally
    states = {"expired": tally.expired, "refused": tally.refused, "sent": tally.sent, "waiting": tally.waiting}
    return {
        "id": batch.id,
        "state": batch.state.value,
        "received": utc_text(batch.received_at),
        "sender": batch.sender,
        "client": batch.client.address,
        "login": batch.login,
        "listener": batch.listener,
        "message_id": batch.message_id,
        "size": batch.size,
        "recipients": {state: number for state, number in states.items() if number},
    }
