"""Accounts of the console: made by a command, set up by a link, used with a password and a code, or a passkey."""

from __future__ import annotations

import re
from dataclasses import replace

import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.audit.history import History
from gatekeeper.ledger import accounts, credentials, passwords
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound
from gatekeeper.ledger.credentials import NewPassword, Passkey, WrongCode
from gatekeeper.ledger.passwords import WeakPassword, is_common
from gatekeeper.ledger.signins import ENROL, Proof, Signins

CIO, PASSWORD, SECRET = "cio@example.gov", "three tall pelicans", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


class Clock:
    """A time of ours."""

    now = 1_796_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sign(store, clock):
    return Signins(store, clock=clock)


@pytest.fixture(autouse=True, scope="module")
def cheap():
    """Hashing at full cost is looked at once, below."""
    own = passwords._HASHER
    passwords._HASHER = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    passwords._nobodys.cache_clear()
    yield
    passwords._HASHER = own
    passwords._nobodys.cache_clear()


def code_at(clock, steps=0):
    return pyotp.TOTP(SECRET).at(clock() + 30 * steps)


def enrolled(sign, clock, address=CIO):
    token = accounts.add_account(sign, address)
    return credentials.enrol_password(sign, token, NewPassword(PASSWORD, code_at(clock, -1), SECRET))


def test_an_account_is_made_set_up_and_used(sign, clock):
    assert accounts.list_accounts(sign) == []
    codes = enrolled(sign, clock)
    assert len(set(codes)) == 10
    assert credentials.sign_in_by_password(sign, "CIO@example.gov", PASSWORD, code_at(clock)) == Proof(CIO, "password")
    (view,) = accounts.list_accounts(sign)
    assert (view.state, view.has_password, view.codes) == ("enrolled", True, 10)


def test_a_code_is_good_once_and_one_step_around_now(sign, clock):
    enrolled(sign, clock)
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, code_at(clock, -1)) is None  # used to set it up
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, code_at(clock, 2)) is None
    late = code_at(clock, 1)
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, f"{late[:3]} {late[3:]}")
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, late) is None
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, code_at(clock)) is None  # before one that was used
    clock.now += 60
    assert credentials.sign_in_by_password(sign, CIO, "not " + PASSWORD, code_at(clock)) is None
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, code_at(clock))


def test_each_recovery_code_stands_for_one_code(sign, clock):
    codes = enrolled(sign, clock)
    assert credentials.sign_in_by_password(sign, CIO, "not " + PASSWORD, codes[0]) is None
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, codes[0].upper().replace("-", " "))
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, codes[0]) is None
    assert accounts.list_accounts(sign)[0].codes == 9
    fresh = credentials.renew_codes(sign, CIO)
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, codes[1]) is None
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, fresh[1])


def test_of_codes_and_passwords_only_hashes_are_stored(sign, clock, store):
    codes = enrolled(sign, clock)
    with store.database.engine.connect() as connection:
        tables = ("accounts", "recovery_codes", "signin_links")
        kept = str([list(connection.exec_driver_sql(f"SELECT * FROM {name}")) for name in tables])
    assert PASSWORD not in kept and codes[0] not in kept and "$argon2id$" in kept


def test_a_link_sets_up_one_account_once_and_for_a_day(sign, clock):
    first = accounts.add_account(sign, CIO)
    token = accounts.add_account(sign, CIO)  # a new link ends the one before
    given = NewPassword(PASSWORD, code_at(clock), SECRET)
    with pytest.raises(NotFound):
        credentials.enrol_password(sign, first, given)
    clock.now += 86_000
    credentials.enrol_password(sign, token, replace(given, code=code_at(clock)))
    with pytest.raises(NotFound):
        credentials.enrol_password(sign, token, given)
    with pytest.raises(LedgerError, match="reset"):
        accounts.add_account(sign, CIO)
    late = accounts.add_account(sign, "hr@example.gov")
    clock.now += 86_401
    assert sign.link(late, ENROL) is None


