"""Accounts of people who sign in by a passkey, or by a password with a code: made by a command, set up by a link.

A disabled account keeps somebody from signing in by any method.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial

from gatekeeper.address import normalise
from gatekeeper.ledger.context import LedgerError, NotFound, act_of
from gatekeeper.ledger.signins import ENROL, Signins, note_about
from gatekeeper.lib.immutable import immutable
from gatekeeper.store import Connection, accounts, signins
from gatekeeper.store.accounts import Account
from gatekeeper.store.events import Act

ENROL_SECONDS = 86_400.0


@immutable
class AccountView:
    """What admins see of an account."""

    address: str
    made_at: float
    has_password: bool
    passkeys: int
    codes: int  # recovery codes that are left
    disabled_at: float | None

    @property
    def state(self) -> str:
        """`disabled`, `enrolled`, or `invited` where the link was not used yet."""
        if self.disabled_at is not None:
            return "disabled"
        return "enrolled" if self.has_password or self.passkeys else "invited"


def list_accounts(sign: Signins) -> list[AccountView]:
    """Return all accounts by address. Raises StoreError."""
    return sign.store.writer.read(_list)


def _list(connection: Connection) -> list[AccountView]:
    codes, keys = accounts.count_codes(connection), [one.address for one in accounts.list_passkeys(connection)]
    return [
        AccountView(
            one.address,
            one.made_at,
            one.password is not None,
            keys.count(one.address),
            codes.get(one.address, 0),
            one.disabled_at,
        )
        for one in accounts.list_accounts(connection)
    ]


def add_account(sign: Signins, address: str, by: str = "") -> str:
    """Make an account, and return the token of the link by which its owner sets it up; earlier links end.

    Raises LedgerError where somebody has set theirs up already, or is disabled; StoreError.
    """
    act = act_of(by, "", sign.clock())
    return _invite(sign, normalise(address), partial(_add, act=act))


def _add(connection: Connection, address: str, act: Act) -> None:
    found = accounts.find_account(connection, address)
    if found is None:
        accounts.add_account(connection, Account(address, secrets.token_bytes(32), act.at))
    elif found.disabled_at is not None:
        raise LedgerError(f"{address} is disabled: gatekeeper account reset {address} lets them set up a new one")
    elif found.password or accounts.list_passkeys(connection, address):
        raise LedgerError(f"{address} has an account: gatekeeper account reset {address} takes it away and begins anew")
    note_about(connection, "account added", address, act)


def reset_account(sign: Signins, address: str, by: str = "") -> str:
    """Take away all by which somebody signs in, end their sessions, and return the token of a link as `add_account`.

    Raises NotFound, StoreError.
    """
    return _invite(sign, normalise(address), partial(_reset, act=act_of(by, "", sign.clock())))


def _reset(connection: Connection, address: str, act: Act) -> None:
    if accounts.find_account(connection, address) is None:
        raise NotFound(f"{address} has no account: gatekeeper account add {address} makes one")
    accounts.remove_credentials(connection, address)
    accounts.change(connection, address, disabled_at=None)
    signins.end_all_of(connection, address)
    note_about(connection, "account reset", address, act)


def _invite(sign: Signins, address: str, change: Callable[[Connection, str], None]) -> str:
    def invite(connection: Connection) -> None:
        change(connection, address)
        signins.drop_links(connection, address, ENROL)

    sign.store.call(invite)
    return sign.make_link(address, ENROL_SECONDS, ENROL)


def disable_account(sign: Signins, address: str, by: str = "") -> None:
    """Keep somebody from signing in by any method, and end their sessions. Raises StoreError.

    Who has no account gets one that is disabled: they may sign in by other methods.
    """
    sign.store.call(partial(_disable, address=normalise(address), act=act_of(by, "", sign.clock())))


def _disable(connection: Connection, address: str, act: Act) -> None:
    if accounts.find_account(connection, address) is None:
        accounts.add_account(connection, Account(address, secrets.token_bytes(32), act.at))
    accounts.change(connection, address, disabled_at=act.at)
    signins.end_all_of(connection, address)
    note_about(connection, "account disabled", address, act)


def make_link(sign: Signins, address: str, seconds: float, by: str = "") -> str:
    """Return the token of a link by which whoever has it signs in as somebody, once. Raises StoreError."""
    act = act_of(by, "", sign.clock())
    sign.store.call(partial(note_about, what="account link", address=normalise(address), act=act))
    return sign.make_link(address, seconds)
