"""Which names of a transaction exempt it from rules or joint counting, permit it to a list, or are suspended.

The sender writes From freely, so From alone exempts nobody: a login or MAIL FROM must name somebody, and every other
name of the message must be exempt as well. Pure.
"""

from __future__ import annotations

from gatekeeper import address
from gatekeeper.model import Facts, Name, Transaction
from gatekeeper.policy.active import Policy
from gatekeeper.policy.origins import voucher_of
from gatekeeper.policy.sender_identity import UNTRUSTED, is_lent, is_without_domain
from gatekeeper.settings import contains

_MOST_AUTHORS = 20  # authors of one message whose suspensions are looked up


def names_of(transaction: Transaction, facts: Facts, mailbox: str, policy: Policy) -> tuple[str, ...]:
    """Return every name that a message is sent under, first the one that vouches for it: the login, else MAIL FROM.

    Args: `mailbox` is that of the source. Returns normalised addresses; () where neither names anybody, or where From
    is missing or ambiguous.
    """
    if not facts.author or (facts.defects and not UNTRUSTED.isdisjoint(facts.defects)):
        return ()
    voucher = voucher_of(transaction, mailbox, policy)
    if not voucher:
        return ()
    if len(facts.author) == 1 and not facts.sender:  # as most are
        shown = address.normalise(facts.author[0].address)
        return (voucher,) if shown == voucher else (voucher, shown)
    return tuple(dict.fromkeys((voucher, *(address.normalise(box.address) for box in (*facts.author, *facts.sender)))))


def are_of_agency(
    names: tuple[str, ...], mailbox: str, agency: str | None, transaction: Transaction, policy: Policy
) -> bool:
    """Return True where every name belongs to `agency`, which is the agency of `mailbox` (M9).

    Where a login has no domain, From lends it one; it belongs to the agency only where the directory says so.
    """
    if agency is None or not names:
        return False
    login, agency_of = transaction.login, policy.directory.agency_of
    if login and is_without_domain(login) and agency_of(address.normalise(login.rpartition("\\")[2])) != agency:
        return False
    return all(name == mailbox or agency_of(name) == agency for name in names)


def is_separate(names: tuple[str, ...], policy: Policy) -> bool:
    """Return True where every name is listed under `mailing: separate`."""
    separate = policy.ruleset.mailing.separate
    return (
        bool(separate)
        and bool(names)
        and all(name in separate or _untagged(name, policy) in separate for name in names)
    )


def is_separate_client(transaction: Transaction, policy: Policy) -> bool:
    """Return True where the client's address is in a network under `mailing: separate`."""
    networks = policy.ruleset.mailing.separate_networks
    return bool(networks) and contains(networks, transaction.client.address)


def _untagged(name: str, policy: Policy) -> str:
    return address.normalise(name, internal=policy.directory.is_inside(name)) if "+" in name else name


def without_lent(names: tuple[str, ...], policy: Policy) -> tuple[str, ...]:
    """Return the names without those that the first one may use by an entry under `senders`."""
    if len(names) < 2:
        return names
    return (names[0], *(name for name in names[1:] if not is_lent(names[0], name, policy)))


def beside(names: tuple[str, ...], mailbox: str, policy: Policy) -> tuple[Name, ...] | None:
    """Return those of the names that are not the mailbox's: not the same user, and not lent the mailbox.

    What takes a match back, or permits, must hold of these as well: From alone opens nothing. Args: `names` are those
    of the source. Returns None where nobody vouches for the message.
    """
    if not names:
        return None
    if names == (mailbox,):  # as of most mail
        return ()
    directory = policy.directory
    own = directory.user(mailbox)
    others = (name for name in names if directory.user(name) != own and not is_lent(name, mailbox, policy))
    return tuple(Name(name, directory.agency_of(name), directory.groups_of(name)) for name in others)


def others_of(transaction: Transaction, facts: Facts, mailbox: str, policy: Policy) -> tuple[tuple[str, str], ...]:
    """Return what else a suspension or `enforce` may match, besides the source's mailbox: (sender, agency or group,
    name).

    Somebody who is suspended (C10) could send under another name in From, or send again what another has written
    (Resent-From). So every name counts here, vouched for or not; MAIL FROM only where there is no login.
    """
    envelope = () if transaction.login else (address.envelope_origin(transaction.sender, transaction.addresses),)
    boxes = (*facts.sender, *facts.resent[:_MOST_AUTHORS], *facts.author[:_MOST_AUTHORS])
    names = dict.fromkeys((*envelope, *(address.normalise(box.address) for box in boxes)))
    found: dict[tuple[str, str], None] = {}
    for name in names.keys() - {mailbox, ""}:
        found["sender", address.normalise(name, internal=policy.directory.is_inside(name))] = None
        found |= {("group", group): None for group in policy.directory.groups_of(name)}
        if agency := policy.directory.agency_of(name):
            found["agency", agency] = None
    return tuple(sorted(found))
