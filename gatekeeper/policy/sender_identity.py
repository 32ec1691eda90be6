"""Whether the names that a message is sent under belong to its sender (policy C5). Pure; reads from top to bottom.

The sender is the login, else MAIL FROM. From, Sender, the Resent fields and, beside a login, MAIL FROM are further
names. Each must be the sender's own, of the same agency (with `together: agency`), or lent by an entry under `senders`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import idna

from gatekeeper import address
from gatekeeper.message import fold
from gatekeeper.model import Facts, Mailbox, Transaction
from gatekeeper.policy.active import Policy

_DOUBTS = (  # defects with which mail programs may show another From than we read, in the order of the texts
    "duplicate-from",
    "malformed-from",
    "missing-from",
    "several-authors",
    "group-in-from",
    "too-many-addresses",
    "header-over-limit",
    "malformed-header",
    "control-character",
    "malformed-encoded-word",
)
UNTRUSTED = frozenset(_DOUBTS)
_OF_ADDRESS = r"[^\s<>()\[\]\",;:@]"
# Starts only where a run of such characters starts: from inside a run, each position would scan the run again.
_SHOWN_ADDRESS = re.compile(rf"(?<!{_OF_ADDRESS}){_OF_ADDRESS}++ ?@ ?{_OF_ADDRESS}+\.{_OF_ADDRESS}+")
_AT_OR_DOT = re.compile(r" ?([@.]) ?")
_LONGEST_NAME = 1000  # characters; a longer name is a defect (malformed-from)
_CAPITALS = str.maketrans("ΒΗΝΥϹϲ", "BHNYCc")  # Greek letters that look like other Latin ones than their small forms do
_DOTS_AND_GAPS = str.maketrans({"·": ".", "\u0660": ".", "\u06f0": ".", **dict.fromkeys("\u2006\u2009\u200a\u202f")})
_DIGITS = str.maketrans("015", "ols")  # read as letters in many typefaces


def from_problem(transaction: Transaction, facts: Facts, mailbox: str, policy: Policy) -> str:
    """Return why the sender may not use the names of the message; "" where they may.

    Args: `mailbox` is that of the source. The text is for the sender, and names which address does not belong to whom.
    """
    return next(_problems(transaction, facts, mailbox, policy), "")


def _problems(transaction: Transaction, facts: Facts, mailbox: str, policy: Policy) -> Iterator[str]:
    yield from (f"the sender's names cannot be told for certain ({name})" for name in _DOUBTS if name in facts.defects)
    envelope = address.envelope_origin(transaction.sender, transaction.addresses)
    sender = _of_login(transaction.login, mailbox, policy) if transaction.login else envelope
    if not sender:
        yield "neither a login nor MAIL FROM says who sends it"
        return
    for field, other in _names(facts, envelope if transaction.login else ""):
        if not belong_together(sender, other, policy):
            yield f"{field} {other} does not belong to {sender}"
        if likeness := _look_alike(other, policy):
            yield f"{field} {other} looks like {likeness}"
        if leads := _routed(other, policy):
            yield f"{field} {other} may be read as {leads}"
    for box in (*facts.author, *facts.sender, *facts.resent):
        yield from _in_display_name(box, policy)


def _of_login(login: str, mailbox: str, policy: Policy) -> str:
    """Return the sender that a login stands for.

    Without a domain, a login vouches only for an inside mailbox of its name; else nothing is known but the login
    itself.
    """
    return login if is_without_domain(login) and not policy.directory.is_inside(mailbox) else mailbox


def is_without_domain(login: str) -> bool:
    """Return True for `jdoe` and `CORP\\jdoe`."""
    return "@" not in login.rpartition("\\")[2]


def _names(facts: Facts, envelope: str) -> Iterator[tuple[str, str]]:
    """Yield the field and the address of every further name of the message."""
    for field, boxes in (("From", facts.author), ("Sender", facts.sender), ("Resent-From", facts.resent)):
        yield from ((field, address.normalise(box.address)) for box in boxes)
    if envelope:
        yield "MAIL FROM", envelope


# -- own and lent names -----------------------------------------------------------------------------------------


def belong_together(sender: str, other: str, policy: Policy) -> bool:
    """Return True where `sender` may send under the address `other`; both are normalised."""
    directory, ruleset = policy.directory, policy.ruleset
    user, owner = directory.user(sender), directory.user(other)
    if user == owner:
        return True
    agency = directory.agency_of(sender)
    if ruleset.together == "agency" and agency is not None and agency == directory.agency_of(other):
        return True
    return is_lent(sender, other, policy)


def is_lent(sender: str, other: str, policy: Policy) -> bool:
    """Return True where an entry under `senders` lets `sender` use the address `other`; both are normalised."""
    directory, senders = policy.directory, policy.ruleset.senders
    entry = senders.get(other) or senders.get(directory.user(other))
    lent = entry.used_by if entry else ()
    if not lent:
        return False
    if directory.agency_of(sender) in lent or not set(directory.groups_of(sender)).isdisjoint(lent):
        return True
    return directory.user(sender) in map(directory.user, lent)


# -- imitations ------------------------------------------------------------------------------------------------


def _in_display_name(box: Mailbox, policy: Policy) -> Iterator[str]:
    """Yield a problem for a display name that shows another person's address. On phones nothing else is shown."""
    directory = policy.directory
    own = directory.user(box.address)
    if any(directory.user(shown) != own for shown in _shown_addresses(box.name, policy)):
        yield f"the name beside {box.address} shows another address"


