"""Signing in by HTTP: which ways there are, what each asks, who gets no further, how long it lasts."""

from __future__ import annotations

import email
import email.policy
import ipaddress
import re
from dataclasses import replace

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from gatekeeper.console.app import make_app
from gatekeeper.console.desk import Desk, Tries
from gatekeeper.console.pages.entering import own_place
from gatekeeper.console.rates import Rates, network_of
from gatekeeper.ledger import accounts, credentials, passwords
from gatekeeper.ledger.credentials import NewPassword
from gatekeeper.ledger.signins import Signins, may_sign_in
from gatekeeper.settings import SETTINGS, SigningIn, read_settings
from tests.console.test_pages import CIO, SMALL, URL, browser, form_of, hold
from tests.ledger.scene import DEPUTY, SENDER, Scene
from tests.notices.queued import take_mails

PASSWORD, SECRET = "three tall pelicans", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
STRANGER, PROXY = "cio@example.org", "192.0.2.80"
ALL = SigningIn(
    signin=("proxy", "local", "link"),
    proxy_header="X-Remote-User",
    proxy_networks=(ipaddress.ip_network(f"{PROXY}/32"),),
)


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, SMALL)


def make_desk(scene, signing_in=ALL):
    clock = scene.clock
    tries = Tries(
        *(Rates(each.most, each.span, clock) for each in (Tries().accounts, Tries().networks, Tries().shared))
    )
    tries.mails = Rates(3, 900.0, clock)
    signins = Signins(scene.store, signing_in.session_idle, signing_in.session_limit, clock)
    return Desk(lambda: scene.service, signins, URL, signing_in, tries)


@pytest.fixture
def desk(scene):
    return make_desk(scene)


@pytest.fixture(autouse=True, scope="module")
def cheap():
    """Hashing at full cost is looked at in tests/ledger/test_accounts.py."""
    own = passwords._HASHER
    passwords._HASHER = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    passwords._nobodys.cache_clear()
    yield
    passwords._HASHER = own
    passwords._nobodys.cache_clear()


def at(desk, host="192.0.2.7"):
    """A browser at that address."""
    return TestClient(make_app(desk), base_url=URL, follow_redirects=False, client=(host, 50_000))


def enrolled(desk, address=CIO):
    code = pyotp.TOTP(SECRET).at(desk.signins.clock() - 30)
    return credentials.enrol_password(
        desk.signins, accounts.add_account(desk.signins, address), NewPassword(PASSWORD, code, SECRET)
    )


def code_of(desk, drift=0):
    return pyotp.TOTP(SECRET).at(desk.signins.clock() + drift)


def by_password(desk, client, **changes):
    fields = {"address": CIO, "password": PASSWORD, "code": code_of(desk), **changes}
    return client.post("/signin/password", data=fields)


# -- the ways in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("methods", "shown"),
    [
        (("local", "link"), ["Sign in with a passkey", "Sign in with a password", "Get a link by mail"]),
        (("proxy",), ["Sign in with the login of your organisation"]),
        ((), []),
    ],
)
def test_only_ways_that_are_on_are_shown_and_open(scene, methods, shown):
    client = at(make_desk(scene, replace(ALL, signin=methods)))
    page = client.get("/signin?next=/mailings/M-1").text
    assert re.findall(r"<button[^>]*>([^<]+)</button>", page) == shown
    assert page.count('name="next" value="/mailings/M-1"') == len(shown)
    assert ("No way to sign in is set up yet" in page) == (not methods)
    if "local" not in methods:
        assert by_password(make_desk(scene), client).status_code == client.get("/signin/password").status_code == 404
    if "link" not in methods:
        assert client.post("/signin/link", data={"address": CIO}).status_code == 404


def test_who_is_not_signed_in_comes_back_to_what_they_asked_for(desk):
    enrolled(desk)
    client = at(desk)
    answer = client.get("/mailings?state=held")
    assert answer.status_code == 303 and answer.headers["location"] == "/signin?next=/mailings%3Fstate%3Dheld"
    assert 'name="next" value="/mailings?state=held"' in client.get(answer.headers["location"]).text
    signed = by_password(desk, client, next="/mailings?state=held")
    assert signed.status_code == 303 and signed.headers["location"] == "/mailings?state=held"
    assert client.get("/mailings?state=held").status_code == 200
    assert at(desk).post("/mailings/M-1/decision").headers["location"] == "/signin"


@pytest.mark.parametrize(
    "place",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/signin",
        "/signout",
        "\\",
        "x",
        "/a\n",
    ],
)
def test_a_place_elsewhere_is_ignored(desk, place):
    enrolled(desk)
    assert own_place(place) == ""
    assert by_password(desk, at(desk), next=place).headers["location"] == "/"


