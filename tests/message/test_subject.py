"""Subjects that are one, subjects that are two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.message import subject_key

SAME = [
    "Budget meeting",
    "  BUDGET   meeting ",
    "Re: Budget meeting",
    "RE : re:Fwd: Budget meeting",
    "AW: WG: SV: VS: TR: RV: Antw: Odp: Budget meeting",
    "Re[2]: Re^3: Re(4): RE5: Budget meeting",
    "回复: 转发：Budget meeting",
    "[all-staff] Re: [hr] Budget meeting",
    "Budget meeting (fwd)",
    "Budget meeting (1/3)",
    "Budget meeting [2 of 5] #2",
    "Budget meeting - part 2 of 5",
    "Budget meeting!!!",
    "*** Budget meeting ***",
    "Вudgеt mееting",
    "Ｂｕｄｇｅｔ meeting",
    "Bud\u200bget\u00ad meeting\u202e",
    "Búdget meeting",
]


@pytest.mark.parametrize("subject", SAME)
def test_one_subject(subject):
    assert subject_key(subject) == "budget meeting"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Budget meeting", "Budget meetings"),
        ("Budget 2025", "Budget 2026"),
        ("Report: budget", "Budget"),
        ("Ticket #12345", "Ticket #12346"),
        ("日本語", "中文"),
        ("!!!", "???"),
        ("🎉", "🎂"),
    ],
)
def test_two_subjects(one, other):
    assert subject_key(one) != subject_key(other)
    assert subject_key(one)


@pytest.mark.parametrize("subject", [None, "", "  ", "\u200b", "\u3164\u2800"])
def test_nothing_to_see_is_no_key(subject):
    assert subject_key(subject) == ""


@pytest.mark.parametrize("subject", ["Re:", "(1/3)", "[hr]", "-", "Re: [hr] (fwd)", "#2", "part 2"])
def test_what_is_all_marks_keeps_a_key(subject):
    assert subject_key(subject)


MARKS = ["re:", "fw", "[a]", "(1/2)", " #3", "(fwd)", "part 2", "x", " ", "-", ":", "İ", "ß"]
MARKED = st.lists(st.sampled_from(MARKS))


@given(st.one_of(st.text(), MARKED.map("".join)))
def test_a_key_is_its_own_key(subject):
    key = subject_key(subject)
    assert subject_key(key) == key


@given(st.text())
def test_a_reply_has_the_key_of_what_it_answers(subject):
    if subject_key(subject) and subject_key(subject)[0].isalnum():
        assert subject_key(f"Re: {subject}"[:400]) == subject_key(subject[:396])
