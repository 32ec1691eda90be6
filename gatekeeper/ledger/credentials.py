"""What people sign in with to their accounts: a password with a code, or a passkey.

Whether an address has an account cannot be told from how long a refusal takes, nor from its words.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gatekeeper.address import is_valid, normalise
from gatekeeper.ledger import passwords
from gatekeeper.ledger.accounts import AccountView, list_accounts
from gatekeeper.ledger.context import LedgerError, NotFound
from gatekeeper.ledger.signins import ENROL, PASSKEY, PASSWORD, Proof, Signins
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.marks import marked_line
from gatekeeper.store import Connection, accounts, signins
from gatekeeper.store.accounts import Account, Passkey

__all__ = ["NewPassword", "Passkey", "WrongCode"]
_MOST_NAME = 80  # characters of a passkey's name
_MOST_KEYS = 20  # of one account


class WrongCode(LedgerError):
    """A code that is not the one that the app shows."""


@immutable
class NewPassword:
    """A password that somebody chooses, with a code of their app; `secret` where the app is to be a new one."""

    password: str
    code: str
    secret: str | None = None


# -- by a password -----------------------------------------------------------------------------------------------


def sign_in_by_password(sign: Signins, address: str, password: str, code: str) -> Proof | None:
    """Return the proof of somebody whose password and code these are; the code is used up. None where they are not.

    Args: `code` of their app, or a recovery code. Raises StoreError, also where too many are checked at once.
    """
    address, code = normalise(address) if is_valid(address) else "", passwords.bare_code(code)
    account, has_code = sign.store.writer.read(partial(_read, address=address, code=code))
    known = passwords.is_password(account.password if account else None, password)
    step = passwords.step_of_code(account.totp if account else None, code, sign.clock())
    if not known or account is None or account.disabled_at is not None or not (step or has_code):
        return None
    used = partial(_use, address=address, step=step, code=code)
    return Proof(address, PASSWORD) if sign.store.call(used) else None


def _read(connection: Connection, address: str, code: str) -> tuple[Account | None, bool]:
    return accounts.find_account(connection, address), accounts.has_code(connection, address, _hashed(address, code))


def _use(connection: Connection, address: str, step: int | None, code: str) -> bool:
    if step is not None:
        return accounts.use_step(connection, address, step)
    return accounts.use_code(connection, address, _hashed(address, code))


def _hashed(address: str, code: str) -> bytes:
    return signins.hashed(f"{address}\0{passwords.bare_code(code)}")


def enrol_password(sign: Signins, token: str, given: NewPassword) -> list[str]:
    """Set up a password and an app by an enrolment link, which is used up; return the recovery codes.

    Raises NotFound, WeakPassword, WrongCode, StoreError.
    """
    link = sign.link(token, ENROL)
    if link is None:
        raise NotFound("this link was used already, or its time is over: ask for a new one")
    return _set(sign, link.address, given, partial(_use_enrolment, token=link.token))


def set_password(sign: Signins, address: str, given: NewPassword) -> list[str]:
    """Set somebody's password, and their app where it is a new one; return recovery codes for a new app.

    Raises WeakPassword, WrongCode, StoreError.
    """
    return _set(sign, address, given, lambda connection: None)


def _set(sign: Signins, address: str, given: NewPassword, before: Callable[[Connection], None]) -> list[str]:
    passwords.check_password(given.password, address)
    account = sign.store.writer.read(partial(accounts.find_account, address=address))
    secret = given.secret or (account.totp if account else None)
    step = passwords.step_of_code(secret, passwords.bare_code(given.code), sign.clock())
    if step is None or account is None or (given.secret is None and step <= account.totp_step):
        raise WrongCode("This is not the code that the app shows now. Wait for the next one, and look at the clock.")
    codes = passwords.new_codes() if given.secret else []
    values = {"password": passwords.hash_password(given.password), "totp": secret, "totp_step": step}

    def write(connection: Connection) -> None:
        before(connection)
        accounts.change(connection, address, **values)
        if codes:
            accounts.set_codes(connection, address, [_hashed(address, code) for code in codes])

    sign.store.call(write)
    return codes


def _use_enrolment(connection: Connection, token: bytes) -> None:
    if not signins.use_link(connection, token):
        raise NotFound("this link was used already: ask for a new one")


def renew_codes(sign: Signins, address: str) -> list[str]:
    """Give somebody new recovery codes in the place of the earlier ones, and return them.

    Raises LedgerError where they have no password that a code could go with; StoreError.
    """
    account = account_of(sign, address)
    if account is None or not account.has_password:
        raise LedgerError("Recovery codes go with a password: set up a password first.")
    codes = passwords.new_codes()
    hashes = [_hashed(address, code) for code in codes]
    sign.store.call(partial(accounts.set_codes, address=address, codes=hashes))
    return codes


def account_of(sign: Signins, address: str) -> AccountView | None:
    """Return somebody's account; None where there is none. Raises StoreError."""
    return next((one for one in list_accounts(sign) if one.address == address), None)


