"""Passwords, and the codes that go with them: what may be one, how they are hashed, checked and made.

Hashing a password takes 64 MB and a tenth of a second, so that trying many takes long; two at once, so that trying many
here takes nothing from others.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher
from functools import cache
from threading import BoundedSemaphore

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from gatekeeper.ledger.context import LedgerError, Unavailable

LEAST_PASSWORD, MOST_PASSWORD = 12, 200  # characters
CODES = 10  # recovery codes
_COMMONEST = 10_000
_SECRET = re.compile(r"[A-Z2-7]{32}")
_WAIT = 5.0  # seconds for a turn
_STEP = 30  # seconds of a code
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # of recovery codes: none that looks like another
_CODE_LETTERS = 16
_NEAR = 0.7  # of 1: how like an address a password may not be
_HASHER = PasswordHasher()
_TURNS = BoundedSemaphore(2)


class WeakPassword(LedgerError):
    """A password that others would find; the text says why."""


class Busy(Unavailable):
    """Too many passwords are being checked at once."""


@contextmanager
def _turn() -> Iterator[None]:
    if not _TURNS.acquire(timeout=_WAIT):
        raise Busy("too many passwords are being checked at once")
    try:
        yield
    finally:
        _TURNS.release()


def hash_password(password: str) -> str:
    """Return the hash that is stored of a password. Raises Busy."""
    with _turn():
        return _HASHER.hash(_one_spelling(password))


def _one_spelling(password: str) -> str:
    """Return a password in one spelling: keyboards differ in whether an accent is part of its letter (RFC 8265)."""
    return unicodedata.normalize("NFC", password)


@cache
def _nobodys() -> str:
    """Return the hash of a password that nobody knows: an address without account takes as long as one with."""
    return _HASHER.hash(secrets.token_urlsafe(32))


def is_password(stored: str | None, given: str) -> bool:
    """Return True where this is the password of a hash; for None it takes as long, and is False. Raises Busy."""
    with _turn():
        try:
            return _HASHER.verify(stored or _nobodys(), _one_spelling(given[:MOST_PASSWORD])) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


# -- what may be one ---------------------------------------------------------------------------------------------


def check_password(password: str, address: str) -> None:
    """Raise WeakPassword for one that is short, common, or near the address."""
    if len(password) < LEAST_PASSWORD:
        raise WeakPassword(f"Use at least {LEAST_PASSWORD} characters: a few words in a row are good.")
    if len(password) > MOST_PASSWORD:
        raise WeakPassword(f"Use at most {MOST_PASSWORD} characters.")
    if is_common(password):
        raise WeakPassword("Many people use this password, so it is tried first. Use a few words that belong to you.")
    if _is_near(password.casefold(), address.casefold()):
        raise WeakPassword("This is too much like your address. Use a few words that belong to you.")


def is_common(password: str) -> bool:
    """Return True for one of the commonest, with figures and signs before or behind it, or for one said again."""
    folded = password.casefold()
    bare = folded.strip("".join(each for each in folded if not each.isalpha()))
    shapes = {folded, bare, "".join(filter(str.isalnum, folded))}
    return len(set(folded)) < 5 or any(_once(each) in _commonest() for each in shapes)


def _once(text: str) -> str:
    """Return what a text says again and again; all of it where nothing is repeated."""
    return text[: (text + text).find(text, 1)] if text else text


@cache
def _commonest() -> frozenset[str]:
    return frozenset(FREQUENCY_LISTS["passwords"][:_COMMONEST])


def _is_near(password: str, address: str) -> bool:
    local, _, domain = address.partition("@")
    words = [word for word in (local, *_words(local), *domain.split(".")) if len(word) > 3]
    rest = password
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, "").replace(word[::-1], "")
    letters = "".join(filter(str.isalpha, rest))
    return (rest != password and len(letters) < 6) or _like(password, address) > _NEAR or _like(password, local) > _NEAR


def _words(text: str) -> list[str]:
    """Return the parts of a text that are letters alone."""
    return "".join(each if each.isalpha() else " " for each in text).split()


def _like(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


# -- codes -------------------------------------------------------------------------------------------------------


def new_secret() -> str:
    """Return a new secret for an app that makes codes."""
    return pyotp.random_base32()


def is_secret(text: str) -> bool:
    """Return True for what can be such a secret."""
    return _SECRET.fullmatch(text) is not None


def secret_uri(secret: str, address: str, title: str) -> str:
    """Return what an app reads from the picture: the secret, whose it is and for what."""
    return pyotp.TOTP(secret).provisioning_uri(name=address, issuer_name=title)


def step_of_code(secret: str | None, code: str, now: float) -> int | None:
    """Return the step of time that a code belongs to: of now, or one before or after it; None for another code."""
    made = pyotp.TOTP(secret or pyotp.random_base32())
    steps = [int(now // _STEP) + drift for drift in (0, -1, 1)]
    found = [step for step in steps if secrets.compare_digest(made.generate_otp(step).encode(), code.encode())]
    return found[0] if found and secret else None


def new_codes() -> list[str]:
    """Return new recovery codes, as people write them down."""
    return [_grouped("".join(secrets.choice(_LETTERS) for _ in range(_CODE_LETTERS))) for _ in range(CODES)]


def _grouped(code: str) -> str:
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def bare_code(text: str) -> str:
    """Return a code as it is compared: without blanks and dashes, in small letters."""
    return "".join(text.casefold().replace("-", "").split())[:64]
