"""A text of which each copy has other words in capitals, with a capital first or with digits is one text."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from gatekeeper.message.fingerprint import fingerprints
from tests.message.test_fingerprint import OTHER, TEXT

LEET = str.maketrans("oeas", "03@5")
COPIES = 24
_BEGINNING = "Всем сотрудникам сообщаем что ежегодная проверка помещений начнётся завтра утром поэтому просим каждого "
FOREIGN = (
    _BEGINNING * 3
    + "освободить столы убрать документы закрыть окна выключить приборы оставить ключи охране здания вовремя"
)


def one_capital(word: str, chance: random.Random) -> str:
    place = chance.randrange(len(word)) if word else 0
    return word[:place] + word[place : place + 1].upper() + word[place + 1 :]


DRESSES: dict[str, Callable[[str, random.Random], str]] = {
    "capitals": lambda word, _: word.upper(),
    "a capital first": lambda word, _: word.capitalize(),
    "a capital somewhere": one_capital,
    "digits": lambda word, _: word.translate(LEET),
}


def joined(texts: list[str]) -> int:
    """How many of the texts are found to be one with the most of them, by fingerprints that two share."""
    groups: list[tuple[set[str], int]] = []
    for text in texts:
        prints, number, others = set(fingerprints(text)), 1, []
        for known, size in groups:
            if known & prints:
                prints, number = prints | known, number + size
            else:
                others.append((known, size))
        groups = [*others, (prints, number)]
    return max(size for _, size in groups)


@pytest.mark.parametrize("share", [0.3, 0.45, 0.6, 0.75, 0.9])
@pytest.mark.parametrize("dress", DRESSES)
def test_whatever_part_of_it_is_dressed(dress, share):
    chance = random.Random(f"{dress} {share}")
    body = TEXT.split("\n\n", 1)[1]
    copies = [
        " ".join(DRESSES[dress](word, chance) if chance.random() < share else word for word in body.split(" "))
        for _ in range(COPIES)
    ]
    assert joined(copies) == COPIES


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_in_another_script_too(share):
    chance = random.Random(f"{share}")
    copies = [
        " ".join(word.upper() if chance.random() < share else word for word in FOREIGN.split(" "))
        for _ in range(COPIES)
    ]
    assert joined(copies) == COPIES


def test_other_texts_that_are_dressed_alike_stay_apart():
    texts = [" ".join(map(str.capitalize, text.split("\n\n", 1)[1].split())) for text in (TEXT, OTHER)]
    assert not set(fingerprints(texts[0])) & set(fingerprints(texts[1]))
