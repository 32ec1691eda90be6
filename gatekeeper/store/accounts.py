"""Accounts of the web console: passwords, codes and passkeys by which people sign in; nothing that opens anything
elsewhere.

Passwords and recovery codes are stored as hashes. The secret of an app that makes codes has to be known to check them:
whoever can read the database can make them too, but not the password that they go with.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import accounts, passkeys, recovery_codes


@immutable
class Account:
    """How somebody may sign in by what they know and have."""

    address: str
    handle: bytes
    made_at: float
    password: str | None = field(default=None, repr=False)
    totp: str | None = field(default=None, repr=False)
    totp_step: int = 0
    disabled_at: float | None = None


@immutable
class Passkey:
    """A key of somebody's device."""

    credential: bytes
    address: str
    name: str
    public_key: bytes = field(repr=False)
    sign_count: int
    made_at: float
    used_at: float | None = None


_ACCOUNT = ("address", "handle", "made_at", "password", "totp", "totp_step", "disabled_at")
_PASSKEY = ("credential", "address", "name", "public_key", "sign_count", "made_at", "used_at")


def find_account(connection: Connection, address: str) -> Account | None:
    """Return somebody's account; None where there is none."""
    found = _accounts(connection, accounts.c.address == address)
    return found[0] if found else None


def list_accounts(connection: Connection) -> list[Account]:
    """Return all accounts by address."""
    return _accounts(connection)


def _accounts(connection: Connection, *where: Any) -> list[Account]:
    rows = connection.execute(select(accounts).where(*where).order_by(accounts.c.address)).mappings()
    return [Account(**{**{name: row[name] for name in _ACCOUNT}, "handle": bytes(row["handle"])}) for row in rows]


def add_account(connection: Connection, account: Account) -> None:
    """Store an account."""
    connection.execute(insert(accounts).values({name: getattr(account, name) for name in _ACCOUNT}))


def change(connection: Connection, address: str, **values: Any) -> None:
    """Change columns of an account."""
    connection.execute(update(accounts).where(accounts.c.address == address).values(**values))


def use_step(connection: Connection, address: str, step: int) -> bool:
    """Use up the code of a step of time; return False where it, or a later one, was used before."""
    later = (accounts.c.address == address, accounts.c.totp_step < step)
    return connection.execute(update(accounts).where(*later).values(totp_step=step)).rowcount == 1


# -- recovery codes ----------------------------------------------------------------------------------------------


def set_codes(connection: Connection, address: str, codes: list[bytes]) -> None:
    """Give somebody these recovery codes in the place of all earlier ones. Args: `codes` are hashes."""
    connection.execute(delete(recovery_codes).where(recovery_codes.c.address == address))
    if codes:
        connection.execute(insert(recovery_codes), [{"address": address, "code": code} for code in codes])


def use_code(connection: Connection, address: str, code: bytes) -> bool:
    """Use a recovery code up; return False where it is none."""
    one = (recovery_codes.c.address == address, recovery_codes.c.code == code)
    return connection.execute(delete(recovery_codes).where(*one)).rowcount == 1


def has_code(connection: Connection, address: str, code: bytes) -> bool:
    """Return True for a recovery code that was not used yet."""
    one = (recovery_codes.c.address == address, recovery_codes.c.code == code)
    return connection.execute(select(recovery_codes.c.code).where(*one)).first() is not None


def count_codes(connection: Connection) -> dict[str, int]:
    """Return how many recovery codes everybody has left."""
    query = select(recovery_codes.c.address, func.count()).group_by(recovery_codes.c.address)
    return {row[0]: row[1] for row in connection.execute(query)}


# -- passkeys ----------------------------------------------------------------------------------------------------


def add_passkey(connection: Connection, passkey: Passkey) -> None:
    """Store a passkey."""
    connection.execute(insert(passkeys).values({name: getattr(passkey, name) for name in _PASSKEY}))


def find_passkey(connection: Connection, credential: bytes) -> Passkey | None:
    """Return a passkey; None where there is none."""
    row = connection.execute(select(passkeys).where(passkeys.c.credential == credential)).mappings().first()
    return _passkey(row) if row else None


def list_passkeys(connection: Connection, address: str | None = None) -> list[Passkey]:
    """Return somebody's passkeys in the order in which they were added; everybody's for None."""
    query = select(passkeys).order_by(passkeys.c.made_at)
    if address is not None:
        query = query.where(passkeys.c.address == address)
    return [_passkey(row) for row in connection.execute(query).mappings()]


def _passkey(row: Any) -> Passkey:
    octets = {name: bytes(row[name]) for name in ("credential", "public_key")}
    return Passkey(**{**{name: row[name] for name in _PASSKEY}, **octets})


def use_passkey(connection: Connection, credential: bytes, sign_count: int, now: float) -> bool:
    """Note that a passkey was used; return False where its counter is not beyond the one that was seen last.

    A counter that stays behind is that of a copy; one that is always 0 counts nothing.
    """
    one = passkeys.c.credential == credential
    newer = (passkeys.c.sign_count < sign_count) | ((passkeys.c.sign_count == 0) & (sign_count == 0))
    noted = update(passkeys).where(one, newer).values(sign_count=sign_count, used_at=now)
    return connection.execute(noted).rowcount == 1


def remove_passkey(connection: Connection, address: str, credential: bytes) -> None:
    """Remove one of somebody's passkeys."""
    connection.execute(delete(passkeys).where(passkeys.c.address == address, passkeys.c.credential == credential))


def remove_credentials(connection: Connection, address: str) -> None:
    """Remove all by which somebody signs in to their account."""
    change(connection, address, password=None, totp=None)
    set_codes(connection, address, [])
    connection.execute(delete(passkeys).where(passkeys.c.address == address))