@given(st.text(max_size=60))
def test_whatever_next_is_it_leads_to_ourselves(text):
    place = own_place(text)
    assert place in ("", text) and (not place or re.match(r"/(?![/\\])", place))


# -- password and code -------------------------------------------------------------------------------------------


def test_the_refusal_is_one_and_says_not_what_was_wrong(desk):
    enrolled(desk)
    wrong = (
        {"address": "nobody@example.gov"},
        {"address": "nul\0@example.gov"},
        {"password": "not the right one"},
        {"code": "000000"},
    )
    answers = [by_password(desk, at(desk), **each) for each in wrong]
    texts = {re.sub(r'value="[^"]*"|[0-9a-f]{16}', "", each.text) for each in answers}
    assert {each.status_code for each in answers} == {422} and len(texts) == 1
    assert "The address, the password or the code is not right." in texts.pop()
    assert PASSWORD not in answers[0].text  # what was typed is kept, but for secrets
    empty = at(desk).post("/signin/password", data={"address": CIO})
    assert (
        empty.status_code == 422 and empty.text.count("Write your password.") == empty.text.count("Write the code") == 2
    )


def test_an_account_is_set_up_by_its_link_and_its_codes_are_shown_until_kept(desk):
    place = f"/signin/enrol/{accounts.add_account(desk.signins, CIO)}"
    client = at(desk)
    for _ in range(3):
        page = client.get(place)
        assert client.head(place).status_code == page.status_code == 200 and CIO in page.text
    secret = re.search(r'name="secret" value="(\w{32})"', page.text)[1]
    assert " ".join(re.findall("....", secret)) in page.text and "<svg" in page.text and "style=" not in page.text
    fields = {
        "secret": secret,
        "password": PASSWORD,
        "again": PASSWORD,
        "code": pyotp.TOTP(secret).at(desk.signins.clock()),
    }
    for change, told in (
        ({"password": "password1234", "again": "password1234"}, "Many people use this password"),
        ({"again": "another"}, "This is not the same password"),
        ({"code": "000000"}, "This is not the code that the app shows now"),
        ({"code": ""}, "Write the code"),
    ):
        answer = client.post(f"{place}/password", data=fields | change)
        assert answer.status_code == 422 and answer.text.count(told) == 2 and secret in answer.text
    done = client.post(f"{place}/password", data=fields)
    assert done.status_code == 303 and done.headers["location"] == "/account/codes"
    codes = re.findall(r"<li><code>([\w-]+)</code>", client.get("/account/codes").text)
    assert len(codes) == 10 and codes == re.findall(r"<li><code>([\w-]+)</code>", client.get("/account/codes").text)
    kept = client.post("/account/codes/kept", data=form_of(client.get("/account/codes")))
    assert kept.headers["location"] == "/account" and codes[0] not in client.get("/account/codes").text
    assert "10 are left" in client.get("/account").text
    assert client.get(place).status_code == client.post(f"{place}/password", data=fields).status_code == 404
    assert by_password(desk, at(desk), code=codes[3]).status_code == 303


def test_a_password_is_changed_only_shortly_after_signing_in(desk, scene):
    enrolled(desk)
    client = at(desk)
    by_password(desk, client)
    scene.now += 601
    for place in ("/account/password", "/account/passkeys"):
        assert client.get(place).headers["location"] == f"/signin/again?next={place}"
    page = client.get("/account")
    assert client.post("/account/codes", data=form_of(page)).headers["location"] == "/signin/again?next=/account/codes"
    again = client.get("/signin/again?next=/account/password")
    assert "Sign in again" in again.text and CIO in again.text and "login of your organisation" not in again.text
    old = client.cookies["gatekeeper"]
    assert by_password(desk, client, next="/account/password").headers["location"] == "/account/password"
    assert client.cookies["gatekeeper"] != old and desk.signins.session(old) is None
    page = client.get("/account/password")
    assert "<svg" not in page.text and "<svg" in client.get("/account/password?app=new").text
    scene.now += 30
    given = form_of(page) | {"password": "four tall pelicans", "again": "four tall pelicans", "code": code_of(desk)}
    assert client.post("/account/password", data=given).headers["location"] == "/account"
    scene.now += 30
    assert by_password(desk, at(desk)).status_code == 422
    assert by_password(desk, at(desk), password="four tall pelicans").status_code == 303


