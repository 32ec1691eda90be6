"""Short mail of many kinds from one sender, under one legal notice: kinds are not joined by what they all end with."""

from __future__ import annotations

from itertools import combinations

import pytest

from gatekeeper.message.fingerprint import content_words, fingerprints
from tests.message.office import OFFICES, Office

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
