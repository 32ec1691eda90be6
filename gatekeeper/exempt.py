"""By which names a sender is exempt from rules, from joint counting, or permitted to a list (DESIGN 3.3). Pure.

From is what the sender writes. So it exempts nobody by itself: a login or MAIL FROM must name somebody, and whatever
else the message is sent under must be exempt as well.
"""

from __future__ import annotations

from gatekeeper import address
from gatekeeper.from_allowed import UNTRUSTED, is_lent, is_without_domain
from gatekeeper.in_force import Policy
from gatekeeper.model import Facts, Transaction


def names_of(transaction: Transaction, facts: Facts, mailbox: str, policy: Policy) -> tuple[str, ...]:
    """Every name that a message is sent under, first the one that vouches for it: login, else MAIL FROM.

    Args: `mailbox` is the source's. Returns normalised addresses; () where nobody vouches for the message, and where
    From is missing or may be read in more than one way.
    """
    if not facts.author or not UNTRUSTED.isdisjoint(facts.defects):
        return ()
    voucher = _voucher(transaction, mailbox, policy)
    shown = (address.normalise(box.address) for box in (*facts.author, *facts.sender))
    return tuple(dict.fromkeys((voucher, *shown))) if voucher else ()


def _voucher(transaction: Transaction, mailbox: str, policy: Policy) -> str:
    """The login's mailbox, else whom MAIL FROM names; "" where it names nobody."""
    if transaction.login and transaction.login.strip():
        if is_without_domain(transaction.login) and not policy.directory.is_inside(mailbox):
            return ""
        return mailbox
    origin = address.envelope_origin(transaction.sender, [each.address for each in transaction.recipients])
    return origin if address.names_somebody(origin) else ""


def are_of_agency(names: tuple[str, ...], agency: str | None, transaction: Transaction, policy: Policy) -> bool:
    """True where every name belongs to that agency (M9).

    A login without a domain takes its domain from From; it belongs to an agency only where the directory says so.
    """
    if agency is None or not names:
        return False
    login = transaction.login
    if login and is_without_domain(login) and policy.directory.agency_of(_bare(login)) != agency:
        return False
    return all(policy.directory.agency_of(name) == agency for name in names)


def _bare(login: str) -> str:
    return address.normalise(login.rpartition("\\")[2])


def is_separate(names: tuple[str, ...], policy: Policy) -> bool:
    """True where every name is one of `mailing: separate`."""
    separate, directory = policy.ruleset.mailing.separate, policy.directory
    return bool(names) and all(
        name in separate or address.normalise(name, internal=directory.is_inside(name)) in separate for name in names
    )


def without_lent(names: tuple[str, ...], policy: Policy) -> tuple[str, ...]:
    """The names without those that the first of them may use by an entry under `senders`."""
    return (*names[:1], *(name for name in names[1:] if not is_lent(names[0], name, policy)))
