"""What joins transactions into a mailing, and what makes a batch a resend."""

from __future__ import annotations

from dataclasses import replace

from gatekeeper.address import Addresses
from gatekeeper.message.mailing_keys import batch_identity, keys
from gatekeeper.model import Client, Facts, Recipient, Source, Transaction

SOURCE = Source("jo@example.gov")
FACTS = Facts(
    message_id="1@example.gov",
    content_digest="c0ffee",
    copy_digest="c0py",
    subject_key="picnic",
    fingerprints=("0-f00d", "1-cafe"),
)
BATCH = Transaction(
    listener="smtp",
    client=Client("192.0.2.7"),
    sender="jo@example.gov",
    recipients=(Recipient("ann@example.gov"), Recipient("bob@example.org")),
    content=b"",
    upstream="4XyZ@192.0.2.1",
)


def test_keys_of_a_whole_message() -> None:
    found = keys(BATCH, FACTS, SOURCE)
    assert found.strong == ("queue:192.0.2.1:4XyZ", "message:1@example.gov:c0py")
    assert found.weak == ("subject:picnic", "text:0-f00d", "text:1-cafe")


def test_few_words_are_a_key_of_their_own() -> None:
    few = replace(FACTS, fingerprints=(), short_key="words:building closes early")
    assert keys(BATCH, few, SOURCE).weak == ("subject:picnic", "short:words:building closes early")


def test_what_is_missing_makes_no_key() -> None:
    bare = replace(BATCH, upstream=None)
    assert keys(bare, Facts(), SOURCE) == keys(bare, Facts(message_id="1@example.gov"), SOURCE)
    assert keys(bare, Facts(), SOURCE).strong == keys(bare, Facts(), SOURCE).weak == ()
    assert keys(bare, Facts(copy_digest="c0py"), SOURCE).strong == ()


def identity(batch: Transaction, facts: Facts) -> str:
    return batch_identity(batch.sender, Addresses(batch.addresses), facts)


def test_a_resend_is_the_same_batch() -> None:
    again = replace(
        BATCH,
        listener="milter",
        client=Client("192.0.2.8"),
        upstream=None,
        recipients=(Recipient("Bob@example.ORG", ("NOTIFY=NEVER",)), Recipient("ann@example.gov")),
    )
    assert identity(again, FACTS) == identity(BATCH, FACTS)


def test_another_envelope_or_message_is_another_batch() -> None:
    others = [
        identity(BATCH, FACTS),
        identity(replace(BATCH, sender=""), FACTS),
        identity(replace(BATCH, recipients=BATCH.recipients[:1]), FACTS),
        identity(BATCH, replace(FACTS, message_id=None)),
        identity(BATCH, replace(FACTS, message_id="")),
        identity(BATCH, replace(FACTS, content_digest="beef")),
    ]
    assert len(set(others)) == len(others)