def test_what_is_wrong_uses_no_link_up(sign, clock):
    token = accounts.add_account(sign, CIO)
    with pytest.raises(WrongCode):
        credentials.enrol_password(sign, token, NewPassword(PASSWORD, "000000", SECRET))
    with pytest.raises(WeakPassword):
        credentials.enrol_password(sign, token, NewPassword("too short", code_at(clock), SECRET))
    assert sign.link(token, ENROL) and sign.link(token) is None  # it signs nobody in


def test_a_password_is_changed_with_a_code_of_the_app(sign, clock):
    enrolled(sign, clock)
    with pytest.raises(WrongCode):
        credentials.set_password(sign, CIO, NewPassword("four tall pelicans", code_at(clock, -1)))  # it was used
    assert credentials.set_password(sign, CIO, NewPassword("four tall pelicans", code_at(clock))) == []
    clock.now += 30
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, code_at(clock)) is None
    assert credentials.sign_in_by_password(sign, CIO, "four tall pelicans", code_at(clock))


def test_reset_takes_everything_away_and_disable_keeps_out_by_any_method(sign, clock):
    enrolled(sign, clock)
    token = sign.begin(Proof(CIO, "password"), "192.0.2.1", "browser")
    again = accounts.reset_account(sign, CIO)
    assert sign.session(token) is None and accounts.list_accounts(sign)[0].state == "invited"
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, code_at(clock)) is None
    credentials.enrol_password(sign, again, NewPassword(PASSWORD, code_at(clock), SECRET))
    token = sign.begin(Proof(CIO, "link"), "192.0.2.1", "browser")
    accounts.disable_account(sign, CIO)
    clock.now += 30
    assert sign.session(token) is None
    assert credentials.sign_in_by_password(sign, CIO, PASSWORD, code_at(clock)) is None
    with pytest.raises(NotAllowed):
        sign.begin(Proof(CIO, "oidc"), "192.0.2.1", "browser")
    with pytest.raises(LedgerError, match="disabled"):
        accounts.add_account(sign, CIO)
    accounts.disable_account(sign, "hr@example.gov")  # who has no account
    with pytest.raises(NotAllowed):
        sign.begin(Proof("hr@example.gov", "proxy"), "192.0.2.1", "browser")
    with pytest.raises(NotFound):
        accounts.reset_account(sign, "nobody@example.gov")


def test_a_letter_with_an_accent_is_one_however_a_keyboard_spells_it(sign, clock):
    token = accounts.add_account(sign, CIO)
    credentials.enrol_password(sign, token, NewPassword("Wolke über Berlin", code_at(clock, -1), SECRET))
    assert credentials.sign_in_by_password(sign, CIO, "Wolke u\u0308ber Berlin", code_at(clock))


# -- passkeys ----------------------------------------------------------------------------------------------------


def key(number=1, address=CIO, count=0):
    return Passkey(bytes([number]) * 16, address, "Phone\0", b"public", count, 0.0)


def test_a_passkey_is_set_up_used_and_removed(sign):
    credentials.enrol_passkey(sign, accounts.add_account(sign, CIO), key())
    (known,) = credentials.passkeys_of(sign, CIO)
    assert known.name == "Phone" or "\0" not in known.name
    assert credentials.sign_in_by_passkey(sign, known, 0) == Proof(CIO, "passkey")
    with pytest.raises(LedgerError, match="only way"):
        credentials.remove_passkey(sign, CIO, known.credential.hex())
    credentials.add_passkey(sign, key(2))
    with pytest.raises(LedgerError, match="belongs to an account"):
        credentials.add_passkey(sign, key(2))
    credentials.remove_passkey(sign, CIO, known.credential.hex())
    assert credentials.known_passkey(sign, known.credential) is None
    accounts.disable_account(sign, CIO)
    assert credentials.known_passkey(sign, key(2).credential) is None


def test_a_counter_that_stays_behind_is_that_of_a_copy(sign):
    credentials.enrol_passkey(sign, accounts.add_account(sign, CIO), key(count=5))
    known = credentials.known_passkey(sign, key().credential)
    assert credentials.sign_in_by_passkey(sign, known, 6)
    for count in (6, 5, 0):
        assert credentials.sign_in_by_passkey(sign, known, count) is None


