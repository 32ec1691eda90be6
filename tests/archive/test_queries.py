"""What a query means: read, and found alike by both databases and by the plainest program."""

from __future__ import annotations

import random
from functools import partial
from hashlib import sha256

import pytest

from gatekeeper.archive.query import MOST_WORDS, QueryError, read_query
from gatekeeper.archive.words import subject_words, words_of
from gatekeeper.store import batches, texts
from gatekeeper.store.texts import CONTENT, OVERLAP, PART, Made


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Open enrolment, 2026!", ["open", "enrolment", "2026"]),
        ("Bürgermeister ÉTÉ Straße", ["burgermeister", "ete", "strasse"]),
        ("ﬁle Ⅳ ｆｕｌｌ", ["file", "iv", "full"]),
        ("jo@doa.example.gov", ["jo", "doa", "example", "gov"]),
        ("会议记录", ["会", "议", "记", "录"]),
        ("Собрание ЖИЛЬЦОВ", ["собрание", "жильцов"]),
        ("a_b-c", ["a", "b", "c"]),
        ("enrol\u00adment free\u200bdom w\u2060o\ufeffrd \u202eback\u202c", ["enrolment", "freedom", "word", "back"]),
        ("I\u015eIK \u0131\u015f\u0131k \u0130zmir", ["isik", "isik", "izmir"]),
        ("\ud800lone", ["lone"]),
        ("", []),
    ],
)
def test_case_accents_and_forms_of_letters_do_not_count(text, words):
    assert words_of(text) == words


def test_no_word_of_a_text_is_taken_for_one_of_a_subject():
    assert subject_words("Open ˢopen") == ["ˢopen", "ˢsopen"] and words_of("ˢopen") == ["sopen"]


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("open enrolment", "enrolment AND open"),
        ('"open enrolment" -lost', '"open enrolment" AND NOT lost'),
        ("enrol* OR budget fair", "(enrol*) OR (budget AND fair)"),
        ("-lunch", "NOT lunch"),
        ("jo@doa.example.gov", '"jo doa example gov"'),
        ('"open enrol*"', '"open enrol*"'),
        ("or and not", "and AND not AND or"),
        ("re-enrol", '"re enrol"'),
        ("AND", "and"),
        ("(406)", "406"),
        ("f(x)", '"f x"'),
        ("call (406)555-0100", '"406 555 0100" AND call'),
        ("enrol**", "enrol*"),
        ('"*** sale ***"', "sale*"),
    ],
)
def test_a_query_says_how_it_was_read(text, read_as):
    assert str(read_query(text)) == read_as


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected words"),
        ('"open', 'a second "'),
        ("OR lunch", "either side"),
        ("lunch OR", "either side"),
        ("a OR OR b", "either side"),
        ("- lunch", "'-' has no letters"),
        ("*", "has no letters"),
        ("&&", "has no letters"),
        ("open AND enrolment", "AND: expected the words beside each other"),
        ("open NOT lunch", "NOT: expected a hyphen"),
        ("open AND NOT lunch", "AND: expected"),
        ("(sale OR bicycle) red", "expected no brackets"),
        ("red (sale OR bicycle)", "expected no brackets"),
        ("open -(sale OR bicycle)", "expected no brackets"),
        ("enr*ment", r"expected \* at the end"),
        ("*ment", r"expected \* at the end"),
        ('"open* enrolment"', r"expected \* at the end"),
        ('subject:"open enrolment"', "a blank before the first"),
        ('a"b c"', "a blank before the first"),
        (" ".join(["a"] * 101), "at most 100"),
        ('"' + " ".join(["a"] * (MOST_WORDS + 1)) + '"', f"at most {MOST_WORDS} words"),
    ],
)
def test_a_query_that_cannot_be_read_says_why(text, told):
    with pytest.raises(QueryError, match=told):
        read_query(text)


# -- both databases, and a program that knows no index -------------------------------------------------------------

WORDS = ["open", "enrolment", "enrol", "or", "and", "not", "not2", "5e3", "1", "12", "a", "会", "议", "собрание", "ete"]


