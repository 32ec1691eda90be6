"""The token by which the gate knows mail that it has sent on itself, should the next hop bring it back.

It is signed with the key of the database, so that every node knows it, and is good for a time, for one content, and
for the recipients that the mail was sent to, or some of them: once for each of these, which the database keeps
(store/returned.py), for whoever has the mail has its token too. It says how often the mail has come back: once is a
rule too many at the next hop, twice is a loop. Other content, other people, a list with other members, a later time:
mail like any other.

A token has hashes of the recipients, filled up with others, so that it does not tell how many there are.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as DecodeError
from collections.abc import Iterable, Mapping
from dataclasses import field
from hashlib import blake2b
from hmac import compare_digest

from gatekeeper.address import normalise
from gatekeeper.lib.immutable import immutable

TOKEN_FIELD = b"X-Gatekeeper-Released"
VALID_SECONDS = 2 * 86_400.0  # a tenant tries for a day to hand mail on, and the gate takes it at once
MOST_RECIPIENTS = 1024  # mail to more has no token: its field would be too long
_LEAST_PEOPLE = 8  # hashes in any token
_VERSION = b"\x01"
_NONCE, _NUMBER, _PERSON, _SIGNATURE = 8, 5, 6, 16  # octets
_HEAD = len(_VERSION) + 1 + 5 + _NONCE + _NUMBER  # with the turn and the end of its time
_LINE = 72  # characters
_HEADER_BYTES = 262_144  # octets in which the field is searched; the gate puts it first
_TOKEN = re.compile(
    rb"(?:\A|\r\n)" + TOKEN_FIELD + rb":((?>[ \tA-Za-z0-9_\-]++|\r\n[ \t])++)(?=\r\n)",
)
_HEADER_END = b"\r\n\r\n"
# Fields that an MTA removes itself before mail leaves, but only after a milter has seen them.
HIDDEN_FIELDS = (b"bcc", b"resent-bcc", b"return-path")


@immutable
class SentMail:
    """What a token is bound to: a message's content digest, and whom it is sent to."""

    content_digest: str
    addresses: tuple[str, ...]
    lists: Mapping[str, str] = field(default_factory=dict)  # those of the addresses that are lists -> who is in them

    @property
    def people(self) -> set[str]:
        """Return the addresses, normalised; a list with other members is another."""
        names = {normalise(address) for address in self.addresses if address not in self.lists}
        return names | {f"{normalise(address)}\0{members}" for address, members in self.lists.items()}


@immutable
class Turn:
    """What a token says: how often its mail has come back, and of which mailing it is, 0 where that has no number.

    Each of its uses, one for each recipient of mail that comes back, is good once.
    """

    times: int = 0
    mailing: int = 0
    uses: tuple[bytes, ...] = field(default=(), compare=False)

    @classmethod
    def first(cls, mailing: str | None) -> Turn:
        """Return what the first token says of mail of a mailing ("M-17")."""
        return cls(mailing=int(mailing[2:]) if mailing else 0)

    @property
    def name(self) -> str | None:
        """Return the mailing's name; None where it has none."""
        return f"M-{self.mailing}" if self.mailing else None


def issue_token(secret: bytes, mail: SentMail, turn: Turn, now: float, nonce: bytes) -> str:
    """Return a token for mail; "" where it has too many recipients.

    Args: `secret` is the database's key; `now` in seconds since 1970; `nonce` are random octets.
    """
    people = mail.people
    if len(people) > MOST_RECIPIENTS:
        return ""
    nonce = nonce[:_NONCE].ljust(_NONCE, b"\0")
    until = int(now + VALID_SECONDS).to_bytes(5, "big")
    size = max(_LEAST_PEOPLE, 1 << (len(people) - 1).bit_length())
    names = [*people, *(f"\0{number}" for number in range(size - len(people)))]
    number = _hidden(secret, nonce, turn.mailing.to_bytes(_NUMBER, "big"))
    head = _VERSION + bytes((turn.times,)) + until + nonce + number
    body = head + b"".join(sorted(_hashes(secret, nonce, names)))
    return urlsafe_b64encode(body + _sign(secret, body, mail.content_digest)).rstrip(b"=").decode("ascii")


def read_token(secret: bytes, token: str, mail: SentMail, now: float) -> Turn | None:
    """Return what a token says, of when its mail was sent on; None where it is not good for this mail."""
    try:
        whole = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (DecodeError, ValueError):
        return None
    body, signature = whole[:-_SIGNATURE], whole[-_SIGNATURE:]
    is_whole = len(body) >= _HEAD and (len(body) - _HEAD) % _PERSON == 0 and body.startswith(_VERSION)
    if not is_whole or not compare_digest(signature, _sign(secret, body, mail.content_digest)):
        return None
    until, nonce = int.from_bytes(body[2:7], "big"), body[7 : 7 + _NONCE]
    known = {body[start : start + _PERSON] for start in range(_HEAD, len(body), _PERSON)}
    people = _hashes(secret, nonce, mail.people)
    if now > until or not people or not known.issuperset(people):
        return None
    number = int.from_bytes(_hidden(secret, nonce, body[7 + _NONCE : _HEAD]), "big")
    return Turn(body[1], number, tuple(sorted(nonce + person for person in people)))


def _hidden(secret: bytes, nonce: bytes, number: bytes) -> bytes:
    """Return a number that nobody else can read, or what such a one was: how many mailings there are is not theirs."""
    pad = blake2b(nonce, digest_size=_NUMBER, key=secret, person=b"gate number").digest()
    return bytes(one ^ other for one, other in zip(number, pad, strict=True))


def _hashes(secret: bytes, nonce: bytes, names: Iterable[str]) -> list[bytes]:
    begun = blake2b(nonce, digest_size=_PERSON, key=secret, person=b"gate to")
    found = []
    for name in names:
        one = begun.copy()
        one.update(name.encode("utf-8", "surrogateescape"))
        found.append(one.digest())
    return found


def _sign(secret: bytes, body: bytes, content_digest: str) -> bytes:
    return blake2b(
        body + content_digest.encode("ascii"), digest_size=_SIGNATURE, key=secret, person=b"gate token"
    ).digest()


# -- fields -----------------------------------------------------------------------------------------------------


def own_fields(mark: str) -> tuple[bytes, ...]:
    """Return the names of the fields that never go on with mail that comes in, where the next hop may bring mail back.

    Args: `mark` is the field of --mark, "" for none.
    """
    return (mark.encode("ascii"), TOKEN_FIELD) if mark else ()


def token_field(token: str) -> bytes:
    """Return the header field that carries a token, CRLF included."""
    text = token.encode("ascii")
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return TOKEN_FIELD + b": " + b"\r\n\t".join(lines) + b"\r\n"


def token_of(content: bytes) -> str | None:
    """Return the token in a message's header; None where there is none, or the field is malformed."""
    end = content.find(_HEADER_END, 0, _HEADER_BYTES)
    last = end + 2 if end >= 0 else _HEADER_BYTES
    if content.find(TOKEN_FIELD, 0, last) < 0:
        return None
    found = _TOKEN.search(content, 0, last)
    token = b"".join(found[1].split()).decode("ascii") if found else ""
    return token or None
