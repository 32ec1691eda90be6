"""Copies that are one text, texts that are two, and how often a real text keeps its fingerprint."""

import random
import re
from itertools import combinations

import pytest

from gatekeeper.mail import read_facts
from gatekeeper.mail.fingerprint import fingerprint
from tests.mail.samples import HEAD, corpus, corpus_facts, message, mixed

TEXT = """Dear Ann,

the annual survey of all employees has started today and runs for three weeks. Please take ten minutes to tell us
what works well in your office and what should be changed; all answers are anonymous, and a summary is published in
the spring. Your personal link is https://forms.example.org/survey?id=4711 and your number is 4711.

Many thanks for taking part,
the personnel office
"""
OTHER = TEXT.replace("survey", "picnic").replace("answers are", "families can be").replace("office", "park")

COPIES = {
    "another greeting": TEXT.replace("Dear Ann,", "Good morning Mr. Bob Smith!"),
    "greeting on the first line": TEXT.replace("Dear Ann,\n\n", "Hello Bob, "),
    "no greeting": TEXT.replace("Dear Ann,\n\n", ""),
    "another link and number": TEXT.replace("4711", "0815x"),
    "a name inside": TEXT.replace("your office", "your office, Bob,"),
    "a salt": TEXT + "\n\nref 8f3a-77\n",
    "a signature": TEXT + "\n-- \nBob Smith\nlead of something or other\n",
    "a quote": TEXT + "\nOn Monday Bob wrote:\n> an older text about something else\n> of two lines\n",
    "an old message": TEXT + "\n-----Original Message-----\nFrom: Bob\n\nan older text about something else\n",
    "a list footer": TEXT + "\n____________________________\nstaff mailing list\nhttps://lists.example.gov/staff\n",
    "a disclaimer": TEXT + "\n\nThis mail is confidential. If you are not the intended recipient, delete it.\n",
    "other line ends": TEXT.replace("\n", "\r\n"),
    "look-alikes": TEXT.replace("a", "а").replace("e", "е"),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copy_keeps_the_fingerprint(copy):
    assert fingerprint(copy) == fingerprint(TEXT) is not None


def test_another_text_has_another():
    assert fingerprint(OTHER) not in (None, fingerprint(TEXT))


QUOTED = "> " + TEXT.replace("\n", "\n> ")


@pytest.mark.parametrize("text", ["", "Hello,\n\nsee attached.\n\nBob", QUOTED, "https://a.example " * 50])
def test_too_little_to_tell(text):
    assert fingerprint(text) is None


def test_html_alone_or_beside_the_plain_text():
    html = "<html><style>p {color: red}</style><p>" + TEXT.replace("\n\n", "</p>\r\n\r\n<p>") + "</p></html>"
    both = mixed("--b", "", TEXT, "--b", "Content-Type: text/html", "", html, "--b--", kind="alternative")
    assert read_facts(both).fingerprint == fingerprint(TEXT)
    alone = message(*HEAD, "Content-Type: text/html", "", html)
    assert read_facts(alone).fingerprint == fingerprint(TEXT)


def test_a_forwarded_message_is_not_the_own_text():
    content = mixed("--b", "", TEXT, "--b", "Content-Type: message/rfc822", "", "From: a@b", "", OTHER, "--b--")
    assert read_facts(content).fingerprint == fingerprint(TEXT)


def test_a_language_without_spaces():
    text = (
        "本日より全職員を対象とした年次調査が始まりました。三週間以内にご回答ください。"
        "結果は春に公表されます。回答は匿名です。皆様のご協力をお願いいたします。どうぞよろしくお願い申し上げます。"
    )
    assert fingerprint(text) not in (None, fingerprint(text.replace("調査", "遠足").replace("回答", "参加")))


def test_real_texts_of_different_subjects_hardly_share_one():
    by_fingerprint: dict[str, set[str]] = {}
    facts = corpus_facts()
    for one in facts:
        if one.fingerprint:
            by_fingerprint.setdefault(one.fingerprint, set()).add(one.subject_key)
    joined = sum(1 for subjects in by_fingerprint.values() for _ in combinations(subjects, 2))
    assert len(by_fingerprint) > 0.8 * len(facts)
    assert joined <= 10  # headlines of a day, commits to two branches


def test_most_real_texts_survive_a_salt():
    seeded = random.Random(1)
    texts = [content.decode("latin-1").partition("\r\n\r\n")[2] for content in corpus()[::10]]
    texts = [text for text in texts if fingerprint(text)]
    salted = [f"Dear Bob,\r\n\r\n{re.sub('[0-9]', '7', text)}\r\n\r\n{seeded.getrandbits(32):x}7\r\n" for text in texts]
    kept = sum(fingerprint(text) == fingerprint(copy) for text, copy in zip(texts, salted, strict=True))
    assert kept > 0.95 * len(texts)
