"""Admins see who may do what and how people sign in, end sessions, remove pins and look after accounts."""

from __future__ import annotations

import re

import pytest

from gatekeeper.ledger import accounts
from gatekeeper.ledger.context import NotAllowed
from gatekeeper.ledger.people import named
from tests.console.test_pages import AUDITOR, browser, form_of
from tests.ledger.scene import CIO, DEPUTY, HEAD, TODAY

ADMIN = DEPUTY  # who is both


def post(client, place, **given):
    return client.post(f"/people{place}", data=form_of(client.get("/account")) | given)


async def test_everybody_with_roles_delegations_and_headships(scene, desk):
    rules = scene.active_policy.path
    delegated = f"cio@example.gov: {{roles: [approver], final: true, delegate: {{to: {HEAD}, until: {TODAY}}}}}"
    text = rules.read_text().replace("cio@example.gov: {roles: [approver], final: true}", delegated)
    rules.write_text(text)
    scene.active_policy.reload()
    page = browser(desk, ADMIN).get("/people").text
    assert f"acts for {CIO} until {TODAY}" in page and f"{HEAD} acts in their place until {TODAY}" in page
    assert "their denials are final" in page and "chief@doa.example.gov" in page and "head of Administration" in page
    ruleset = scene.service.ruleset
    assert [one.acts_for for one in named(ruleset, TODAY) if one.address == HEAD] == [((CIO, TODAY),)]
    later = named(ruleset, TODAY.replace(year=2027))
    assert [one.acts_for for one in later if one.address == HEAD] == [()]


@pytest.mark.parametrize("who", [CIO, AUDITOR, HEAD])
async def test_only_admins_may(desk, who):
    client = browser(desk, who)
    assert client.get("/people").status_code == 403 and 'href="/people"' not in client.get("/mailings").text
    for place in ("/accounts", "/pins", "/sessions/00/end"):
        assert post(client, place, address=CIO, act="disable").status_code == 403
    assert accounts.list_accounts(desk.signins) == []


async def test_a_session_of_anybody_is_ended(desk):
    other, client = browser(desk, CIO), browser(desk, ADMIN)
    (session,) = desk.signins.sessions(CIO)
    assert post(client, f"/sessions/{session.token.hex()}/end").headers["location"] == "/people"
    assert f"A session of {CIO} has ended." in client.get("/people").text
    assert other.get("/account").status_code == 303
    assert post(client, f"/sessions/{session.token.hex()}/end").status_code == 404


async def test_a_pin_that_somebody_else_has_claimed_is_shown_first_and_removed(desk):
    issuer, client = "https://login.example.gov", browser(desk, ADMIN)
    desk.signins.pin(AUDITOR, issuer, "u-0")
    desk.signins.pin(CIO, issuer, "u-1")
    with pytest.raises(NotAllowed):
        desk.signins.pin(CIO, issuer, "u-2")
    page = client.get("/people").text.partition('id="pins"')[2]
    assert page.index(CIO) < page.index(AUDITOR) and f"{CIO}, as u-2 at {issuer}" in page
    assert post(client, "/pins", address=CIO).status_code == 303
    assert [pin.address for pin in desk.signins.pins()] == [AUDITOR]
    assert post(client, "/pins", address=CIO).status_code == 404


async def test_an_account_from_invitation_to_its_end(desk):
    client = browser(desk, ADMIN)
    assert post(client, "/accounts", address="CIO@example.gov", act="add").headers["location"] == "/people"
    page = client.get("/people").text
    link = re.search(r"http://\S+/signin/enrol/[\w-]{43}", page)[0]
    assert "it is shown once" in page and link not in client.get("/people").text
    assert browser(desk).get(link).status_code == 200
    post(client, "/accounts", address=CIO, act="disable")
    assert f"{CIO} is disabled" in client.get("/people").text and browser(desk).get(link).status_code == 404
    again = post(client, "/accounts", address=CIO, act="add")
    assert again.status_code == 422 and "is disabled" in again.text and 'role="alert"' in again.text
    post(client, "/accounts", address=CIO, act="reset")
    assert [one.state for one in accounts.list_accounts(desk.signins)] == ["invited"]
    assert post(client, "/accounts", address="nobody", act="add").status_code == 422
    stranger = post(client, "/accounts", address="cio@example.org", act="add")
    assert stranger.status_code == 422 and "no address of this organisation" in stranger.text
    own = post(client, "/accounts", address=ADMIN, act="disable")
    assert own.status_code == 422 and "your own account" in own.text


async def test_what_changes_how_people_sign_in_wants_it_lately(desk, scene):
    client = browser(desk, ADMIN)
    desk.signins.pin(CIO, "https://login.example.gov", "u-1")
    scene.now += 601
    for place in ("/accounts", "/pins"):
        assert post(client, place, address=CIO, act="add").headers["location"] == "/signin/again?next=/people"
    assert accounts.list_accounts(desk.signins) == [] and len(desk.signins.pins()) == 1


async def test_an_address_is_searched_for(desk):
    for number in range(205):
        accounts.add_account(desk.signins, f"p{number}@doa.example.gov")
    client = browser(desk, ADMIN)
    assert "and 5 more: search for an address" in client.get("/people").text
    page = client.get("/people?q=P204@").text
    assert page.count("p204@doa.example.gov") > 1 and "p203@doa" not in page and "The rules name nobody" in page
