"""Short mail of many kinds from one sender, under one legal notice: kinds are not joined by what they all end with."""

from __future__ import annotations

from itertools import combinations

import pytest

from gatekeeper.message import read_facts
from gatekeeper.message.fingerprint import content_words, fingerprints
from tests.message.office import OFFICES, Office
from tests.message.samples import HEAD, message

COPIES = 20


def fingerprints_of(office: Office, kind: str) -> set[str]:
    return {one for text in office.copies(kind, COPIES) for one in fingerprints(text)}


@pytest.mark.parametrize("office", OFFICES.values(), ids=OFFICES)
def test_kinds_share_no_fingerprint(office: Office):
    kinds = {kind: fingerprints_of(office, kind) for kind in office.kinds}
    joined = [(one, other) for one, other in combinations(kinds, 2) if not kinds[one].isdisjoint(kinds[other])]
    assert joined == []


@pytest.mark.parametrize("office", OFFICES.values(), ids=OFFICES)
def test_a_kind_that_says_enough_is_one_mailing(office: Office):
    assert len(fingerprints_of(office, "leave request")) in range(4, 9)  # a name or two, now and then, is left in


@pytest.mark.parametrize("office", OFFICES.values(), ids=OFFICES)
def test_a_few_words_are_too_little_to_tell(office: Office):
    assert fingerprints_of(office, "one-time password") == set()


@pytest.mark.parametrize("office", OFFICES.values(), ids=OFFICES)
@pytest.mark.parametrize("ends", ["\r\n", "\n"], ids=["CRLF", "LF"])
def test_nothing_is_left_of_notice_and_signature(office: Office, ends: str):
    bare = office.kinds["leave request"].format(code=1, name="Ann Smith").replace("\r\n", ends)
    whole = next(office.copies("leave request", 1)).replace("\r\n", ends)
    assert content_words(whole) == content_words(bare)


@pytest.mark.parametrize("office", OFFICES.values(), ids=OFFICES)
def test_a_notice_alone_has_none(office: Office):
    assert fingerprints(office.notice) == ()


TEAMS = """{own}
________________________________________________________________________________
Microsoft Teams meeting
Join on your computer, mobile app or room device
Click here to join the meeting<https://teams.example.com/l/meetup-join/19%3a{code}>
Meeting ID: {code}
Passcode: {code}
Download Teams<https://www.example.com/teams> | Join on the web<https://www.example.com/join>
Or call in (audio only)
+1 406-555-0100,,{code}#   United States, Helena
Phone Conference ID: {code}#
Find a local number<https://dialin.example.com/{code}> | Reset PIN<https://mysettings.example.com>
Learn More<https://aka.example.com> | Meeting options<https://teams.example.com/{code}>
________________________________________________________________________________
"""
ZOOM = """{own}

{name} is inviting you to a scheduled Zoom meeting.

Join Zoom Meeting
https://us02web.zoom.example/j/{code}?pwd=x

Meeting ID: {code}
Passcode: {code}
One tap mobile
+14065550100,,{code}# US

Dial by your location
        +1 406 555 0100 US
Find your local number: https://us02web.zoom.example/u/{code}
"""
MATTERS = ("Budget of the coming year", "Picnic", "We go through the candidates for the open position in my office")


@pytest.mark.parametrize("below", [TEAMS, ZOOM], ids=["Teams", "Zoom"])
def test_invitations_are_not_joined_by_how_to_join(below: str):
    texts = [below.format(own=own, code=hash(own), name="Ann Smith") for own in MATTERS]
    facts = [read_facts(message(*HEAD, "", text)) for text in texts]
    keys = [{*each.fingerprints, each.short_key} - {""} for each in facts]
    assert all(one.isdisjoint(other) for one, other in combinations(keys, 2))


@pytest.mark.parametrize("office", OFFICES.values(), ids=OFFICES)
def test_kinds_share_no_short_key(office: Office):
    found = [
        {read_facts(message(*HEAD, "Content-Type: text/plain; charset=utf-8", "", text)).short_key for text in copies}
        for copies in (list(office.copies(kind, COPIES)) for kind in office.kinds)
    ]
    assert all((one & other) <= {""} for one, other in combinations(found, 2))
