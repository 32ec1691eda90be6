"""What mail merges, lists and salts do to the copies of a text; docs/mailings.md has a row for each."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Change = Callable[[str, random.Random], str]

NAMES = ("Robert Miller", "Ann Smith", "Jo Nguyen", "Maria Lopez", "Peter Jones")
_VOCABULARY = """
    about action already answer autumn balance because before better bridge building business careful certain change
    chapter children choice clear common company corner country course daily decide degree detail different difficult
    distance during early education either energy enough evening evidence example exercise express family farmer
    figure finally foreign forest forward freedom friend future garden general government gradual ground growth handle
    harbour health history honest however hundred imagine important increase industry inside interest island journey
    kitchen language laughter leader learn letter level library likely listen little machine manage market material
    matter measure member memory minute modern moment morning mountain music national nature nearly necessary neighbour
    nothing number object office often opinion orange order ordinary paper parent patient pattern perhaps person picture
    pleasure pocket position possible present private problem produce purpose quality question quickly quiet rather
    reason record regular relation remember report research result return river science season second separate serious
    several simple sister society special station strange street strong student subject success summer support system
    teacher theory thought through together tomorrow travel trouble under usual valley value various village visitor
    weather window winter without wonder worker writing yellow
"""
WORDS = _VOCABULARY.split()


def words(number: int, seeded: random.Random) -> str:
    return " ".join(seeded.choices(WORDS, k=number))


def code(seeded: random.Random) -> str:
    return f"{seeded.getrandbits(60):015x}"


def _inserted(text: str, pieces: list[str], seeded: random.Random) -> str:
    """The pieces before words anywhere in the text."""
    places = [found.start() for found in re.finditer(r"(?<=[ \n])[a-z]", text)] or [0]
    for place in sorted(seeded.choices(places, k=len(pieces)), reverse=True):
        text = f"{text[:place]}{pieces.pop()} {text[place:]}"
    return text


def _replaced(text: str, number: int, seeded: random.Random) -> str:
    found = list(re.finditer(r"(?<=\s)[a-z]{3,}(?=\s)", text))
    for word in sorted(seeded.sample(found, min(number, len(found))), key=re.Match.start, reverse=True):
        text = text[: word.start()] + words(1, seeded) + text[word.end() :]
    return text


def _between(text: str, separator: str, piece: str, seeded: random.Random) -> str:
    pieces = text.split(separator)
    pieces.insert(seeded.randrange(len(pieces) + 1), piece)
    return separator.join(pieces)


def _swapped(text: str, seeded: random.Random) -> str:
    paragraphs = text.split("\r\n\r\n")
    at = seeded.randrange(len(paragraphs))
    paragraphs[at : at + 2] = reversed(paragraphs[at : at + 2])
    return "\r\n\r\n".join(paragraphs)


def _shuffled(text: str, seeded: random.Random) -> str:
    sentences = re.split(r"(?<=[.!?])\s+", text)
    seeded.shuffle(sentences)
    return "\r\n".join(sentences)


def _footer(seeded: random.Random) -> str:
    return (
        f"{'_' * 47}\r\nStaff mailing list\r\nstaff@lists.example.gov\r\nhttps://lists.example.gov/{code(seeded)}\r\n"
    )


CHANGES: dict[str, Change] = {
    "a greeting on a line of its own": lambda text, seeded: f"Dear {seeded.choice(NAMES)},\r\n\r\n{text}",
    "a greeting on the first line": lambda text, seeded: f"Hi {seeded.choice(NAMES)}, {text.lstrip()}",
    "a name in three places": lambda text, seeded: _inserted(text, [seeded.choice(NAMES)] * 3, seeded),
    "a word put in": lambda text, seeded: _inserted(text, [words(1, seeded)], seeded),
    "a word replaced": lambda text, seeded: _replaced(text, 1, seeded),
    "five words put in": lambda text, seeded: _inserted(text, words(5, seeded).split(), seeded),
    "five words replaced": lambda text, seeded: _replaced(text, 5, seeded),
    "a line of 8 words": lambda text, seeded: _between(text, "\n", words(8, seeded), seeded),
    "a paragraph of 20 words": lambda text, seeded: _between(text, "\r\n\r\n", words(20, seeded), seeded),
    "the footer of a list": lambda text, seeded: f"{text}\r\n{_footer(seeded)}",
    "every digit": lambda text, seeded: re.sub(r"\d", lambda _: str(seeded.randrange(10)), text),
    "the parameters of links": lambda text, seeded: re.sub(r"https?://[^\s>\"]+", rf"\g<0>?u={code(seeded)}", text),
    "a code at the start": lambda text, seeded: f"{code(seeded)}\r\n\r\n{text}",
    "a code at the end": lambda text, seeded: f"{text}\r\n\r\n{code(seeded)}\r\n",
    "three words at the start": lambda text, seeded: f"{words(3, seeded)}\r\n\r\n{text}",
    "three words at the end": lambda text, seeded: f"{text}\r\n\r\n{words(3, seeded)}\r\n",
    "300 words at the end": lambda text, seeded: f"{text.rstrip()}\r\n\r\n{words(300, seeded)}\r\n",
    "the order of two paragraphs": _swapped,
    "the order of all sentences": _shuffled,
}