def store_texts(store, documents):
    """Have these words searched, each as a message of its own; their ids."""
    made = []
    for number, words in enumerate(documents):
        content = f"{number}".encode()
        digest = sha256(content).digest()
        store.call(lambda c, digest=digest, content=content: batches.store_whole(c, digest, content, 0.0))
        made.append(Made(CONTENT, None, digest, tuple(words)))
    store.call(lambda connection: texts.write(connection, made, 0.0))
    return sorted(store.writer.read(texts.all_ids))


def found(store, query):
    def look(connection):
        return query.find(
            lambda phrase: texts.ids_with(connection, phrase.words, is_prefix=phrase.is_prefix),
            lambda: texts.all_ids(connection),
        )

    return store.writer.read(look)


def some_query(rng):
    """A query, and what it means: alternatives of (wanted, unwanted), each of (words, whether the last is a prefix)."""
    either = []
    for _ in range(rng.choice((1, 1, 2))):
        parts = [(rng.sample(WORDS, rng.choice((1, 1, 2, 3))), rng.random() < 0.2) for _ in range(rng.randint(1, 3))]
        either.append([(words, prefix, rng.random() < 0.25) for words, prefix in parts])
    text = " OR ".join(
        " ".join(
            "-" * unwanted + ('"' + " ".join(words) + '"' if len(words) > 1 else words[0]) + "*" * prefix
            for words, prefix, unwanted in parts
        )
        for parts in either
    )
    return text, either


def stands_in(words, prefix, document):
    """Whether they follow each other, as one reads it."""
    for at in range(len(document) - len(words) + 1):
        here = document[at : at + len(words)]
        if here[:-1] == words[:-1] and (here[-1].startswith(words[-1]) if prefix else here[-1] == words[-1]):
            return True
    return False


def model(either, documents):
    return {
        place
        for place, document in enumerate(documents)
        if any(all(stands_in(words, prefix, document) != not_ for words, prefix, not_ in parts) for parts in either)
    }


def test_both_databases_find_what_the_plainest_program_finds(store):
    rng = random.Random(22)
    documents = [rng.choices(WORDS, k=rng.randint(0, 9)) for _ in range(120)]
    ids = store_texts(store, documents)
    hits = 0
    for _ in range(400):
        text, either = some_query(rng)
        expected = {ids[place] for place in model(either, documents)}
        query = read_query(text)
        assert found(store, query) == expected, text
        assert {id for id, words in zip(ids, documents, strict=True) if query.matches(words)} == expected, text
        hits += len(expected)
    assert hits > 1_000


def test_a_long_text_is_found_whole_over_the_parts_that_it_is_stored_in(store):
    """Every phrase as long as a query may have, the ends of parts among them; and one word as often as can be."""
    words = [f"w{number}" for number in range(3 * PART + 7)]
    long, same = store_texts(store, [words, ["same"] * 2_000])
    for at in range(len(words) - MOST_WORDS + 1):
        if at % PART in (0, 1, PART - 1) or at % (PART - OVERLAP) < 3 or at > len(words) - MOST_WORDS - 2:
            phrase = words[at : at + MOST_WORDS]
            assert store.writer.read(lambda c, phrase=phrase: texts.ids_with(c, phrase)) == {long}
    assert store.writer.read(lambda c: texts.ids_with(c, ["same"] * MOST_WORDS)) == {same}
    assert store.writer.read(lambda c: texts.ids_with(c, ["w3", "w2"])) == set()


def test_what_is_forgotten_is_found_no_more(store):
    first, second = store_texts(store, [["open"], ["open", "enrolment"]])
    digest = sha256(b"0").digest()
    assert store.call(lambda connection: texts.forget_contents(connection, [digest])) == 1
    assert found(store, read_query("open")) == {second} and first != second
    assert store.call(partial(texts.clear_step, begins=True)) is store.database.is_sqlite
    while store.call(partial(texts.clear_step, begins=False)):
        pass
    assert found(store, read_query("open")) == {second}
