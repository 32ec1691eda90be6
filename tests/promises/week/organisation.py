"""The people and machines of a simulated organisation, and what they write in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

from gatekeeper.rules import Ruleset

_ROOT = Path(__file__).parents[3]
_FIRST = "Ann Bob Carla Dieter Emma Farid Greta Hugo Ines Jonas Karim Lena Mia Noor Omar Petra Quentin Rosa Samir Tara"
_LAST = "Smith Jones Diaz Wolf Brown Khan Berg Meyer Lopez Novak Silva Costa Moreau Rossi Larsen Okafor Tanaka Weiss"
_NOTICE = (
    "This message and any attachment are confidential and intended solely for the addressee. If you have received it in"
    "\r\nerror, notify the sender and delete it; any disclosure, copying or distribution of it is prohibited."
)


@cache
def sentences() -> tuple[str, ...]:
    """English sentences: of the project's own pages, and of real messages where these are at hand."""
    texts = [path.read_text() for path in sorted((_ROOT / "docs").glob("*.md"))]
    corpus = _ROOT.parent / "shared" / "corpus"
    texts += [path.read_text("latin-1") for path in sorted(corpus.rglob("*"))[:600] if path.is_file()]
    found = re.findall(r"[A-Z][a-z]+(?: [a-z,'-]+){5,20}\.", " ".join(texts))
    return tuple(dict.fromkeys(found))


def _beginning(sentence: str) -> str:
    words = sentence.split()
    return " ".join(words[: len(words) // 2 + 1])


def _end(sentence: str) -> str:
    words = sentence.split()
    return " ".join(["", *words[len(words) // 2 :]])


@dataclass(frozen=True)
class Person:
    """Somebody who writes."""

    name: str
    address: str
    signature: str


@dataclass
class Organisation:
    """So many people, spread over the agencies of a ruleset."""

    ruleset: Ruleset
    size: int
    chance: Random
    people: list[Person] = field(init=False)
    numbers: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        domains = [
            domain
            for agency in self.ruleset.agencies.values()
            for domain in agency.domains
            if not domain.startswith("*.")
        ]
        self.domains = [*domains, *(each for each in self.ruleset.domains if not each.startswith("*."))]
        self.people = [self._person(number) for number in range(self.size)]
        self.numbers = {person.address: number for number, person in enumerate(self.people)}

    def _person(self, number: int) -> Person:
        first, last = self.chance.choice(_FIRST.split()), self.chance.choice(_LAST.split())
        domain = self.domains[number % len(self.domains)]
        address = f"{first}.{last}{number}@{domain}".lower()
        notice = f"\r\n\r\n{_NOTICE}" if number % 3 else ""
        kind = number % 4
        greeting = ("Best regards,", "Thanks,", "Kind regards", "")[kind]
        mark = "-- \r\n" if kind == 2 else ""
        signature = f"{greeting}\r\n{mark}{first} {last}\r\n{domain}\r\n+1 406 555 {number % 10000:04}{notice}"
        return Person(f"{first} {last}", address, signature)

    def some(self, most: int) -> list[str]:
        """Addresses of one to so many people."""
        return [each.address for each in self.chance.sample(self.people, self.chance.randint(1, most))]

    def exactly(self, number: int) -> list[str]:
        """Addresses of so many people, or of everybody where there are fewer."""
        return [each.address for each in self.chance.sample(self.people, min(number, len(self.people)))]

    def one(self) -> Person:
        """Somebody."""
        return self.chance.choice(self.people)

    def offices(self, person: Person) -> list[str]:
        """Addresses of the offices that somebody answers for: one of fifty people, of every tenth person a second."""
        number = self.numbers[person.address]
        domain = person.address.partition("@")[2]
        seconds = [f"office{number % 97}@{domain}"] if number % 10 == 0 else []
        return [f"office{number // 50}@{domain}", *seconds]

    def text(self, least: int, most: int) -> str:
        """So many sentences, each of the beginning of one and the end of another: nobody has written them before."""
        pool = sentences()
        parts = [self.chance.choices(pool, k=2) for _ in range(self.chance.randint(least, most))]
        return "\r\n".join(_beginning(first) + _end(second) for first, second in parts)

    def outside(self, number: int = 1) -> list[str]:
        """Addresses of people elsewhere."""
        return [f"citizen{self.chance.randrange(10**6)}@mail.example.org" for _ in range(number)]
