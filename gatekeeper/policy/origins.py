"""Under which names a transaction is sent: who vouches for it, whose it is, and in which places its weak keys join.

The sender writes From freely. A From is *own* where it is the same user as the login, else as MAIL FROM, or is lent to
it. One that is not own makes nobody an owner, and what is sent under it has a place apart. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatekeeper import address
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Facts, Place, Transaction
from gatekeeper.policy.active import Policy
from gatekeeper.policy.sender_identity import UNTRUSTED, is_lent, is_without_domain

_MOST_AUTHORS = 20  # authors of one message that have a place


@immutable
class Origins:
    """In which places the weak keys of a transaction join, and whose it is."""

    places: tuple[Place, ...]
    owners: tuple[str, ...]


def origins_of(transaction: Transaction, facts: Facts, mailbox: str, policy: Policy) -> Origins:
    """Return the places and owners of a transaction. Args: `mailbox` is that of its source.

    The first place is the login's, else that of a MAIL FROM inside. Each author has one: where From is own, the very
    place that the same user has as a login or MAIL FROM. Mail that has none of these has the place of its MAIL FROM.
    """
    voucher = voucher_of(transaction, mailbox, policy)
    authors = tuple(dict.fromkeys(filter(None, (address.normalise(box.address) for box in facts.author))))
    trusted = bool(voucher) and (not facts.defects or UNTRUSTED.isdisjoint(facts.defects))
    own = tuple(each for each in authors[:_MOST_AUTHORS] if trusted and _is_own(voucher, each, policy))
    sending = _sending_user(transaction, mailbox, voucher, policy)
    users = [sending] if sending else []
    places = [_place(user, policy) for user in (*users, *map(policy.directory.user, own))]
    named = (policy.directory.user(each) for each in authors[:_MOST_AUTHORS] if each not in own)
    places += [_place(user, policy, named=True) for user in named]
    return Origins(
        tuple(dict.fromkeys(places)) or (_place(policy.directory.user(_origin(transaction)), policy),),
        _owners(transaction, mailbox, voucher, own, policy),
    )


def voucher_of(transaction: Transaction, mailbox: str, policy: Policy) -> str:
    """Return the login's mailbox, else the address that MAIL FROM stands for; "" where both name nobody."""
    if _has_login(transaction):
        if is_without_domain(transaction.login or "") and not policy.directory.is_inside(mailbox):
            return ""
        return mailbox
    return _origin(transaction)


def _origin(transaction: Transaction) -> str:
    """Return the address that MAIL FROM stands for; "" where it names nobody."""
    if "=" not in transaction.sender:  # as most are: no VERP, BATV or SRS to undo
        return address.normalise(transaction.sender)
    origin = address.envelope_origin(transaction.sender, transaction.addresses)
    return origin if address.names_somebody(origin) else ""


def _has_login(transaction: Transaction) -> bool:
    return bool(transaction.login and transaction.login.strip())


def _bare(login: str) -> str:
    """Return a login without the domain of Windows in front of it (`CORP\\jdoe`)."""
    return address.normalise(login.rpartition("\\")[2] or login)


def _is_own(voucher: str, author: str, policy: Policy) -> bool:
    user = policy.directory.user
    return voucher == author or user(voucher) == user(author) or is_lent(voucher, author, policy)


def _sending_user(transaction: Transaction, mailbox: str, voucher: str, policy: Policy) -> str:
    """Return the user of the login, else of a MAIL FROM inside; "" where neither names anybody of ours.

    A login without a domain stands for itself: From, which may lend it a domain, could lend it many.
    """
    directory, login = policy.directory, transaction.login or ""
    if _has_login(transaction):
        return directory.user(_bare(login) if is_without_domain(login) else mailbox)
    return directory.user(voucher) if voucher and directory.is_inside(voucher) else ""


def _place(user: str, policy: Policy, *, named: bool = False) -> Place:
    return Place(user, named, policy.directory.agency_of(user))


def _owners(
    transaction: Transaction, mailbox: str, voucher: str, own: Iterable[str], policy: Policy
) -> tuple[str, ...]:
    """Return the mailboxes whose mail it is, first the one that letters go to, each with the user that it belongs to.

    These are the login's, else that of a MAIL FROM inside, and every From that is own.
    """
    directory, login = policy.directory, transaction.login or ""
    if _has_login(transaction):
        names = [mailbox if voucher else _bare(login), *own]
    else:
        names = [*own, *([voucher] if voucher and directory.is_inside(voucher) else [])]
    names = [address.normalise(name, internal=directory.is_inside(name)) for name in names]
    return tuple(dict.fromkeys(each for name in names for each in (name, directory.user(name)) if each))
