"""Copies of a text share a fingerprint, different texts share none: on one text, and measured on real ones."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import combinations

import pytest

from gatekeeper.message import read_facts
from gatekeeper.message.fingerprint import FINGERPRINTS, content_words, fingerprints
from gatekeeper.message.words import _known_folded
from gatekeeper.model import Facts
from tests.message.changes import CHANGES, Change
from tests.message.dressings import PLACES, SPACES
from tests.message.dressings import WORDS as WORDS_DRESSED
from tests.message.samples import HEAD, corpus, corpus_facts, message, mixed, own_texts

TEXT = """Dear Ann,

the annual survey of all employees has started today and runs for three weeks. Please take ten minutes to tell us
what works well in your office and what should be changed; all answers are anonymous, and a summary is published in
the spring. Your personal link is https://forms.example.org/survey?id=4711 and your number is 4711.

Many thanks for taking part,
the personnel office
"""
OTHER = """Dear Ann,

the yearly picnic of our office takes place on the last weekend of the month. Please bring your families and tell us
how many of you are coming, so that there is enough to eat for everybody; drinks are free, and a bus leaves from the
main entrance. Your personal link is https://forms.example.org/picnic?id=4711 and your number is 4711.

Many thanks for taking part,
the personnel office
"""

COPIES = {
    "another greeting": TEXT.replace("Dear Ann,", "Good morning Mr. Bob Smith!"),
    "greeting on the first line": TEXT.replace("Dear Ann,\n\n", "Hello Bob, "),
    "no greeting": TEXT.replace("Dear Ann,\n\n", ""),
    "another link and number": TEXT.replace("4711", "0815x"),
    "a name inside": TEXT.replace("your office", "your office, Bob,"),
    "a salt": TEXT + "\n\nref 8f3a-77\n",
    "a signature": TEXT + "\n-- \nBob Smith\nlead of something or other\n",
    "a signature below a closing": TEXT + "\nKind regards,\nBob Smith\nlead of something or other\n",
    "a quote": TEXT + "\nOn Monday Bob wrote:\n> an older text about something else\n> of two lines\n",
    "an old message": TEXT + "\n-----Original Message-----\nFrom: Bob\n\nan older text about something else\n",
    "a list footer": TEXT + "\n____________________________\nstaff mailing list\nhttps://lists.example.gov/staff\n",
    "a disclaimer": TEXT + "\n\nThis mail is confidential. If you are not the intended recipient, delete it.\n",
    "a disclaimer in the same paragraph": TEXT.rstrip() + " If you are not the intended recipient, delete it.\n",
    "a banner": "External email: do not click links unless you know the sender.\n\n" + TEXT,
    "other line ends": TEXT.replace("\n", "\r\n"),
    "other line breaks": TEXT.replace("and", "\nand"),
    "look-alikes": TEXT.replace("a", "а").replace("e", "е"),
}


PLAIN = "Content-Type: text/plain; charset=utf-8"


def share(one: str, other: str) -> bool:
    return not set(fingerprints(one)).isdisjoint(fingerprints(other))


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copy_keeps_all_fingerprints(copy):
    assert fingerprints(copy) == fingerprints(TEXT)
    assert len(fingerprints(TEXT)) == FINGERPRINTS


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_mostly_shares_one(change: Change):
    copies = [change(TEXT, random.Random(seed)) for seed in range(20)]
    assert sum(share(copy, TEXT) for copy in copies) >= 10


def test_another_text_shares_none():
    assert fingerprints(OTHER)
    assert not share(OTHER, TEXT)


QUOTED = "> " + TEXT.replace("\n", "\n> ")


@pytest.mark.parametrize("text", ["", "Hello,\n\nsee attached.\n\nBob", QUOTED, "https://a.example " * 50])
def test_too_little_to_tell(text):
    assert fingerprints(text) == ()


def test_a_text_in_capitals():
    assert fingerprints(TEXT.upper().replace("4711", "0815")) == fingerprints(TEXT.upper())
    assert fingerprints(TEXT.upper())


def test_a_text_without_spaces_is_not_kept():
    """It is one token of thousands of octets, whose pairs take fifty times that: thousands of these would be a GB."""
    before = _known_folded.cache_info().currsize
    assert fingerprints("".join(map(chr, range(0x4E00, 0x5200))))
    assert _known_folded.cache_info().currsize == before


def test_the_sample_is_bounded():
    assert len(content_words(TEXT * 1000)) < 200


@pytest.mark.parametrize(
    "filler", ["\r\n" * 40_000, " " * 70_000, "\r\n." * 2_000, "\r\n> x" * 1_000 + "\r\n" * 40_000]
)
def test_what_stands_far_below_the_first_line_is_compared(filler):
    assert set(read_facts(message(*HEAD, "", f"Bob\r\n{filler}{TEXT}")).fingerprints) & set(fingerprints(TEXT))


def test_html_alone_or_beside_the_plain_text():
    html = "<html><style>p {color: red}</style><p>" + TEXT.replace("\n\n", "</p>\r\n\r\n<p>") + "</p></html>"
    both = mixed("--b", "", TEXT, "--b", "Content-Type: text/html", "", html, "--b--", kind="alternative")
    assert read_facts(both).fingerprints == fingerprints(TEXT)
    alone = message(*HEAD, "Content-Type: text/html", "", html)
    assert read_facts(alone).fingerprints == fingerprints(TEXT)


def test_a_forwarded_message_is_not_the_own_text():
    content = mixed("--b", "", TEXT, "--b", "Content-Type: message/rfc822", "", "From: a@b", "", OTHER, "--b--")
    assert read_facts(content).fingerprints == fingerprints(TEXT)


JAPANESE = (
    "本日より全職員を対象とした年次調査が始まりました。三週間以内にご回答ください。"
    "結果は春に公表されます。回答は匿名です。皆様のご協力をお願いいたします。どうぞよろしくお願い申し上げます。"
)
OTHER_JAPANESE = (
    "来月の最終土曜日に恒例の職員親睦会を中央公園で開催いたします。ご家族の参加も歓迎します。"
    "参加人数を今週中に総務課までお知らせください。飲み物は無料です。"
)
GERMAN = (
    "die jährliche Befragung aller Beschäftigten hat heute begonnen und läuft drei Wochen. Bitte nehmen Sie sich zehn\n"
    "Minuten und sagen uns, was gut läuft und was wir ändern müssen; alle Antworten bleiben anonym, und im Frühjahr\n"
    "veröffentlichen wir, was dabei herausgekommen ist.\n"
)


@pytest.mark.parametrize("text", [JAPANESE, GERMAN])
def test_other_languages(text):
    copies = [f"{start}{text}{end}" for start in ("", "Bob,\n\n") for end in ("", "\n\n8f3a77\n", "\n\n職員課 鈴木\n")]
    assert all(share(copy, text) for copy in copies)
    assert not share(text, OTHER_JAPANESE)


# -- on real mail: what docs/mailings.md publishes ----------------------------------------------------------------


def joined(every: Iterable[tuple[str, ...]]) -> Iterator[tuple[int, int]]:
    """Pairs of messages, by their place in the order, that share a fingerprint."""
    by_fingerprint: dict[str, list[int]] = defaultdict(list)
    for number, ones in enumerate(every):
        for one in ones:
            by_fingerprint[one].append(number)
    yield from {pair for numbers in by_fingerprint.values() for pair in combinations(numbers, 2)}


def false_joins() -> tuple[int, int]:
    """Pairs of real messages of different subjects that share a fingerprint: all, and those of one author."""
    facts = corpus_facts()
    pairs = [(facts[one], facts[other]) for one, other in joined(each.fingerprints for each in facts)]
    different = [(one, other) for one, other in pairs if one.subject_key != other.subject_key]
    return len(different), sum(addresses(one) == addresses(other) for one, other in different)


def addresses(facts: Facts) -> list[str]:
    return [author.address.lower() for author in facts.author]


@cache
def real_texts(every: int) -> tuple[str, ...]:
    return tuple(text for text in map(own_texts, corpus()[::every]) if fingerprints(text))


def of_words(least: int, texts: Iterable[str]) -> list[str]:
    return [text for text in texts if len(content_words(text)) >= least]


def recall(change: Change, texts: Iterable[str]) -> float:
    """Share of texts that have a fingerprint in common with their changed copy."""
    found = [share(text, change(text, random.Random(seed))) for seed, text in enumerate(texts)]
    return sum(found) / len(found)


def false_joins_by_short_key() -> dict[str, tuple[int, int]]:
    """By kind of short key, how many messages have one, and how many pairs of one author and two subjects share one."""
    by_key: dict[str, list[Facts]] = defaultdict(list)
    for facts in corpus_facts():
        if facts.short_key:
            by_key[facts.short_key].append(facts)
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for key, every in by_key.items():
        different = [pair for pair in combinations(every, 2) if pair[0].subject_key != pair[1].subject_key]
        kind = key.partition(":")[0]
        number, pairs = found[kind]
        found[kind] = number + len(every), pairs + sum(addresses(one) == addresses(other) for one, other in different)
    return found


def dressed_recall(dress: Change, texts: Iterable[str]) -> float:
    """Share of texts that have a key in common with their dressed copy, read as whole messages."""
    found = []
    for seed, text in enumerate(texts):
        one, other = (read_facts(message(*HEAD, PLAIN, "", each)) for each in (text, dress(text, random.Random(seed))))
        found.append(not set(one.fingerprints).isdisjoint(other.fingerprints))
    return sum(found) / len(found)


def test_real_texts_of_different_subjects_hardly_share_one():
    assert sum(map(bool, (one.fingerprints for one in corpus_facts()))) > 0.75 * len(corpus_facts())
    everywhere, within_author = false_joins()
    assert everywhere <= 50
    assert within_author <= 10


def test_few_words_of_one_author_are_hardly_ever_those_of_another_subject():
    """Links of two machines that send headlines aside, each with a number in its path or its query."""
    found = false_joins_by_short_key()
    assert found["words"][0] > 250
    assert found["words"][1] <= 5


@pytest.mark.parametrize("name", [*WORDS_DRESSED, *SPACES, *PLACES])
def test_real_texts_survive_dressings(name):
    dress = (WORDS_DRESSED | SPACES | PLACES)[name]
    assert dressed_recall(dress, of_words(24, real_texts(25))) > 0.8


@pytest.mark.parametrize("name", CHANGES)
def test_real_texts_survive_changes(name):
    least = 0.5 if name == "the order of all sentences" else 0.8  # the sample of a long text becomes another one
    assert recall(CHANGES[name], real_texts(25)) > least - 0.05
    assert recall(CHANGES[name], of_words(30, real_texts(25))) > least


@pytest.mark.soak
def test_the_tables_of_the_docs(capsys):
    """Prints them; run it after a change of a constant and copy what it says."""
    with capsys.disabled():
        print()
        for name, change in CHANGES.items():
            rates = [recall(change, of_words(least, real_texts(1))) for least in (0, 30, 60)]
            print(f"| {name} | " + " | ".join(f"{rate:.1%}" for rate in rates) + " |")
            assert min(rates) > 0.4
        for name, dress in (WORDS_DRESSED | SPACES | PLACES).items():
            rates = [dressed_recall(dress, of_words(least, real_texts(2))) for least in (0, 30, 60)]
            print(f"| {name} | " + " | ".join(f"{rate:.1%}" for rate in rates) + " |")
        print("short keys, and pairs of one author that share one", dict(false_joins_by_short_key()))
        print([len(of_words(least, real_texts(1))) for least in (0, 30, 60)], "texts; false joins", false_joins())
