"""What admins see of people: roles and delegations by the rules in force, accounts, sessions, names at an issuer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from gatekeeper.ledger import accounts
from gatekeeper.ledger.accounts import AccountView
from gatekeeper.ledger.context import LedgerError, NotAllowed, holds
from gatekeeper.ledger.signins import Signins
from gatekeeper.lib.immutable import immutable
from gatekeeper.rules import Ruleset
from gatekeeper.rules.specs import Delegation
from gatekeeper.store.signin_pins import Pin
from gatekeeper.store.signins import SessionView


@immutable
class PersonView:
    """Somebody whom the rules name: what they may do, for whom, in whose place."""

    address: str
    roles: tuple[str, ...]
    of: tuple[str, ...]  # what limits the roles; () for everything
    final: bool
    heads: tuple[str, ...]  # ids of agencies
    delegate: str | None  # who acts in their place
    until: date | None  # to the end of that day
    acts_for: tuple[tuple[str, date], ...]  # in whose place they act, and until when


@immutable
class People:
    """Everybody, and how they sign in."""

    named: tuple[PersonView, ...]
    accounts: tuple[AccountView, ...]
    sessions: tuple[SessionView, ...]
    pins: tuple[Pin, ...]


def people(ruleset: Ruleset, sign: Signins, by: str, today: date, text: str = "") -> People:
    """Return everybody whose address holds a text, for an admin. Raises NotAllowed, StoreError.

    Pins that somebody else has claimed come first.
    """
    require_admin(ruleset, by)

    def found(address: str) -> bool:
        return text.casefold() in address

    pins = sorted(sign.pins(), key=lambda pin: (pin.claim is None, pin.address))
    return People(
        tuple(one for one in named(ruleset, today) if found(one.address)),
        tuple(one for one in accounts.list_accounts(sign) if found(one.address)),
        tuple(one for one in sign.sessions(None) if found(one.address)),
        tuple(one for one in pins if found(one.address)),
    )


def named(ruleset: Ruleset, today: date) -> list[PersonView]:
    """Return everybody whom the rules name, by address, with the delegations that have not ended."""
    places = {whose: each.delegate for whose, each in ruleset.people.items() if each.delegate}
    current = {whose: place for whose, place in places.items() if today <= place.until}
    heads = {agency.head for agency in ruleset.agencies.values() if agency.head}
    everybody = sorted({*ruleset.people, *heads, *(place.to for place in current.values())})
    return [_person(ruleset, address, current) for address in everybody]


def _person(ruleset: Ruleset, address: str, current: Mapping[str, Delegation]) -> PersonView:
    person, own = ruleset.people.get(address), current.get(address)
    return PersonView(
        address,
        person.roles if person else (),
        person.of if person else (),
        bool(person and person.final),
        tuple(id for id, agency in ruleset.agencies.items() if agency.head == address),
        own.to if own else None,
        own.until if own else None,
        tuple((whose, place.until) for whose, place in sorted(current.items()) if place.to == address),
    )


def require_admin(ruleset: Ruleset, by: str) -> None:
    """Raise NotAllowed for whoever is no admin."""
    if not holds(ruleset, by, "admin"):
        raise NotAllowed(f"{by} may not look at how people sign in: an admin may")


def require_another(address: str, by: str) -> None:
    """Raise LedgerError for who would shut themselves out."""
    if address == by:
        raise LedgerError("this is your own account: another admin does that, or a command")