def test_a_link_of_somebody_else_sets_up_nothing(sign):
    token = accounts.add_account(sign, CIO)
    with pytest.raises(NotFound):
        credentials.enrol_passkey(sign, token, key(address="hr@example.gov"))


# -- what may be a password --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "password1234",
        "1234567890!!",
        "aaaaaaaaaaaaaaaa",
        "password-password",
        "dragondragondragon",
        "counterstrike",
        "Cio@Example.Gov",
        "cio@example.gov2026",
        "chiefinformation1",
        "noitamrofnifeihc!",
        "x" * 201,
    ],
)
def test_a_password_that_others_would_find_is_refused(password):
    with pytest.raises(WeakPassword):
        passwords.check_password(password, "chief.information@example.gov")
        passwords.check_password(password, CIO)


@pytest.mark.parametrize("password", [PASSWORD, "correct horse battery", "Wolke7 über Berlin", "p4N$x-93;kLq0"])
def test_others_are_taken(password):
    passwords.check_password(password, CIO)


@given(st.text(min_size=1, max_size=40), st.integers(2, 6))
@settings(max_examples=50, deadline=None)
def test_nothing_that_people_type_is_more_than_a_refusal(text, times):
    assert is_common("iloveyou" * times) and isinstance(is_common(text * times), bool)
    passwords.step_of_code(SECRET, passwords.bare_code(text), 1_796_000_000.0)
    assert passwords.is_password(None, text) is False


def test_an_unknown_address_takes_as_long_as_a_known_one(sign, clock, monkeypatch):
    """What takes long is the hash: one is computed for each, at the same cost."""
    enrolled(sign, clock)
    costs = []
    verify = passwords._HASHER.verify

    class Counted:
        def verify(self, stored, given):
            costs.append(stored.rpartition("$")[0].rpartition("$")[0])
            return verify(stored, given)

        hash = passwords._HASHER.hash

    monkeypatch.setattr(passwords, "_HASHER", Counted())
    for address in (CIO, "nobody@example.gov", "not an address", "nul\0@example.gov", ""):
        assert credentials.sign_in_by_password(sign, address, "wrong wrong wrong", "000000") is None
    assert len(costs) == 5 and len(set(costs)) == 1


def test_the_cost_is_that_of_rfc_9106():
    made = passwords.PasswordHasher().hash("x")
    assert made.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_no_more_than_two_are_hashed_at_once(monkeypatch):
    monkeypatch.setattr(passwords, "_WAIT", 0.01)
    with passwords._turn(), passwords._turn(), pytest.raises(passwords.Busy):
        passwords.is_password(None, "x")


def test_a_passkeys_name_is_cut_to_eighty_characters(sign):
    for number, length in ((1, 80), (2, 81)):
        given = replace(key(number), name="n" * length)
        if number == 1:
            credentials.enrol_passkey(sign, accounts.add_account(sign, CIO), given)
        else:
            credentials.add_passkey(sign, given)
    assert [len(one.name) for one in credentials.passkeys_of(sign, CIO)] == [80, 80]


# -- what is recorded ----------------------------------------------------------------------------------------------


def test_what_is_done_to_accounts_and_sign_ins_is_in_the_chain_of_acts(sign, store):
    """Whoever lets somebody sign in, or keeps them from it, can be told later."""
    accounts.add_account(sign, CIO, "admin@example.gov")
    accounts.reset_account(sign, CIO, "admin@example.gov")
    accounts.disable_account(sign, CIO)
    accounts.make_link(sign, CIO, 60.0)
    found = [act for act in History(store, 0, 1e12).acts() if "account" in act]
    assert [(act["act"], act["by"], act["account"]) for act in found] == [
        ("account added", "admin@example.gov", CIO),
        ("account reset", "admin@example.gov", CIO),
        ("account disabled", "", CIO),
        ("account link", "", CIO),
    ]
    assert all(act["login"] for act in found)


def test_a_recovery_code_is_four_groups_of_four_letters_that_look_like_no_others():
    codes = passwords.new_codes()
    assert len(set(codes)) == passwords.CODES and all(
        re.fullmatch(r"([a-hjkmnp-z2-9]{4}-){3}[a-hjkmnp-z2-9]{4}", each) for each in codes
    )