def _shown_addresses(name: str, policy: Policy) -> Iterator[str]:
    """Yield the addresses that a name shows; where they are spelled with white space or odd dots, the inside ones."""
    name = name[:_LONGEST_NAME]
    folded = fold(name)
    if "@" not in folded:
        return
    yield from (shown.replace(" ", "").strip("'.") for shown in _SHOWN_ADDRESS.findall(folded))
    for reading in {name, unicodedata.normalize("NFKC", name).translate(_CAPITALS)}:
        close = _AT_OR_DOT.sub(r"\1", fold(reading.translate(_DOTS_AND_GAPS)))
        found = (shown.strip("'.") for shown in _SHOWN_ADDRESS.findall(close))
        yield from (shown for shown in found if policy.directory.is_inside(shown))


def _look_alike(other: str, policy: Policy) -> str:
    """Return the inside domain that the domain of `other` imitates; "" for none."""
    domain = other.rpartition("@")[2]
    if not domain or len(domain) > address.MOST_DOMAIN_OCTETS or policy.directory.is_inside(other):
        return ""
    ours = _skeletons(policy.ruleset.inside_domains)
    seen = _skeleton(domain)
    while seen:
        if seen in ours:
            return ours[seen]
        seen = seen.partition(".")[2]
    return ""


def _routed(other: str, policy: Policy) -> str:
    """Return the inside address that a local part names (`cio%example.gov@mail.example.org`); "" for none."""
    local = address.split(other)[0]
    named = (address.join(*target) for target in address.routing_targets(local) if target[1])
    return next((each for each in named if policy.directory.is_inside(each)), "")


@lru_cache(maxsize=8)
def _skeletons(domains: tuple[str, ...]) -> dict[str, str]:
    return {_skeleton(domain.removeprefix("*.")): domain.removeprefix("*.") for domain in domains}


@lru_cache(maxsize=4096)
def _skeleton(domain: str) -> str:
    """Return the letters that a domain looks like at a glance."""
    try:
        shown = str(idna.decode(domain)) if "xn--" in domain else domain
    except UnicodeError:  # idna.IDNAError is one
        shown = domain
    return fold(shown).translate(_DIGITS).replace("rn", "m").replace("vv", "w")
