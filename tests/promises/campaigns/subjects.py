"""Campaigns whose subject differs a little each time. One sender; the text is short, and no fingerprint tells of it."""

from __future__ import annotations

from collections.abc import Callable

from tests.promises.campaigns.campaign import Copy, Material, campaign, letters, mail, word

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
REPLIES = ["Re:", "Fwd:", "AW:", "WG:", "Trs:", "TR:", "Inoltra:", "R:", "RV:", "Επ:", "הועבר:", "SV:", "VS:", "Odp:"]
BANNERS = [
    "[EXTERNAL]",
    "EXTERNAL:",
    "***SPAM***",
    "FYI:",
    "[SPAM]",
    "(External)",
    "Automatic reply:",
    "Undeliverable:",
]
CALENDAR = [
    "Accepted:",
    "Declined:",
    "Tentative:",
    "Updated:",
    "Canceled:",
    "Zugesagt:",
    "Abgesagt:",
    "Accepté :",
    "Annulé :",
]
_CYRILLIC = str.maketrans("aeop", "аеор")


def _with(material: Material, subject: str, text: str | None = None) -> Copy:
    return Copy(mail(material.fixed, subject, material.few if text is None else text), material.fixed)


def _own_text(material: Material, number: int) -> str:
    """A short text that no other copy has: only the subject can tell."""
    return word(material.chance(number))


def _each(name: str, subject: Callable[[str, int], str]) -> None:
    """Add two campaigns: with a short text that is the same, and with one that differs each time."""

    @campaign(f"{name}, one short text", "the subject, less such marks", row=f"subject: {name}")
    def _(material: Material, number: int) -> Copy:
        return _with(material, subject(material.subject, number))

    @campaign(f"{name}, own text", "the subject, less such marks", row=f"subject: {name}")
    def _(material: Material, number: int) -> Copy:
        return _with(material, subject(material.subject, number), _own_text(material, number))


def _batch(subject: str, number: int) -> str:
    return f"{subject} - Batch {chr(ord('A') + number % 26)}{number // 26 or ''}"


def _date(subject: str, number: int) -> str:
    return f"{subject} {number % 28 + 1:02}.{number % 12 + 1:02}.{2000 + number}"


def _day(subject: str, number: int) -> str:
    return f"{subject}, {DAYS[number % 5]} {MONTHS[number % 10]} {number % 28 + 1}, {2000 + number}"


def _here_and_there(subject: str, number: int, change: Callable[[str], str]) -> str:
    """Change some of the letters, others each time."""
    return "".join(change(each) if number >> (place % 12) & 1 else each for place, each in enumerate(subject))


_each("`Enrolment 17`", lambda subject, number: f"{subject} {number}")
_each("`17: Enrolment`", lambda subject, number: f"{number}: {subject}")
_each("`Enrolment 3/40`", lambda subject, number: f"{subject} {number}/4000")
_each("`Enrolment - Batch A`", _batch)
_each("`Enrolment (ref: x)`", lambda subject, number: f"{subject} (ref: {letters(number)})")
_each("`Enrolment #17`", lambda subject, number: f"{subject} #{number}")
_each("a date at the end", _date)
_each("a date in words", _day)
_each("a time", lambda subject, number: f"{subject} {number % 24:02}:{number % 60:02} {number}")
_each("marks of replies", lambda subject, number: f"{REPLIES[number % len(REPLIES)]} {subject} {number}")
_each("banners", lambda subject, number: f"{BANNERS[number % len(BANNERS)]} {subject} {number}")
_each("words of calendars", lambda subject, number: f"{CALENDAR[number % len(CALENDAR)]} {subject} {number}")
_each("capitals", lambda subject, number: _here_and_there(subject, number, str.upper))
_each("blanks and points", lambda subject, number: subject.replace(" ", " " * (number % 7 + 1)) + "." * (number % 5))
_each("look-alike letters", lambda subject, number: _here_and_there(subject, number, lambda c: c.translate(_CYRILLIC)))
_each("invisible characters", lambda subject, number: subject.replace(" ", " " + "\u200b" * (number % 50), 1))


@campaign("a name in the subject, one short text that names the number", "what the short text says")
def _(material: Material, number: int) -> Copy:
    subject = f"{word(material.chance(number)).title()}: {material.subject}"
    return _with(material, subject, f"{material.few} {number}")


@campaign("a name at the end of the subject, one short text", "what the short text says")
def _(material: Material, number: int) -> Copy:
    return _with(material, f"{material.subject} {word(material.chance(number)).title()}")


@campaign("subjects that rotate, a short text that names the number", "what the short text says")
def _(material: Material, number: int) -> Copy:
    return _with(material, material.own_subject(number), f"{material.few} {number}")


@campaign("subjects that rotate, a short text between courtesies", "what the short text says")
def _(material: Material, number: int) -> Copy:
    hello = ("Hello", "Dear colleague", "Hi", "Good morning")[number % 4]
    thanks = ("Thanks", "Many thanks", "Best regards", "Kind regards")[number // 4 % 4]
    name = word(material.chance(number)).title()
    return _with(
        material, material.own_subject(number), f"{hello} {name},\r\n\r\n{material.few}\r\n\r\n{thanks}\r\n{name}"
    )


@campaign("no subject, one short text", "what the short text says")
def _(material: Material, number: int) -> Copy:
    return Copy(mail(material.fixed, None, material.few), material.fixed)


@campaign("a subject of only a number, one short text", "what the short text says")
def _(material: Material, number: int) -> Copy:
    return _with(material, str(number))
