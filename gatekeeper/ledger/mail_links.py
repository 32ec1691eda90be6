"""Links by mail: who asks gets one to their own address, and signs in by it from the browser that asked.

Programs that follow links in mails have been seen to submit the forms behind them: from any other browser a link also
needs the code that the asking browser shows.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from urllib.parse import quote

from gatekeeper.ledger.context import LedgerError, NotFound
from gatekeeper.ledger.signins import LINK, MAIL, PATHS, STEP_SECONDS, Proof, Signins, may_sign_in
from gatekeeper.lib.immutable import immutable
from gatekeeper.outbox import to_who_signs_in
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.outbox.to_who_signs_in import LinkAsked
from gatekeeper.store import Connection, accounts, signins
from gatekeeper.store.accounts import Account
from gatekeeper.store.signins import SigninLink

MOST_MAILS = 3  # of one address in STEP_SECONDS


class WrongLinkCode(LedgerError):
    """A code that is not the one that the asking browser shows."""


@immutable
class Asker:
    """Who asks for a link: the address, what their browser is known by, from where, and the page that they came for.

    Args: `base` is the console's own address; `has_local` where people may have accounts of the console itself.
    """

    address: str
    browser: str
    client: str
    program: str
    place: str
    base: str
    has_local: bool


def code_of(browser: str) -> str:
    """Return the code that a browser shows which has asked for a link: it follows from what it is known by."""
    digest = hmac.new(browser.encode(), b"code", sha256).digest()
    return f"{int.from_bytes(digest[:8]) % 1_000_000:06d}"


def mail_link(sign: Signins, letterhead: Letterhead, asker: Asker) -> bool:
    """Mail a link to who may sign in; return False where none is mailed: strangers, and those who ask too often.

    Who has set up an account of the console is mailed that they sign in by it. Raises StoreError.
    """
    if not may_sign_in(letterhead.ruleset, asker.address):
        return False
    return sign.store.call(lambda connection: _mail(connection, sign, letterhead, asker))


def _mail(connection: Connection, sign: Signins, letterhead: Letterhead, asker: Asker) -> bool:
    now, address = sign.clock(), asker.address
    account = accounts.find_account(connection, address)
    asked = signins.count_links(connection, address, MAIL, now - STEP_SECONDS)
    if asked >= MOST_MAILS or (account is not None and account.disabled_at is not None):
        return False
    signins.forget(connection, now, sign.idle, sign.limit)
    token = secrets.token_urlsafe(32)
    signins.add_link(connection, _link(token, asker, now + STEP_SECONDS), now)
    local = asker.has_local and account is not None and _is_set_up(connection, account)
    onward = f"?next={quote(asker.place)}" if asker.place else ""
    link = f"{asker.base}/signin{onward}" if local else f"{asker.base}{PATHS[MAIL]}{token}"
    letter = LinkAsked(address, link, local, asker.client, asker.program, now + STEP_SECONDS)
    to_who_signs_in.send_link(connection, letterhead, letter, now)
    return True


def _is_set_up(connection: Connection, account: Account) -> bool:
    return bool(account.password or accounts.list_passkeys(connection, account.address))


def _link(token: str, asker: Asker, until: float) -> SigninLink:
    code = _hashed_code(token, code_of(asker.browser))
    own = signins.hashed(asker.browser)
    return SigninLink(signins.hashed(token), asker.address, until, MAIL, own, code, place=asker.place)


def _hashed_code(token: str, code: str) -> bytes:
    return signins.hashed(f"{token}\0{code}")


def is_asking_browser(link: SigninLink, browser: str | None) -> bool:
    """Return True for the browser that has asked for a link."""
    return browser is not None and hmac.compare_digest(signins.hashed(browser), link.browser or b"")


def use_mail_link(sign: Signins, token: str, browser: str | None, code: str) -> tuple[Proof, str]:
    """Use a link up; return the proof of whose it was and the page that it leads to.

    Args: `browser` is what the browser is known by; `code` what somebody typed, which another browser needs. Raises
    NotFound, WrongLinkCode, StoreError.
    """
    link = sign.link(token, MAIL)
    if link is not None and not is_asking_browser(link, browser):
        sign.store.call(lambda connection: signins.count_try(connection, signins.hashed(token)))
        if not hmac.compare_digest(_hashed_code(token, "".join(code.split())), link.code or b""):
            raise WrongLinkCode("This is not the code that the other browser shows. After five tries the link ends.")
    used = sign.use(token, MAIL) if link else None
    if used is None:
        raise NotFound("this link was used already, or its time is over: ask for a new one")
    return Proof(used.address, LINK), used.place