# -- by a passkey ------------------------------------------------------------------------------------------------


def passkeys_of(sign: Signins, address: str) -> list[Passkey]:
    """Return somebody's passkeys, in the order in which they were added. Raises StoreError."""
    return sign.store.writer.read(partial(accounts.list_passkeys, address=address))


def handle_of(sign: Signins, address: str) -> bytes:
    """Return what passkeys know somebody's account by. Raises NotFound, StoreError."""
    account = sign.store.writer.read(partial(accounts.find_account, address=address))
    if account is None:
        raise NotFound(f"{address} has no account: an administrator makes one by gatekeeper account add")
    return account.handle


def enrol_passkey(sign: Signins, token: str, passkey: Passkey) -> None:
    """Set up a passkey by an enrolment link, which is used up. Raises NotFound, StoreError."""
    link = sign.link(token, ENROL)
    if link is None or link.address != passkey.address:
        raise NotFound("this link was used already, or its time is over: ask for a new one")
    _keep(sign, passkey, partial(_use_enrolment, token=link.token))


def add_passkey(sign: Signins, passkey: Passkey) -> None:
    """Add a passkey to an account. Raises LedgerError where it has very many, StoreError."""
    if len(passkeys_of(sign, passkey.address)) >= _MOST_KEYS:
        raise LedgerError(f"There are {_MOST_KEYS} passkeys already: remove one first.")
    _keep(sign, passkey, lambda connection: None)


def _keep(sign: Signins, given: Passkey, before: Callable[[Connection], None]) -> None:
    name = marked_line(given.name, _MOST_NAME) or "Passkey"
    kept = Passkey(given.credential, given.address, name, given.public_key, given.sign_count, sign.clock())

    def write(connection: Connection) -> None:
        before(connection)
        if accounts.find_passkey(connection, kept.credential) is not None:
            raise LedgerError("This passkey belongs to an account already.")
        accounts.add_passkey(connection, kept)

    sign.store.call(write)


def remove_passkey(sign: Signins, address: str, key: str) -> None:
    """Remove one of somebody's passkeys. Args: `key` is its id in hexadecimal.

    Raises NotFound, LedgerError where they could not sign in to the account any more, StoreError.
    """
    sign.store.call(partial(_remove, address=address, key=key))


def _remove(connection: Connection, address: str, key: str) -> None:
    found, account = accounts.list_passkeys(connection, address), accounts.find_account(connection, address)
    one = next((each for each in found if each.credential.hex() == key), None)
    if one is None:
        raise NotFound("no such passkey of yours: it may have been removed already")
    if len(found) == 1 and account and not account.password:
        raise LedgerError("This is the only way into the account: add another passkey, or a password, first.")
    accounts.remove_passkey(connection, address, one.credential)


def known_passkey(sign: Signins, credential: bytes) -> Passkey | None:
    """Return the passkey of a credential; None where there is none, or its account is disabled. Raises StoreError."""
    return sign.store.writer.read(partial(_known, credential=credential))


def _known(connection: Connection, credential: bytes) -> Passkey | None:
    passkey = accounts.find_passkey(connection, credential)
    account = accounts.find_account(connection, passkey.address) if passkey else None
    return passkey if account and account.disabled_at is None else None


def sign_in_by_passkey(sign: Signins, passkey: Passkey, sign_count: int) -> Proof | None:
    """Return the proof of who has used their passkey; None for a copy of it, whose counter stays behind."""
    noted = partial(accounts.use_passkey, credential=passkey.credential, sign_count=sign_count, now=sign.clock())
    return Proof(passkey.address, PASSKEY) if sign.store.call(noted) else None