def test_recovery_codes_are_renewed(desk):
    old = enrolled(desk)
    client = at(desk)
    by_password(desk, client)
    page = client.get("/account/codes")
    assert client.post("/account/codes", data=form_of(page)).headers["location"] == "/account/codes"
    fresh = re.findall(r"<li><code>([\w-]+)</code>", client.get("/account/codes").text)
    assert by_password(desk, at(desk), code=old[0]).status_code == 422
    assert by_password(desk, at(desk), code=fresh[0]).status_code == 303


def test_who_has_no_account_gets_none_by_a_form(desk):
    client = browser(desk, DEPUTY)
    assert "How you sign in" not in client.get("/account").text
    given = form_of(client.get("/account/codes"))
    given |= {"password": PASSWORD, "again": PASSWORD, "code": "1", "secret": SECRET}
    assert client.post("/account/password", data=given).status_code == 404
    assert client.post("/account/codes", data=given).status_code == 409
    assert client.post("/account/passkeys/begin", data=given).status_code == 404


@pytest.mark.parametrize("answer", ["", "{}", "[]", '{"id": 1}', '{"id": "AAAA", "response": {}}', "x" * 60_000])
def test_what_no_passkey_has_signed_opens_nothing(desk, answer):
    client = at(desk)
    assert client.post("/signin/passkey", data={"answer": answer}).status_code == 422  # not begun
    begun = client.post("/signin/passkey/begin")
    assert begun.json()["userVerification"] == "required" and not begun.json().get("allowCredentials")
    assert client.post("/signin/passkey", data={"answer": answer}).status_code == 403
    assert client.post("/signin/passkey", data={"answer": answer}).status_code == 422  # each challenge once


def test_no_passkeys_are_offered_at_a_bare_address(scene):
    desk = replace(make_desk(scene), url="http://127.0.0.1:8025")
    client = TestClient(make_app(desk), base_url=desk.url, follow_redirects=False)
    enrol = client.get(f"/signin/enrol/{accounts.add_account(desk.signins, CIO)}").text
    assert "passkey" not in client.get("/signin").text.lower() and "data-passkey" not in enrol and "Password" in enrol


# -- how often, how long, and who at all -------------------------------------------------------------------------


def test_ten_tries_a_minute_then_ever_longer_pauses(desk, scene):
    enrolled(desk)
    client = at(desk)
    assert [by_password(desk, client, code="000000").status_code for _ in range(11)] == [422] * 10 + [429]
    late = by_password(desk, client)
    assert late.status_code == 429 and 0 < int(late.headers["retry-after"]) <= 61 and "too many tries" in late.text
    scene.now += 61
    assert [by_password(desk, client, code="000000").status_code for _ in range(11)] == [422] * 10 + [429]
    assert int(by_password(desk, client).headers["retry-after"]) > 100
    scene.now += 121
    assert by_password(desk, client).status_code == 303


def test_an_account_is_counted_wherever_its_tries_come_from_and_a_network_whomever_they_name(desk):
    enrolled(desk)
    answers = [by_password(desk, at(desk, f"198.51.{number}.9"), code="000000").status_code for number in range(11)]
    assert answers == [422] * 10 + [429]
    answers = [by_password(desk, at(desk), address=f"p{number}@example.gov").status_code for number in range(11)]
    assert answers == [422] * 10 + [429]
    shared = [by_password(desk, at(desk, PROXY), address=f"q{number}@example.gov").status_code for number in range(30)]
    assert set(shared) == {422}


def test_rates_forget_and_stay_small():
    now = [0.0]
    rates = Rates(2, 60.0, lambda: now[0])
    assert [rates.take("a") > 0 for _ in range(3)] == [False, False, True]
    rates.forget("a")
    assert rates.take("a") == 0.0
    for number in range(10_050):
        rates.take(str(number))
    assert len(rates._known) == 10_000
    assert network_of("192.0.2.77") == network_of("::ffff:192.0.2.1") == "192.0.2.0/24"
    assert network_of("2001:db8:0:12::1") == "2001:db8::/56" and network_of("") == ""


def test_settings_say_how_long_a_session_lasts(scene):
    desk = make_desk(scene, replace(ALL, session_idle=100.0, session_limit=250.0))
    client = browser(desk, CIO)
    for _ in range(3):
        scene.now += 80
        assert client.get("/account").status_code == 200
    scene.now += 80
    assert client.get("/account").status_code == 303
    client = browser(desk, CIO)
    scene.now += 101
    assert client.get("/account").status_code == 303


def test_defaults_of_the_section_are_those_of_the_settings():
    in_force = read_settings({each.name: None for each in SETTINGS} | {"next_hop": "maildir:x"}, {}).signing_in
    assert in_force == SigningIn()


