"""Real mail against a second reader, the standard library's; ordinary mail has hardly any defects."""

import email
import email.header
import email.utils
from email.message import Message

import pytest

from gatekeeper.message import read_facts
from tests.message.samples import corpus, corpus_facts

SHARE_OF_DEFECTS = 0.006


@pytest.fixture(scope="module")
def pairs():
    """Facts, what the second reader made of it, and the message: of every fourth message, which are enough."""
    oracles = map(email.message_from_bytes, corpus()[::4])
    return list(zip(corpus_facts()[::4], oracles, corpus()[::4], strict=True))


def test_ordinary_mail_has_hardly_any_defects():
    with_defects = [facts.defects for facts in corpus_facts() if facts.defects]
    assert len(with_defects) <= SHARE_OF_DEFECTS * len(corpus_facts()), with_defects


def decoded(message: Message, name: str) -> str:
    value = message.get(name) or ""
    return str(email.header.make_header(email.header.decode_header("".join(str(value).splitlines()))))


def test_subjects_are_the_same(pairs):
    for facts, oracle, _ in pairs:
        if not facts.defects:
            assert "".join((facts.subject or "").split()) == "".join(decoded(oracle, "subject").split())


def test_addresses_are_the_same(pairs):
    for facts, oracle, _ in pairs:
        for name, boxes in (("from", facts.author), ("to", facts.to), ("cc", facts.cc)):
            found = [address for _, address in email.utils.getaddresses(oracle.get_all(name, [])) if address]
            assert [box.address for box in boxes] == found


def test_types_and_names_of_parts_are_the_same(pairs):
    for facts, oracle, _ in pairs:
        names = [part.get_filename() for part in oracle.walk() if part.get_filename() and not part.is_multipart()]
        kinds = {part.get_content_type() for part in oracle.walk()}
        ours = [file.name for file in facts.attachments if file.name]
        if not {"multipart/signed", "multipart/related", "multipart/report"} & kinds:
            assert ours == names
        assert {file.type for file in facts.attachments} <= kinds


def test_a_line_end_more_or_less_changes_no_fact_but_the_size(pairs):
    for facts, _, content in pairs[::25]:
        other = read_facts(content.replace(b"\r\n", b"\n"))
        assert other.content_digest == facts.content_digest
        assert (other.subject, other.fingerprints, other.links) == (facts.subject, facts.fingerprints, facts.links)
