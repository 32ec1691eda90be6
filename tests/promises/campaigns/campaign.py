"""What a campaign is made of, and the list of all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

# Syllables of which words are made that no other campaign has: what two campaigns share must not join them.
_SYLLABLES = [first + second for first in "bdfghklmnprstv" for second in "aeo"]


class Reach(StrEnum):
    """How many people a campaign gets to."""

    LIMIT = "limit"  # no more than the limit
    ALL = "all"  # everybody: what is open, and said so in docs/mailings.md


@dataclass(frozen=True)
class Copy:
    """One transaction of a campaign; recipients come from outside."""

    content: bytes
    sender: str = "clerk@doa.example.gov"
    login: str = ""
    client: str = "192.0.2.7"


@dataclass
class Material:
    """What a campaign says: the same for every copy of it, and unlike that of any other campaign."""

    name: str
    seed: int = 0
    text: str = field(init=False)
    few: str = field(init=False)
    subject: str = field(init=False)

    def __post_init__(self) -> None:
        chance = Random(f"{self.seed} {self.name}")
        self.text = sentences(chance, 60)
        self.few = " ".join(word(chance) for _ in range(5))
        self.subject = f"{word(chance)} {word(chance)} {word(chance)}"

    def chance(self, number: int) -> Random:
        """What differs in the nth copy."""
        return Random(f"{self.seed} {self.name} {number}")

    def own_subject(self, number: int) -> str:
        """A subject that no other copy has."""
        chance = self.chance(number)
        return f"{word(chance)} {word(chance)} {word(chance)}"

    def address(self, number: int, domain: str = "doa.example.gov") -> str:
        """An address of the nth copy's own."""
        return f"{word(self.chance(number))}.{letters(number)}@{domain}"

    @property
    def fixed(self) -> str:
        """The one address of the campaign."""
        return f"{self.slug}@doa.example.gov"

    @property
    def slug(self) -> str:
        """The campaign's name as a local part."""
        return "".join(each if each.isalnum() else "-" for each in self.name.lower()).strip("-")


Make = Callable[[Material, int], Copy]


@dataclass(frozen=True)
class Campaign:
    """One way around the count, and what it gets to."""

    name: str
    make: Make
    why: str  # what tells that it is one, or why nothing does
    reach: Reach = Reach.LIMIT
    each: int = 1  # recipients of a transaction
    row: str = ""  # in docs/mailings.md, where several campaigns share one


CAMPAIGNS: dict[str, Campaign] = {}


def campaign(name: str, why: str, reach: Reach = Reach.LIMIT, each: int = 1, row: str = "") -> Callable[[Make], Make]:
    """Add a campaign of that name to the list."""

    def decorate(make: Make) -> Make:
        assert name not in CAMPAIGNS, f"{name} is there twice"
        CAMPAIGNS[name] = Campaign(name, make, why, reach, each, row or name)
        return make

    return decorate


# -- words -------------------------------------------------------------------------------------------------------


def word(chance: Random, syllables: int = 4) -> str:
    """A word that means nothing, of eight letters."""
    return "".join(chance.choices(_SYLLABLES, k=syllables))


def sentences(chance: Random, words: int) -> str:
    """That many words in sentences, in lines."""
    lines = (" ".join(word(chance) for _ in range(10)) for _ in range(0, words, 10))
    return "\r\n".join(f"{line}." for line in lines)


def letters(number: int) -> str:
    """A number in letters, because digits are left out wherever texts are compared."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


# -- messages ----------------------------------------------------------------------------------------------------


def mail(
    author: str, subject: str | None, body: str, fields: Sequence[str] = (), kind: str = "text/plain; charset=utf-8"
) -> bytes:
    """A message. Args: `author` is the value of From; further fields are whole lines."""
    about = [f"Subject: {subject}"] if subject is not None else []
    head = [f"From: {author}", "To: everybody:;", *about, *fields, "MIME-Version: 1.0", f"Content-Type: {kind}"]
    return "\r\n".join([*head, "", body, ""]).encode()


def multipart(author: str, subject: str | None, kind: str, parts: Sequence[str], fields: Sequence[str] = ()) -> bytes:
    """A multipart message. Args: each part has its own header."""
    body = "".join(f"--=_b\r\n{part}\r\n" for part in parts) + "--=_b--"
    return mail(author, subject, body, fields, f'multipart/{kind}; boundary="=_b"')


def plain(text: str) -> str:
    """A plain part."""
    return f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"


def html(text: str) -> str:
    """An HTML part."""
    return f"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>{text}</body></html>"