async def test_somebody_disabled_or_taken_out_of_the_rules_is_out_at_once(desk, scene):
    client, other = browser(desk, CIO), browser(desk, DEPUTY)
    accounts.disable_account(desk.signins, CIO)
    assert client.get("/account").status_code == 303
    link = f"/signin/start/{desk.signins.make_link(CIO, 60)}"
    assert at(desk).post(link).status_code == 403
    rules = scene.active_policy.path
    rules.write_text(rules.read_text().replace("  deputy@example.gov: {roles: [approver, admin]}\n", ""))
    scene.active_policy.reload()
    assert other.get("/account").status_code == 303


def test_people_of_the_rules_and_inside_addresses_may_sign_in(scene):
    ruleset = scene.service.ruleset
    named = (CIO, SENDER, "chief@doa.example.gov", "anybody@dphhs.example.gov")
    strangers = (STRANGER, "nobody@example.gov", "", "x@sub.doa.example.gov")
    assert all(may_sign_in(ruleset, each) for each in named)
    assert not any(may_sign_in(ruleset, each) for each in strangers)


async def test_an_act_says_how_its_author_signed_in(desk, scene):
    await hold(scene)
    enrolled(desk)
    client = at(desk)
    by_password(desk, client)
    client.post("/mailings/M-1/decision", data=form_of(client.get("/mailings/M-1")) | {"decision": "approve"})
    events = scene.service.show(1).events
    assert [event.login for event in events if event.act == "approved"] == ["console:local"]


# -- what a proxy says -------------------------------------------------------------------------------------------


def test_a_proxy_of_ours_says_who_somebody_is(desk):
    client = at(desk, PROXY)
    client.headers["X-Remote-User"] = "CIO@Example.Gov"
    assert client.post("/signin/proxy", data={"next": "/account"}).headers["location"] == "/account"
    assert CIO in client.get("/account").text and "the organisation&#39;s login" in client.get("/account").text
    assert client.get("/account/password").headers["location"].startswith("/signin/again")  # not enough for that
    token = client.cookies["gatekeeper"]
    client.headers["X-Remote-User"] = DEPUTY
    assert client.get("/account").status_code == 303 and desk.signins.session(token) is None


def test_who_has_only_a_proxy_is_told_what_else_shows_who_they_are(scene):
    client = at(make_desk(scene, replace(ALL, signin=("proxy",))), PROXY)
    client.headers["X-Remote-User"] = CIO
    client.post("/signin/proxy")
    assert "cannot say that you are still there" in client.get("/signin/again?next=/account/codes").text


def test_a_session_of_a_proxy_ends_where_the_proxy_names_nobody_any_more(desk):
    client = at(desk, PROXY)
    client.headers["X-Remote-User"] = CIO
    client.post("/signin/proxy")
    del client.headers["X-Remote-User"]
    assert client.get("/account").status_code == 303


def test_strangers_and_twofold_headers_are_refused_and_logged(desk, caplog):
    stranger = at(desk, "192.0.2.81")
    forged = {"X-Remote-User": CIO, "X-Forwarded-For": PROXY, "Forwarded": f"for={PROXY}"}
    assert stranger.get("/signin", headers=forged).status_code == 400
    assert stranger.post("/signin/proxy", headers=forged).status_code == 400
    twice = [("X-Remote-User", CIO), ("x-remote-user", DEPUTY)]
    assert at(desk, PROXY).post("/signin/proxy", headers=twice).status_code == 400
    assert len([each for each in caplog.records if "is no trusted proxy" in each.getMessage()]) == 3
    assert stranger.get("/signin").status_code == 200 and stranger.post("/signin/proxy").status_code == 403


@pytest.mark.parametrize("named", ["", "jdoe", STRANGER, "cio@example.gov, deputy@example.gov"])
def test_a_name_that_is_no_address_of_ours_signs_nobody_in(desk, named):
    assert at(desk, PROXY).post("/signin/proxy", headers={"X-Remote-User": named}).status_code == 403


# -- links by mail -----------------------------------------------------------------------------------------------


def mails(scene):
    """What was mailed: to whom, and the link in it."""
    taken = take_mails(scene.store, scene.now + 1)
    found = [(job.recipient, email.message_from_bytes(job.content, policy=email.policy.default)) for job in taken]
    return [(to, re.search(r"http://\S+", mail.get_content())[0].removeprefix(URL), mail) for to, mail in found]


def ask(client, address=CIO, **more):
    return client.post("/signin/link", data={"address": address, **more})


def shown_code(client):
    return "".join(re.search(r'class="big"><strong>(\d{3}) (\d{3})<', client.get("/signin/link/sent").text).groups())


