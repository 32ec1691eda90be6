"""Make the keys by which transactions belong to one mailing, and the identity by which a batch is a resend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256

from gatekeeper.address import Addresses, normalise
from gatekeeper.model import Facts, Keys, Source, Transaction, is_automatic


def keys(transaction: Transaction, facts: Facts, source: Source) -> Keys:
    """Return the keys that make this transaction one mailing with others (T1: contacting a group on one subject).

    Strong keys are the queue id at the MTA before us, with that MTA's address (one message there, however it was cut
    up), and the Message-ID with a digest of all that is shown but who sends it (one message, whichever way and under
    whatever name it came). Weak keys are the subject, never an empty one, and each fingerprint of the text; or, where
    that has too few words, what the message is. The keys hold nothing of `source`: the store looks weak keys up within
    the source's places. Automatic mail to one recipient is one mailing of each place.
    """
    if is_automatic(transaction, facts):
        return Keys(weak=("auto:",))
    return Keys(strong=tuple(_strong(transaction, facts)), weak=tuple(_weak(facts)))


def shared_text(transaction: Transaction, facts: Facts) -> str:
    """Return subject and text, by which mailings of several senders are counted together.

    Returns "" for mail without either, and for automatic mail and invitations, whose texts machines write.
    """
    text = facts.fingerprints[0] if facts.fingerprints else ""
    by_machine = is_automatic(transaction, facts) or facts.short_key.startswith("invitation:")
    return f"{facts.subject_key}\0{text}" if facts.subject_key and text and not by_machine else ""


def batch_identity(sender: str, recipients: Addresses, facts: Facts) -> str:
    """Return a hex SHA-256 that a kept batch and its resend share, and no other batch has.

    It covers envelope sender, recipients in any order, Message-ID and content, but no ESMTP parameters, trace fields or
    client.
    """
    # JSON keeps the values apart, so that no value can run into the next
    names = sorted(set(recipients.normalised))
    parts = json.dumps([normalise(sender), names, facts.message_id, facts.content_digest])
    return sha256(parts.encode("ascii")).hexdigest()


def _strong(transaction: Transaction, facts: Facts) -> Iterator[str]:
    if transaction.upstream:
        queue_id, _, peer = transaction.upstream.rpartition("@")
        yield f"queue:{peer}:{queue_id}"
    if facts.message_id and facts.copy_digest:
        yield f"message:{facts.message_id}:{facts.copy_digest}"


def _weak(facts: Facts) -> Iterator[str]:
    if facts.subject_key:
        yield f"subject:{facts.subject_key}"
    for fingerprint in facts.fingerprints:
        yield f"text:{fingerprint}"
    if facts.short_key:
        yield f"short:{facts.short_key}"
