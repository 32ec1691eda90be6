"""Ways to send one text so that its copies look different to a machine, and alike to people."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.message.changes import words

Dressing = Callable[[str, random.Random], str]
_DIGITS = {"o": "0", "l": "1", "i": "1", "e": "3", "s": "5", "a": "@", "t": "7", "b": "8"}
_NOTHING = (
    "<b></b>",
    "<span></span>",
    "<!-- x -->",
    "&zwnj;",
    "&shy;",
    "&#8203;",
    "<wbr>",
    "<i class='x'></i>",
    "\u2060",
)


def _each_word(text: str, change: Callable[[str], str], share: float, seeded: random.Random) -> str:
    lines = text.split("\n")
    changed = [[change(word) if seeded.random() < share else word for word in line.split(" ")] for line in lines]
    return "\n".join(" ".join(line) for line in changed)


def _letters(text: str, change: Callable[[str], str], share: float, seeded: random.Random) -> str:
    return "".join(change(letter) if seeded.random() < share else letter for letter in text)


def noise(seeded: random.Random, number: int = 300) -> str:
    """Words that no two copies share."""
    return words(number, seeded)


WORDS: dict[str, Dressing] = {  # what the words themselves are dressed as
    "capitals": lambda text, seeded: text.upper(),
    "capitals here and there": lambda text, seeded: _letters(text, str.upper, 0.5, seeded),
    "words in capitals": lambda text, seeded: _each_word(text, str.upper, 0.6, seeded),
    "title case": lambda text, seeded: text.title(),
    "digits": lambda text, seeded: _letters(text, lambda one: _DIGITS.get(one, one), 0.3, seeded),
    "look-alikes": lambda text, seeded: _letters(
        text, lambda one: {"a": "а", "e": "е", "o": "о"}.get(one, one), 0.5, seeded
    ),
}
SPACES: dict[str, Dressing] = {
    "invisible characters": lambda text, seeded: _letters(text, lambda one: one + "\u200b", 0.3, seeded),
    "soft hyphens": lambda text, seeded: _letters(text, lambda one: one + "\u00ad", 0.3, seeded),
    "other spaces": lambda text, seeded: text.replace(" ", "\u2003"),
    "invisible before": lambda text, seeded: "\u2063" * seeded.randrange(2_000, 20_000) + text,
}
PLACES: dict[str, Dressing] = {  # where in a plain text it stands
    "quoted": lambda text, seeded: "> " + text.replace("\n", "\n> "),
    "quoted twice": lambda text, seeded: ">> " + text.replace("\n", "\n>> "),
    "quoted below a courtesy": lambda text, seeded: "FYI\n\nOn Monday Bob wrote:\n> " + text.replace("\n", "\n> "),
    "below a signature mark": lambda text, seeded: "-- \n" + text,
    "below a closing": lambda text, seeded: f"Hello,\n\nKind regards,\n{text}",
    "a forwarded message": lambda text, seeded: f"-----Original Message-----\nFrom: Bob\nSent: today\n\n{text}",
    "a header of Outlook": lambda text, seeded: (
        f"From: Bob\nSent: today\nTo: Ann\nSubject: {noise(seeded, 3)}\n\n{text}"
    ),
}
HTML: dict[str, Dressing] = {  # how it is written as HTML
    "plain": lambda text, seeded: text,
    "entities": lambda text, seeded: _letters(
        text, lambda one: one if one.isspace() else f"&#{ord(one)};", 0.8, seeded
    ),
    "hexadecimal entities": lambda text, seeded: "".join(
        one if one.isspace() else f"&#x{ord(one):04X}" + ";" for one in text
    ),
    "empty tags": lambda text, seeded: _letters(text, lambda one: one + seeded.choice(_NOTHING), 0.4, seeded),
    "words in tags": lambda text, seeded: _each_word(text, lambda one: f"<b>{one[:2]}</b>{one[2:]}", 0.8, seeded),
    "a paragraph each": lambda text, seeded: "".join(f"<p>{line}</p>" for line in text.split(". ")),
    "a quote": lambda text, seeded: f"<blockquote>{text}</blockquote>",
    "a quote of Gmail": lambda text, seeded: (
        f'<div class="gmail_quote">Bob wrote:<blockquote>{text}</blockquote></div>'
    ),
}
HIDDEN = (  # what no program shows, with other words in each copy
    '<div style="display:none">{}</div>',
    "<p style='display: none !important; color: red'>{}</p>",
    "<div hidden>{}</div>",
    "<span style=visibility:hidden>{}</span>",
    '<span style="font-size:0">{}</span>',
    '<div style="font-size:1px">{}</div>',
    '<div style="max-height:0; overflow:hidden">{}</div>',
    '<div style="position:absolute; left:-9999px">{}</div>',
    '<div style="opacity:0">{}</div>',
    "<font color=white>{}</font>",
    '<div style="color:#fff">{}</div>',
    '<table bgcolor="#123456"><tr><td><font color="#123456">{}</font></td></tr></table>',
    "<!-- {} -->",
    "<title>{}</title>",
    "<style>{}</style>",
    "<style>.x1 {{display:none}}</style><div class=x1>{}</div>",
    '<b title="> {}"></b>',
    '<div><span style="display:none">{}</div>',  # never closed
    "<div><b style='display:none'></div>{}</b>",  # goes on behind the block
    "<p style='display:none'>{}<div></div>",  # ends at the block
    "<span style='display:none'></div>{}</span>",  # an end tag without its start
)