def test_a_link_is_mailed_and_signs_in_the_browser_that_asked(desk, scene):
    client = at(desk)
    assert ask(client, next="/mailings").headers["location"] == "/signin/link/sent?next=/mailings"
    ((to, link, mail),) = mails(scene)
    assert to == CIO and mail["Subject"] == "Sign in to Gatekeeper" and shown_code(client) not in mail.get_content()
    for _ in range(20):
        assert client.get(link).status_code == client.head(link).status_code == 200
        assert at(desk).get(link).status_code == at(desk).head(link).status_code == 200
    assert client.post(link).headers["location"] == "/mailings"
    assert "a link by mail" in client.get("/account").text
    assert client.post(link).status_code == client.get(link).status_code == 404


def test_another_browser_needs_the_code_and_has_five_tries(desk, scene):
    asked, other = at(desk), at(desk, "198.51.100.9")
    ask(asked)
    ((_, link, _),) = mails(scene)
    assert other.post(link).status_code == 422 and other.get("/account").status_code == 303  # as a scanner submits it
    assert 'name="code"' in other.get(link).text and 'name="code"' not in asked.get(link).text
    assert other.post(link, data={"code": "12345x"}).status_code == 422
    assert other.post(link, data={"code": shown_code(asked)}).status_code == 303
    ask(asked)
    ((_, link, _),) = mails(scene)
    wrong = f"{(int(shown_code(asked)) + 1) % 1_000_000:06d}"
    assert [other.post(link, data={"code": wrong}).status_code for _ in range(5)] == [422] * 5
    assert other.post(link, data={"code": shown_code(asked)}).status_code == 404
    assert asked.post(link).status_code == 404


def test_the_answer_is_the_same_for_everybody_and_strangers_get_no_mail(desk, scene):
    accounts.disable_account(desk.signins, DEPUTY)
    answers = [ask(at(desk), each) for each in (CIO, STRANGER, DEPUTY, "nobody@example.gov")]
    assert len({(each.status_code, each.headers["location"], each.text) for each in answers}) == 1
    assert [to for to, _, _ in mails(scene)] == [CIO]
    assert ask(at(desk), "no address").status_code == 422


def test_three_mails_in_fifteen_minutes_and_then_429_for_everybody(desk, scene):
    for address in (CIO, STRANGER):
        answers = [ask(at(desk, f"198.51.{number}.9"), address) for number in range(4)]
        assert [each.status_code for each in answers] == [303, 303, 303, 429]
        assert 800 < int(answers[-1].headers["retry-after"]) <= 901
    assert len(mails(scene)) == 3
    other = make_desk(scene)  # another process
    assert ask(at(other)).status_code == 303 and mails(scene) == []
    scene.now += 901
    assert ask(at(desk)).status_code == 303 and len(mails(scene)) == 1


def test_a_link_ends_after_fifteen_minutes(desk, scene):
    client = at(desk)
    ask(client)
    ((_, link, _),) = mails(scene)
    scene.now += 901
    assert client.get(link).status_code == client.post(link).status_code == 404


def test_who_has_set_up_an_account_is_mailed_that_they_sign_in_by_it(desk, scene):
    enrolled(desk)
    ask(at(desk), next="/mailings/M-1")
    ((_, link, mail),) = mails(scene)
    assert link == "/signin?next=/mailings/M-1" and "you have an account" in mail.get_content()


def test_links_of_one_kind_are_good_for_nothing_else(desk, scene):
    token = desk.signins.make_link(CIO, 60)
    ask(at(desk))
    ((_, link, _),) = mails(scene)
    mailed = link.rpartition("/")[2]
    wrong = (("enrol", token), ("link", token), ("start", mailed), ("enrol", mailed))
    places = [f"/signin/{kind}/{each}" for kind, each in wrong]
    assert {at(desk).get(place).status_code for place in places} == {404}


def test_no_token_of_a_link_stands_in_the_log(desk, caplog):
    caplog.set_level("INFO", "gatekeeper")
    for kind in ("start", "enrol", "link"):
        at(desk).get(f"/signin/{kind}/secret-token")
    assert "/signin/" in caplog.text and "secret-token" not in caplog.text


def test_what_a_sign_in_leaves_behind_is_forgotten(desk, scene):
    for _ in range(3):
        at(desk).post("/signin/passkey/begin")
    desk.signins.make_link(CIO, 60)
    scene.now += 901
    desk.signins.make_link(CIO, 60)
    with scene.store.database.engine.connect() as connection:
        counts = [f"SELECT count(*) FROM {name}" for name in ("signin_steps", "signin_links")]
        left = [connection.exec_driver_sql(count).scalar() for count in counts]
    assert left == [0, 1]
