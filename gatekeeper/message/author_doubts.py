"""Tell whether a mail program may show another author than the gate reads in From, Sender or a Resent field (C5).

Programs disagree about obsolete and rare forms: quoted local parts, comments, routes, addresses with white space in
them. Others hide or reorder characters. No ordinary sender writes these, so a field that has them is malformed.
"""

from __future__ import annotations

import re
import unicodedata

import idna

from gatekeeper import address
from gatekeeper.message.address_fields import AddressList
from gatekeeper.message.text_normalisation import fold

_LONGEST = 1000  # characters of a name or an address; no sender's is longer, and folding takes long for longer ones
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]"  # RFC 5322 3.2.3, and dots wherever they are
_PLAIN = re.compile(rf"""(?:{_ATEXT}++|"{_ATEXT}++")@[A-Za-z0-9_.-]++""")
_LOCAL = re.compile(rf"(?>{_ATEXT}|[^\W\x00-\x7f])++")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\u2028\u2029]")
_OVERRIDE = re.compile("[\u202d\u202e]")  # turn Latin text around
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # can reorder the pieces of an address


def may_show_another(text: str, read: AddressList) -> bool:
    """Return True where a mail program may show another author.

    Args: `text` is the unfolded field value, `read` what the gate makes of it.
    """
    if read.loose or _CONTROL.search(text) or not all(is_plain(box.address) for box in read.mailboxes):
        return True
    names = {box.name for box in read.mailboxes}
    beside = [comment for comment in read.comments if comment.strip() not in names]
    return (
        any(map(_is_disguised, (*names, *beside)))
        or any("@" in fold(comment) for comment in beside)
        or _has_more_addresses(text, read)
    )


def is_plain(written: str) -> bool:
    """Return True for an address that every program reads alike: nothing in it needs quotes, mapping or removal."""
    if "=?" in written or len(written) > _LONGEST:  # programs that decode first read another address
        return False
    if _PLAIN.fullmatch(written):
        return True
    local, _, domain = written.rpartition("@")
    if not _LOCAL.fullmatch(local) or not unicodedata.is_normalized("NFKC", local):
        return False
    return address.is_valid_domain(domain) if domain.startswith("[") else _is_plain_domain(domain)


def _is_plain_domain(domain: str) -> bool:
    """Return False where a full stop is no ASCII one, or a character is not one that IDNA 2008 allows."""
    try:
        return bool(idna.encode(domain.lower(), strict=True))
    except UnicodeError:  # the base class of idna.IDNAError
        return False


def _is_disguised(name: str) -> bool:
    if name.isascii() and len(name) <= _LONGEST:
        return False
    if len(name) > _LONGEST or _OVERRIDE.search(name):
        return True
    return bool(_DIRECTION.search(name)) and "@" in fold(name)


def _has_more_addresses(text: str, read: AddressList) -> bool:
    """Return True where an @ stands in the field that is in no address and no name."""
    seen = sum(box.address.count("@") + box.name.count("@") for box in read.mailboxes)
    return text.count("@") > seen
