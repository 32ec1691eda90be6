"""Values that databases hold: a message must give the same ones for ever, or its resends and copies are not found."""

from hashlib import sha256

from gatekeeper.address import Addresses
from gatekeeper.message import read_facts
from gatekeeper.message.mailing_keys import batch_identity, keys
from gatekeeper.model import Client, Recipient, Source, Transaction
from tests.message.samples import corpus_facts, message

TEXT = "Open enrolment begins on Monday and every employee must choose a health plan before the window closes again."
CONTENT = message(
    "Received: from a by b; now",
    "From: Ann <ann@example.gov>",
    "To: all-staff@example.gov",
    "Subject: Fwd: [staff] Open Enrolment (2/5)",
    "Message-ID: <1@example.gov>",
    'Content-Type: multipart/alternative; boundary="b"',
    "",
    "--b",
    "Content-Type: text/plain; charset=utf-8",
    "",
    TEXT,
    "--b",
    "Content-Type: text/html; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    f"<p>{TEXT[:60]}=",
    f"{TEXT[60:]}</p>",
    "--b--",
)
COPY = "1e1-2c5cc739"
DIGEST = "ebf25e9222da2bcfd8eed176eeb09ee014099da85dd631e4a731e02e8c4638e9"
FINGERPRINTS = ("0-056106d39b3f2b03", "1-b02f3d8a413e1762", "2-413e1762c410be8e", "3-fef75ee666acf118")
IDENTITY = "7b8a86906fd8b1f61f72ccd1aec3e52211a145bbd12c50f546586f6f52109573"
OF_THE_CORPUS = "68bdf3e7c8f0b85c313ea334e3e725c1a3ed5a4014501b3f2f11d8e3fd5bdd09"


def test_digest_keys_and_identity_of_a_message():
    facts = read_facts(CONTENT)
    assert (facts.content_digest, facts.subject_key) == (DIGEST, "open enrolment")
    assert facts.fingerprints == FINGERPRINTS
    recipients = (Recipient("Bob@Example.gov"), Recipient('"jo"@example.gov'), Recipient("bob@example.gov"))
    batch = Transaction("smtp", Client("192.0.2.1"), "Ann@example.gov", recipients, CONTENT, upstream="4XyZ@192.0.2.9")
    assert batch_identity(batch.sender, Addresses(batch.addresses), facts) == IDENTITY
    found = keys(batch, facts, Source("ann@example.gov"))
    assert found.strong == ("queue:192.0.2.9:4XyZ", f"message:1@example.gov:{COPY}")
    assert found.weak == ("subject:open enrolment", *(f"text:{each}" for each in FINGERPRINTS))


def test_digests_subjects_fingerprints_and_short_keys_of_real_mail():
    lines = (
        f"{each.content_digest} {each.subject_key} {' '.join(each.fingerprints)} {each.short_key}\n"
        for each in corpus_facts()
    )
    assert sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest() == OF_THE_CORPUS
